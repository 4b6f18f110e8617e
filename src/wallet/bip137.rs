//! BIP-137, Bitcoin's old `signmessage`: the key is recovered, and its address compared.
//!
//! A header byte in front of r and s tells the recovery id and which kind of address is meant. Many
//! wallets write the header of P2PKH for every address, so the kind is not believed either way: what
//! counts is that the recovered key has the very address that the text names. Every kind of one key
//! is taken so, Taproot by BIP-86 among them, whose internal key is the one that signs here.
//!
//! Specs: BIP-137, BIP-86 for P2TR.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::chain::bip137::digest;
use countersign_sdk::chain::bitcoin::Address;
use countersign_sdk::key::{Curve, PublicKey, recover_secp256k1};

use super::accounts::Accounts;
use super::bitcoin::{self, BitcoinAccounts};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, VerifiedSigner, WalletFormat, malformed_signature, mismatch, refused_signature,
};
use crate::model::reason::Refusal;

/// The characters of 65 bytes in base64.
const CHARACTERS: usize = 88;

static ACCOUNTS: BitcoinAccounts = BitcoinAccounts { format: "bip137", signs_for: |_| Ok(()) };

/// The format `bip137`.
#[derive(Clone, Copy, Debug)]
pub struct Bip137;

impl WalletFormat for Bip137 {
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
        &caip122::BITCOIN
    }

    fn is_shaped(&self, signature: &str) -> bool {
        decode(signature).is_some()
    }

    /// None: `bip322`, of the same namespace, gives them.
    fn subjects_of_key(&self, _key: &PublicKey) -> Vec<String> {
        Vec::new()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let address = bitcoin::address_of(self.name(), account)?;
        let key = prove(&address, message.text(), evidence.signature)?;
        let subject = bitcoin::subject_of_address(&address)?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

/// The key that signed `text` and has `address`.
///
/// # Errors
/// `signature_malformed`, `malleable_signature` or `signature_mismatch`.
pub fn prove(address: &Address, text: &str, signature: &str) -> Result<PublicKey, Refusal> {
    let (recovery_id, rs) = decode(signature).ok_or_else(|| {
        malformed_signature(
            "a signature is the base64 of 65 bytes: a header from 27 to 42, r and s",
        )
    })?;
    let key = recover_secp256k1(&digest(text), &rs, recovery_id).map_err(refused_signature)?;
    if address.script().is_of(&key) { Ok(key) } else { Err(mismatch()) }
}

/// The recovery id, which is the header's place in its group of four, and r‖s.
fn decode(signature: &str) -> Option<(u8, [u8; 64])> {
    if signature.len() != CHARACTERS {
        return None;
    }
    let bytes: [u8; 65] = STANDARD.decode(signature).ok()?.try_into().ok()?;
    let [header @ 27..=42, rs @ ..] = bytes else {
        return None;
    };
    Some(((header - 27) & 3, rs))
}

#[cfg(test)]
mod tests {
    use countersign_sdk::chain::bitcoin::{Kind, Network, Script};
    use countersign_sdk::key::{InMemorySigner, Signer as _};

    use super::super::bip322::Bip322;
    use super::super::bitcoin::tests::text_for;
    use super::*;
    use crate::model::reason::Reason;

    fn signer(byte: u8) -> InMemorySigner {
        InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap()
    }

    fn sign(signer: &InMemorySigner, first: u8, text: &str) -> Vec<u8> {
        let (rs, id) = signer.sign_digest_recoverable(&digest(text)).unwrap();
        [&[first + id], &rs[..]].concat()
    }

    fn reason(text: &str, signature: &str) -> Result<(), Reason> {
        let evidence = Evidence { signature, public_key: None };
        Bip137
            .read(text)
            .and_then(|message| Bip137.verify(&message, &evidence))
            .map(|_| ())
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn every_address_of_the_key_under_every_header() {
        let ours = signer(9);
        for kind in Kind::ALL {
            let script = Script::of_key(ours.public_key(), kind).unwrap();
            let text = text_for(&Address::new(Network::Main, script).to_string());
            for first in [27, 31, 35, 39] {
                let right = STANDARD.encode(sign(&ours, first, &text));
                assert_eq!(reason(&text, &right), Ok(()), "{kind:?} {first}");
                assert!(Bip137.is_shaped(&right) && !Bip322.is_shaped(&right));
                let other = STANDARD.encode(sign(&signer(8), first, &text));
                assert_eq!(reason(&text, &other), Err(Reason::SignatureMismatch));
            }
        }
        let subjects = Bip322.subjects_of_key(ours.public_key());
        assert_eq!(subjects.len(), Kind::ALL.len() + 1);
    }

    #[test]
    fn nothing_but_the_right_bytes() {
        let ours = signer(9);
        let script = Script::of_key(ours.public_key(), Kind::P2pkh).unwrap();
        let text = text_for(&Address::new(Network::Main, script).to_string());
        let right = sign(&ours, 31, &text);
        let with = |place: usize, byte: u8| {
            let mut bytes = right.clone();
            bytes[place] = byte;
            STANDARD.encode(bytes)
        };
        let encoded = STANDARD.encode(&right);
        let (malformed, mismatch) = (Reason::SignatureMalformed, Reason::SignatureMismatch);
        for (signature, expected) in [
            (with(64, right[64] ^ 1), mismatch),
            (with(0, 31 + ((right[0] - 31) ^ 1)), mismatch),
            // An id of 2 says that r exceeded the order, which this one did not.
            (with(0, 31 + ((right[0] - 31) ^ 2)), mismatch),
            (with(0, 26), malformed),
            (with(0, 43), malformed),
            // s begins with 0xff: below the order, and high.
            (with(33, 0xff), Reason::MalleableSignature),
            (STANDARD.encode(&right[..64]), malformed),
            (STANDARD.encode([&right[..], &[0]].concat()), malformed),
            (encoded.trim_end_matches('=').to_owned(), malformed),
            (format!(" {}", &encoded[1..]), malformed),
            (hex::encode(&right), malformed),
            (String::new(), malformed),
        ] {
            assert_eq!(reason(&text, &signature), Err(expected), "{signature}");
        }
        let elsewhere = text.replace("app.example wants", "evil.example wants");
        assert_eq!(reason(&elsewhere, &encoded), Err(mismatch));
        let nothing = STANDARD.encode([&[31], &[0; 64][..]].concat());
        assert_eq!(reason(&text, &nothing), Err(malformed));
    }
}
