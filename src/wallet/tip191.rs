//! TIP-191: Tron's `signMessageV2`, which is Ethereum's `personal_sign` under another name.
//!
//! The key is recovered and its address compared with the text's, 20 bytes with 20 bytes. The prefix
//! says `TRON`, so that no signature serves on both chains.
//!
//! Specs: TIP-191, TIP-104; CAIP-2 and CAIP-10 for tron.

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::chain::hash::keccak_address;
use countersign_sdk::chain::tron::{CHAINS, MAINNET, address_bytes, address_of, digest};
use countersign_sdk::key::{Curve, PublicKey, recover_secp256k1};

use super::accounts::{Accounts, Spelling};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::chain_account::{named, of_namespace, reference_in, spelling};
use super::format::{
    Evidence, VerifiedSigner, WalletFormat, malformed_signature, mismatch, refused_signature,
};
use crate::model::reason::{Reason, Refusal};

const NAMESPACE: &str = "tron";

/// The format `tip191`.
#[derive(Clone, Copy, Debug)]
pub struct Tip191;

impl WalletFormat for Tip191 {
    fn name(&self) -> &'static str {
        "tip191"
    }

    fn accounts(&self) -> &dyn Accounts {
        self
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::TRON
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let account = address_of(key).and_then(|address| account_on(MAINNET, &address).ok());
        account.iter().map(Account::to_did).collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let key = recover(message.text(), evidence.signature)?;
        if keccak_address(&key) != address_bytes(message.fields().address) {
            return Err(mismatch());
        }
        // The address is a right one: it is the key's.
        let subject = named(NAMESPACE, MAINNET, message.fields().address)?.to_did();
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

impl Accounts for Tip191 {
    fn namespaces(&self) -> &'static [&'static str] {
        &[NAMESPACE]
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        let inner = of_namespace(self.name(), NAMESPACE, account)?;
        account_on(inner.chain().reference(), inner.address())
    }

    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        let ours = chain.namespace() == NAMESPACE && CHAINS.contains(&chain.reference());
        ours.then(|| chain.clone())
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        let inner = of_namespace(self.name(), NAMESPACE, account)?;
        Ok(account_on(MAINNET, inner.address())?.to_did())
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        spelling(NAMESPACE, account)
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        account_on(reference_in(message, NAMESPACE), message.fields().address)
    }
}

/// The key that made a signature over `text`, whosever it is.
///
/// # Errors
/// `signature_malformed`, `malleable_signature`, or `signature_mismatch` where no key fits.
pub fn recover(text: &str, signature: &str) -> Result<PublicKey, Refusal> {
    let (rs, recovery_id) = decode(signature).ok_or_else(|| {
        malformed_signature("a signature is 0x and 130 hex digits: r, s, v with v 0, 1, 27 or 28")
    })?;
    recover_secp256k1(&digest(text), &rs, recovery_id).map_err(refused_signature)
}

fn decode(signature: &str) -> Option<([u8; 64], u8)> {
    let mut bytes = [0; 65];
    hex::decode_to_slice(signature.strip_prefix("0x")?, &mut bytes).ok()?;
    let [rs @ .., v] = bytes;
    match v {
        0 | 27 => Some((rs, 0)),
        1 | 28 => Some((rs, 1)),
        _ => None,
    }
}

fn account_on(reference: &str, address: &str) -> Result<Account, Refusal> {
    if !CHAINS.contains(&reference) {
        return Err(Refusal::new(
            Reason::ChainNotAllowed,
            "a chain of tron is 0x2b6653dc (main network), 0xcd8690dc (Nile) or 0x94a9059e (Shasta)",
        ));
    }
    if address_bytes(address).is_none() {
        return Err(Refusal::new(
            Reason::AccountInvalid,
            "a Tron address is T… in Base58Check, 34 characters",
        ));
    }
    named(NAMESPACE, reference, address)
}

#[cfg(test)]
mod tests {
    use countersign_sdk::key::{InMemorySigner, Signer as _};

    use super::*;

    fn signer(byte: u8) -> InMemorySigner {
        InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap()
    }

    fn text_for(address: &str) -> String {
        format!(
            "app.example wants you to sign in with your Tron account:\n{address}\n\nSign in.\n\n\
             URI: https://id.example\nVersion: 1\nChain ID: {MAINNET}\nNonce: 0123456789abcdef\n\
             Issued At: 2025-06-01T12:00:00Z"
        )
    }

    fn sign(signer: &InMemorySigner, digest: [u8; 32]) -> ([u8; 64], u8) {
        signer.sign_digest_recoverable(&digest).unwrap()
    }

    fn reason(text: &str, signature: &str) -> Result<(), Reason> {
        let evidence = Evidence { signature, public_key: None };
        Tip191
            .read(text)
            .and_then(|message| Tip191.verify(&message, &evidence))
            .map(|_| ())
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn the_right_signature_in_each_encoding_and_no_other() {
        let text = text_for(&address_of(signer(9).public_key()).unwrap());
        let (rs, v) = sign(&signer(9), digest(&text));
        let written = |rs: &[u8], v: u8| format!("0x{}{v:02x}", hex::encode(rs));
        for v in [v, 27 + v] {
            assert_eq!(reason(&text, &written(&rs, v)), Ok(()));
        }
        let right = written(&rs, 27 + v);
        assert_eq!(reason(&text, &right.to_uppercase().replace("0X", "0x")), Ok(()));
        let mut flipped = rs;
        flipped[40] ^= 1;
        let mut high = rs;
        high[32] = 0xf0;
        let (other, other_v) = sign(&signer(8), digest(&text));
        // The envelope of Ethereum, and of TronWeb's first `sign`.
        let ethereum = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
        let (ethereum, ethereum_v) =
            sign(&signer(9), countersign_sdk::chain::hash::keccak256(ethereum.as_bytes()));
        let (malformed, mismatch) = (Reason::SignatureMalformed, Reason::SignatureMismatch);
        for (signature, expected) in [
            (written(&rs, 28 - v), mismatch),
            (written(&flipped, 27 + v), mismatch),
            (written(&other, other_v), mismatch),
            (written(&ethereum, ethereum_v), mismatch),
            (written(&high, 27 + v), Reason::MalleableSignature),
            (written(&rs, 2), malformed),
            (written(&rs, 29), malformed),
            (written(&[0; 64], 27), malformed),
            (right[2..].to_owned(), malformed),
            (right[..132 - 2].to_owned(), malformed),
            (format!("{right}00"), malformed),
            (String::new(), malformed),
            ("0x".to_owned() + &"0".repeat(100_000), malformed),
        ] {
            assert_eq!(reason(&text, &signature), Err(expected), "{signature:.140}");
        }
        let elsewhere = text.replace("app.example wants", "evil.example wants");
        assert_eq!(reason(&elsewhere, &right), Err(mismatch));
    }

    #[test]
    fn accounts_are_trons() {
        let address = address_of(signer(9).public_key()).unwrap();
        let subject = |text: &str| {
            let account: Account = text.parse().unwrap();
            let canonical = Tip191.canonical_account(&account);
            canonical
                .and_then(|account| Tip191.subject_of(&account))
                .map_err(|refusal| refusal.reason())
        };
        let main = format!("tron:{MAINNET}:{address}");
        for chain in CHAINS {
            let account = format!("tron:{chain}:{address}");
            assert_eq!(subject(&account), Ok(format!("did:pkh:{main}")));
        }
        assert_eq!(Tip191.subjects_of_key(signer(9).public_key()), [format!("did:pkh:{main}")]);
        assert_eq!(subject(&main.replace("0x2b", "0x2c")), Err(Reason::ChainNotAllowed));
        assert_eq!(subject(&main[..main.len() - 1]), Err(Reason::AccountInvalid));
        assert_eq!(subject(&format!("eip155:1:{address}")), Err(Reason::FormatUnsupported));
        let bitcoin = format!("tron:{MAINNET}:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2");
        assert_eq!(subject(&bitcoin), Err(Reason::AccountInvalid));
    }
}
