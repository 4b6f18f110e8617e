//! BIP-322, the simple kind: a Bitcoin wallet signs a transaction that can never be sent.
//!
//! The signature is a witness stack in base64, with the prefix `smp` or, as wallets wrote it before
//! there was one, without. One key answers for three kinds of address: P2WPKH, the same within
//! P2SH, and P2TR by its key path. Scripts are refused by name, and so are the kinds `ful` and
//! `pof`. The key is the one that the witness shows and the address commits to; for P2TR it is the
//! output key, which is not the wallet's internal one.
//!
//! Specs: BIP-322, BIP-143, BIP-341, BIP-340; BIP-66 and BIP-146 (strict DER, low S).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::chain::bip322::{
    PREFIX, SIGHASH_ALL, SIGHASH_DEFAULT, decode_witness, sighash_p2tr, sighash_p2wpkh,
};
use countersign_sdk::chain::bitcoin::{Address, Kind, Script};
use countersign_sdk::chain::hash::hash160;
use countersign_sdk::key::secp256k1::{LowS, verify_digest, verify_schnorr};
use countersign_sdk::key::{Curve, PublicKey, ecdsa_from_der};

use super::accounts::Accounts;
use super::bitcoin::{self, BitcoinAccounts};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, MAX_SIGNATURE, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    refused_signature,
};
use crate::model::reason::{Reason, Refusal};

static ACCOUNTS: BitcoinAccounts = BitcoinAccounts { format: "bip322", signs_for: with_witness };

/// The format `bip322`.
#[derive(Clone, Copy, Debug)]
pub struct Bip322;

impl WalletFormat for Bip322 {
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
        let one_or_two = |items: Vec<&[u8]>| (1..=2).contains(&items.len());
        decode(signature).is_ok_and(|bytes| decode_witness(&bytes).is_some_and(one_or_two))
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        bitcoin::subjects_of_key(key)
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

/// The key that signed `text` for `address`.
///
/// # Errors
/// `signature_malformed`, `malleable_signature`, `signature_mismatch`; `format_unsupported` for a
/// P2PKH address and `account_invalid` for one whose key is no point of the curve.
pub fn prove(address: &Address, text: &str, signature: &str) -> Result<PublicKey, Refusal> {
    let bytes = decode(signature)?;
    let items = decode_witness(&bytes)
        .ok_or_else(|| malformed_signature("the signature is not a witness stack"))?;
    match address.script() {
        Script::P2pkh(_) => Err(without_witness()),
        script @ (Script::P2sh(_) | Script::P2wpkh(_)) => prove_p2wpkh(script, text, &items),
        Script::P2tr(output_key) => prove_p2tr(output_key, text, &items),
    }
}

fn prove_p2wpkh(script: &Script, text: &str, items: &[&[u8]]) -> Result<PublicKey, Refusal> {
    let shape = "the witness of one key is a DER signature with SIGHASH_ALL and a compressed key; \
                 scripts are not supported";
    let malformed = || malformed_signature(shape);
    let [signed, shown] = items else {
        return Err(malformed());
    };
    let (sighash, der) = signed.split_last().ok_or_else(malformed)?;
    let signature =
        ecdsa_from_der(der).filter(|_| *sighash == SIGHASH_ALL).ok_or_else(malformed)?;
    if !matches!((shown.len(), shown.first()), (33, Some(2 | 3))) {
        return Err(malformed());
    }
    let key_hash = hash160(shown);
    let key = PublicKey::from_sec1(Curve::Secp256k1, shown).map_err(|_| malformed())?;
    let kind = match script {
        Script::P2sh(_) => Kind::P2shP2wpkh,
        Script::P2pkh(_) | Script::P2wpkh(_) | Script::P2tr(_) => Kind::P2wpkh,
    };
    if Script::of_key(&key, kind).as_ref() != Some(script) {
        return Err(mismatch());
    }
    let digest = sighash_p2wpkh(script, &key_hash, text);
    verify_digest(&key, &digest, &signature, LowS::Required).map_err(refused_signature)?;
    Ok(key)
}

fn prove_p2tr(output_key: &[u8; 32], text: &str, items: &[&[u8]]) -> Result<PublicKey, Refusal> {
    let [signed] = items else {
        return Err(malformed_signature(
            "the witness of a Taproot key path is one signature; script paths are not supported",
        ));
    };
    let (signature, sighash) = match (signed.len(), signed.split_last()) {
        (64, _) => (*signed, SIGHASH_DEFAULT),
        (65, Some((&SIGHASH_ALL, signature))) => (signature, SIGHASH_ALL),
        _ => {
            return Err(malformed_signature(
                "a Taproot signature has 64 bytes, or 65 with SIGHASH_ALL",
            ));
        }
    };
    let key = PublicKey::from_x_only(output_key).map_err(|_| {
        Refusal::new(Reason::AccountInvalid, "the address shows no point of the curve")
    })?;
    let digest = sighash_p2tr(output_key, sighash, text);
    verify_schnorr(&key, &digest, signature).map_err(refused_signature)?;
    Ok(key)
}

/// The bytes of a simple signature.
fn decode(signature: &str) -> Result<Vec<u8>, Refusal> {
    if signature.len() > MAX_SIGNATURE {
        return Err(malformed_signature("a simple signature has 1024 characters at most"));
    }
    if ["ful", "pof"].iter().any(|prefix| signature.starts_with(prefix)) {
        let detail = "of BIP-322 only the simple kind is supported, not `ful` and not `pof`";
        return Err(malformed_signature(detail));
    }
    STANDARD
        .decode(signature.strip_prefix(PREFIX).unwrap_or(signature))
        .map_err(|_| malformed_signature("a signature is base64, with or without `smp` before it"))
}

/// Whether an address has a witness, as all but P2PKH have.
fn with_witness(address: &Address) -> Result<(), Refusal> {
    match address.script() {
        Script::P2pkh(_) => Err(without_witness()),
        Script::P2sh(_) | Script::P2wpkh(_) | Script::P2tr(_) => Ok(()),
    }
}

fn without_witness() -> Refusal {
    Refusal::new(
        Reason::FormatUnsupported,
        "P2PKH addresses have no witness and sign in with the format bip137",
    )
}

#[cfg(test)]
mod tests {
    use countersign_sdk::chain::bip322::encode_witness;
    use countersign_sdk::chain::bitcoin::Network;
    use countersign_sdk::key::{InMemorySigner, Signer as _, ecdsa_to_der};

    use super::super::bitcoin::tests::text_for;
    use super::*;

    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    fn signer(byte: u8) -> InMemorySigner {
        InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap()
    }

    fn address(signer: &InMemorySigner, kind: Kind) -> Address {
        Address::new(Network::Main, Script::of_key(signer.public_key(), kind).unwrap())
    }

    /// The two items of a witness over `text`.
    fn ecdsa(signer: &InMemorySigner, address: &Address, text: &str) -> (Vec<u8>, Vec<u8>) {
        let key = signer.public_key().compressed_secp256k1().unwrap();
        let digest = sighash_p2wpkh(address.script(), &hash160(&key), text);
        let (signature, _) = signer.sign_digest_recoverable(&digest).unwrap();
        ([ecdsa_to_der(&signature), vec![SIGHASH_ALL]].concat(), key.to_vec())
    }

    fn witness(items: &[&[u8]]) -> String {
        STANDARD.encode(encode_witness(items))
    }

    fn reason(text: &str, signature: &str) -> Result<(), Reason> {
        let evidence = Evidence { signature, public_key: None };
        Bip322
            .read(text)
            .and_then(|message| Bip322.verify(&message, &evidence))
            .map(|_| ())
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn one_key_and_the_two_kinds_of_ecdsa_address() {
        for kind in [Kind::P2wpkh, Kind::P2shP2wpkh] {
            let ours = signer(9);
            let address = address(&ours, kind);
            let text = text_for(&address.to_string());
            let (signed, key) = ecdsa(&ours, &address, &text);
            let right = witness(&[&signed, &key]);
            assert!(Bip322.is_shaped(&right));
            assert_eq!(reason(&text, &right), Ok(()));
            assert_eq!(reason(&text, &format!("smp{right}")), Ok(()));
            let (by_other, other_key) = ecdsa(&signer(8), &address, &text);
            let malformed = Err(Reason::SignatureMalformed);
            let none = [signed.split_last().unwrap().1, &[2]].concat();
            let high = high_s(&signed);
            let changed = |place: usize| {
                let mut signed = signed.clone();
                signed[place] ^= 1;
                witness(&[&signed, &key])
            };
            let wrong_parity = [&[key[0] ^ 1], &key[1..]].concat();
            for (signature, expected) in [
                (witness(&[&by_other, &other_key]), Err(Reason::SignatureMismatch)),
                (witness(&[&by_other, &key]), Err(Reason::SignatureMismatch)),
                (witness(&[&signed, &wrong_parity]), Err(Reason::SignatureMismatch)),
                (changed(signed.len() - 2), Err(Reason::SignatureMismatch)),
                (witness(&[&high, &key]), Err(Reason::MalleableSignature)),
                (witness(&[&none, &key]), malformed),
                (witness(&[&signed[..signed.len() - 1], &key]), malformed),
                (witness(&[&signed, &key[..32]]), malformed),
                (witness(&[&signed, ours.public_key().as_bytes()]), malformed),
                (witness(&[&signed, &key, &[]]), malformed),
                (witness(&[&signed]), malformed),
                (witness(&[]), malformed),
                (changed(0), malformed),
                (right.trim_end_matches('=').to_owned() + "AA", malformed),
                (format!("ful{right}"), malformed),
                (format!("pof{right}"), malformed),
                (format!("smpsmp{right}"), malformed),
                (format!("{right}\n"), malformed),
                (String::new(), malformed),
                ("A".repeat(2000), malformed),
            ] {
                assert_eq!(reason(&text, &signature), expected, "{kind:?} {signature}");
            }
            let elsewhere = text.replace("app.example wants", "evil.example wants");
            assert_eq!(reason(&elsewhere, &right), Err(Reason::SignatureMismatch));
        }
    }

    #[test]
    fn taproot_by_its_key_path() {
        let ours = signer(9);
        let address = address(&ours, Kind::P2tr);
        let Script::P2tr(output) = address.script() else { unreachable!() };
        let text = text_for(&address.to_string());
        let plain = ours.sign_taproot(&sighash_p2tr(output, SIGHASH_DEFAULT, &text)).unwrap();
        let all = ours.sign_taproot(&sighash_p2tr(output, SIGHASH_ALL, &text)).unwrap();
        let all = [&all[..], &[SIGHASH_ALL]].concat();
        assert_eq!(reason(&text, &witness(&[&plain])), Ok(()));
        assert_eq!(reason(&text, &witness(&[&all])), Ok(()));
        let untweaked = ours.sign_schnorr(&sighash_p2tr(output, SIGHASH_DEFAULT, &text)).unwrap();
        let mut flipped = plain;
        flipped[40] ^= 1;
        let mut beyond = plain;
        beyond[32..].copy_from_slice(&hex::decode(ORDER).unwrap());
        let (malformed, mismatch) = (Reason::SignatureMalformed, Reason::SignatureMismatch);
        for (items, expected) in [
            (vec![&untweaked[..]], mismatch),
            (vec![&flipped[..]], mismatch),
            // The type is part of what is signed.
            (vec![&all[..64]], mismatch),
            (vec![&beyond[..]], malformed),
            (vec![&plain[..63]], malformed),
            (vec![&plain[..], &[0x50]], malformed),
            (vec![&[&plain[..], &[0]].concat()[..]], malformed),
            (vec![&plain[..], &[0x51], &[0xc0; 33]], malformed),
        ] {
            assert_eq!(reason(&text, &witness(&items)), Err(expected));
        }
        // The key that is proven is the one that the address shows.
        let message = Bip322.read(&text).unwrap();
        let signature = witness(&[&plain]);
        let evidence = Evidence { signature: &signature, public_key: None };
        let proven = Bip322.verify(&message, &evidence).unwrap();
        assert_eq!(proven.key().x_only().as_ref(), Some(output));
        assert!(Bip322.subjects_of_key(proven.key()).contains(&proven.subject().to_owned()));
    }

    #[test]
    fn an_output_key_that_is_no_point_proves_nothing() {
        // From the vectors of BIP-340.
        let x = "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34";
        let output: [u8; 32] = hex::decode(x).unwrap().try_into().unwrap();
        let address = Address::new(Network::Main, Script::P2tr(output));
        let text = text_for(&address.to_string());
        let signature = witness(&[&[1; 64]]);
        assert_eq!(reason(&text, &signature), Err(Reason::AccountInvalid));
    }

    #[test]
    fn other_addresses_are_refused_by_name() {
        let p2pkh = address(&signer(9), Kind::P2pkh);
        let text = text_for(&p2pkh.to_string());
        assert_eq!(reason(&text, &witness(&[&[1]])), Err(Reason::FormatUnsupported));
        let account = Bip322.accounts().account_of(&Bip322.read(&text).unwrap()).unwrap();
        assert!(Bip322.accounts().canonical_account(&account).is_err());
        let p2wsh = "bc1qp0ahvfh83088w49k405szqgg4f3pptr7p2g06tdxfjcd40z4lh4q95lsz9";
        assert_eq!(reason(&text_for(p2wsh), &witness(&[&[1]])), Err(Reason::AccountInvalid));
    }

    /// The same signature with n - s.
    fn high_s(signed: &[u8]) -> Vec<u8> {
        let mut signature = ecdsa_from_der(&signed[..signed.len() - 1]).unwrap();
        let order = hex::decode(ORDER).unwrap();
        let mut borrow = 0;
        for place in (0..32).rev() {
            let difference = i16::from(order[place]) - i16::from(signature[32 + place]) - borrow;
            borrow = i16::from(difference < 0);
            signature[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        [ecdsa_to_der(&signature), vec![SIGHASH_ALL]].concat()
    }
}
