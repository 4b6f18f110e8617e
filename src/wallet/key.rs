//! A raw key that signs the sign-in text: the key is the account, and nothing stands between them.
//!
//! For agents and command lines. The text names the key's `did:key`; the signature is Ed25519 over
//! its bytes, or ECDSA over their SHA-256 as 64 bytes r‖s with the low S. It travels as base64url
//! without padding, or as hex with `0x`.
//!
//! Specs: protocol.md §1 and §4, the did:key method, RFC 8032, SEC 1.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::account::{Account, ChainId, KeyAccount};
use countersign_sdk::key::{Curve, PublicKey};

use super::accounts::{Accounts, Spelling, other_namespace};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, VerifiedSigner, WalletFormat, malformed_signature, refused_signature,
};
use crate::model::reason::{Reason, Refusal};

/// Keys that are accounts of their own, as far as a format signs with them.
#[derive(Debug)]
pub(super) struct KeyAccounts {
    /// The format.
    pub(super) format: &'static str,
    /// Whether it signs with such a key.
    pub(super) signs_with: fn(&PublicKey) -> bool,
    /// Which keys those are, to be said of another.
    pub(super) an_account: &'static str,
}

impl KeyAccounts {
    /// The key of an account, which a text of this format named.
    pub(super) fn own<'a>(&self, account: &'a Account) -> Result<&'a KeyAccount, Refusal> {
        match account {
            Account::Key(key) => Ok(key),
            Account::Chain(_) => Err(other_namespace(self.format, account)),
        }
    }

    fn invalid(&self) -> Refusal {
        Refusal::new(Reason::AccountInvalid, self.an_account)
    }
}

impl Accounts for KeyAccounts {
    fn namespaces(&self) -> &'static [&'static str] {
        &["did:key"]
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        match (self.signs_with)(self.own(account)?.key()) {
            true => Ok(account.clone()),
            false => Err(self.invalid()),
        }
    }

    fn canonical_chain(&self, _chain: &ChainId) -> Option<ChainId> {
        None
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        Ok(self.own(account)?.did().to_owned())
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        Some(Spelling { address: self.own(account).ok()?.did(), chain_id: None })
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        let key = KeyAccount::parse(message.fields().address).map_err(|_| self.invalid())?;
        self.canonical_account(&Account::Key(key))
    }
}

static ACCOUNTS: KeyAccounts = KeyAccounts {
    format: "key",
    signs_with: |_| true,
    an_account: "an account of the format key is the did:key of an Ed25519 or secp256k1 key",
};

/// The format `key`.
#[derive(Clone, Copy, Debug)]
pub struct RawKey;

impl WalletFormat for RawKey {
    fn name(&self) -> &'static str {
        ACCOUNTS.format
    }

    fn accounts(&self) -> &dyn Accounts {
        &ACCOUNTS
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519, Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::KEY
    }

    fn is_shaped(&self, signature: &str) -> bool {
        decode_signature(signature).is_some()
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        key.to_did_key().into_iter().collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let signer = ACCOUNTS.own(account)?;
        let signature = decode_signature(evidence.signature)
            .ok_or_else(|| malformed_signature("a signature is 64 bytes in base64url or 0x hex"))?;
        let key = signer.key();
        key.verify_wallet(message.text().as_bytes(), &signature).map_err(refused_signature)?;
        let subject = signer.did().to_owned();
        Ok(VerifiedSigner::proven(key.clone(), self.name(), account.clone(), subject))
    }
}

/// The 64 bytes of a signature; the two encodings cannot be mistaken for each other by length.
fn decode_signature(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.len() == 128) {
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        return Some(bytes);
    }
    if text.len() != 86 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use countersign_sdk::key::{InMemorySigner, Signer as _};

    use super::*;

    fn text_for(did: &str) -> String {
        format!(
            "app.example wants you to sign in with your key:\n{did}\n\n\nURI: https://id.example\n\
             Version: 1\nNonce: 0123456789abcdef\nIssued At: 2025-06-01T12:00:00Z"
        )
    }

    #[test]
    fn both_curves_prove_themselves() {
        for curve in [Curve::Ed25519, Curve::Secp256k1] {
            let signer = InMemorySigner::from_bytes(curve, &[9; 32]).unwrap();
            let did = signer.public_key().to_did_key().unwrap();
            let text = text_for(&did);
            let signature = signer.sign_now(text.as_bytes()).unwrap();
            let message = RawKey.read(&text).unwrap();
            for encoded in
                [URL_SAFE_NO_PAD.encode(&signature), format!("0x{}", hex::encode(&signature))]
            {
                let evidence = Evidence { signature: &encoded, public_key: None };
                assert_eq!(RawKey.verify(&message, &evidence).unwrap().subject(), did);
            }
            for encoded in [
                String::new(),
                hex::encode(&signature),
                URL_SAFE_NO_PAD.encode(&signature[..63]),
                format!("{}==", URL_SAFE_NO_PAD.encode(&signature)),
            ] {
                let evidence = Evidence { signature: &encoded, public_key: None };
                let refusal = RawKey.verify(&message, &evidence).unwrap_err();
                assert_eq!(refusal.reason(), Reason::SignatureMalformed);
            }
            let mut flipped = signature.clone();
            flipped[40] ^= 1;
            let encoded = URL_SAFE_NO_PAD.encode(&flipped);
            let evidence = Evidence { signature: &encoded, public_key: None };
            let refusal = RawKey.verify(&message, &evidence).unwrap_err();
            assert_eq!(refusal.reason(), Reason::SignatureMismatch);
        }
    }

    #[test]
    fn only_provable_keys_are_accounts() {
        let p256 = "did:key:zDnaeeqqDdCSrWVPJeHA2P7eR4hgFZof75V5fj4Udpgsx7g2Q";
        for did in ["did:key:z6Mk", p256, "did:web:a.example"] {
            let text = text_for(did);
            let refusal = RawKey.accounts().account_of(&RawKey.read(&text).unwrap()).unwrap_err();
            assert_eq!(refusal.reason(), Reason::AccountInvalid, "{did}");
        }
    }
}
