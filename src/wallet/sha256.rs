//! ECDSA over the SHA-256 of the text, for wallets that are an API: the key is the account.
//!
//! The signature is what the format `key` takes of a secp256k1 key, in the encodings that such
//! wallets write: 64 bytes r‖s in hex, with or without `0x`, or in base64 with its padding.
//!
//! Specs: SEC 1, the did:key method.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::key::{Curve, PublicKey};

use super::accounts::Accounts;
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, VerifiedSigner, WalletFormat, malformed_signature, refused_signature,
};
use super::key::KeyAccounts;
use crate::model::reason::Refusal;

static ACCOUNTS: KeyAccounts = KeyAccounts {
    format: "sha256",
    signs_with: |key| key.curve() == Curve::Secp256k1,
    an_account: "an account of the format sha256 is the did:key of a secp256k1 key",
};

/// The format `sha256`.
#[derive(Clone, Copy, Debug)]
pub struct Sha256Text;

impl WalletFormat for Sha256Text {
    fn name(&self) -> &'static str {
        ACCOUNTS.format
    }

    fn accounts(&self) -> &dyn Accounts {
        &ACCOUNTS
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::KEY
    }

    /// Hex with `0x` is also of the format `key`, which it is left to.
    fn is_shaped(&self, signature: &str) -> bool {
        let as_key = signature.len() == 130 && signature.starts_with("0x");
        !as_key && decode(signature).is_some()
    }

    /// None: `key`, of the same namespace, gives it.
    fn subjects_of_key(&self, _key: &PublicKey) -> Vec<String> {
        Vec::new()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let signer = ACCOUNTS.own(account)?;
        let signature = decode(evidence.signature).ok_or_else(|| {
            malformed_signature("a signature is 64 bytes, r and s, in hex or in base64")
        })?;
        let key = signer.key();
        key.verify_wallet(message.text().as_bytes(), &signature).map_err(refused_signature)?;
        let subject = signer.did().to_owned();
        Ok(VerifiedSigner::proven(key.clone(), self.name(), account.clone(), subject))
    }
}

fn decode(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    // By length first: base64 may begin with `0x` as well.
    let digits = match text.len() {
        88 => return STANDARD.decode(text).ok()?.try_into().ok(),
        130 => text.strip_prefix("0x")?,
        _ => text,
    };
    hex::decode_to_slice(digits, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use countersign_sdk::key::{InMemorySigner, Signer as _};

    use super::super::key::RawKey;
    use super::*;
    use crate::model::reason::Reason;

    fn signer(byte: u8) -> InMemorySigner {
        InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap()
    }

    fn text_for(did: &str) -> String {
        format!(
            "app.example wants you to sign in with your key:\n{did}\n\n\nURI: https://id.example\n\
             Version: 1\nNonce: 0123456789abcdef\nIssued At: 2025-06-01T12:00:00Z"
        )
    }

    fn reason(text: &str, signature: &str) -> Result<(), Reason> {
        let evidence = Evidence { signature, public_key: None };
        Sha256Text
            .read(text)
            .and_then(|message| Sha256Text.verify(&message, &evidence))
            .map(|_| ())
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn the_right_signature_in_each_encoding_and_no_other() {
        let ours = signer(9);
        let text = text_for(&ours.public_key().to_did_key().unwrap());
        let right = ours.sign_now(text.as_bytes()).unwrap();
        let hex = hex::encode(&right);
        for signature in [&hex, &hex.to_uppercase(), &format!("0x{hex}"), &STANDARD.encode(&right)]
        {
            assert_eq!(reason(&text, signature), Ok(()), "{signature}");
            assert_ne!(Sha256Text.is_shaped(signature), RawKey.is_shaped(signature));
        }
        let with = |place: usize, byte: u8| {
            let mut bytes = right.clone();
            bytes[place] = byte;
            hex::encode(bytes)
        };
        let (malformed, mismatch) = (Reason::SignatureMalformed, Reason::SignatureMismatch);
        for (signature, expected) in [
            (with(40, right[40] ^ 1), mismatch),
            (with(32, 0xf0), Reason::MalleableSignature),
            (hex::encode(signer(8).sign_now(text.as_bytes()).unwrap()), mismatch),
            (hex::encode([0; 64]), malformed),
            (hex[2..].to_owned(), malformed),
            (format!("{hex}00"), malformed),
            (format!("{hex}1b"), malformed),
            (STANDARD.encode(&right).trim_end_matches('=').to_owned(), malformed),
            (format!("0x{}", STANDARD.encode(&right)), malformed),
            (String::new(), malformed),
        ] {
            assert_eq!(reason(&text, &signature), Err(expected), "{signature}");
        }
        let elsewhere = text.replace("app.example wants", "evil.example wants");
        assert_eq!(reason(&elsewhere, &hex), Err(mismatch));
    }

    #[test]
    fn other_curves_are_no_accounts() {
        let other = InMemorySigner::from_bytes(Curve::Ed25519, &[9; 32]).unwrap();
        let text = text_for(&other.public_key().to_did_key().unwrap());
        let signature = hex::encode(other.sign_now(text.as_bytes()).unwrap());
        assert_eq!(reason(&text, &signature), Err(Reason::AccountInvalid));
    }
}
