//! Wallet signatures: none that is not one is taken, and none serves for a second text.
//!
//! An input is `signature 00 text`. Where the two are a right pair, it verifies; what then is
//! changed in either must not. A second kind of input, with a first byte of 0x01, disturbs a pair
//! that the target signed itself.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::wallet::format::{Evidence, VerifiedSigner, WalletFormat};
use countersign::wallet::key::RawKey;
use countersign::wallet::siwe::{Siwe, address_of, checksummed};
use countersign::wallet::siws::Siws;
use countersign_sdk::key::Signer as _;
use k256::ecdsa::SigningKey;
use sha3::{Digest, Keccak256};

use crate::cut::Cut;
use crate::material::signer;

/// SIWE: recovery from EIP-191.
pub fn siwe(data: &[u8]) {
    judge(&Siwe, data, |_| {
        let key = signer(1);
        let address = checksummed(&address_of(key.public_key()));
        let text = body("Ethereum account", &address, "Chain ID: 1\n");
        let secret = SigningKey::from_slice(&*key.secret_bytes()).expect("a right scalar");
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
        let (rs, id) = secret.sign_prehash_recoverable(&Keccak256::digest(prefixed));
        let signature = [&rs.to_bytes()[..], &[27 + id.to_byte()]].concat();
        Pair { text, signature, encode: |bytes| format!("0x{}", hex::encode(bytes)) }
    });
}

/// SIWS: Ed25519 over the text or an envelope of it.
pub fn siws(data: &[u8]) {
    judge(&Siws, data, |choice| {
        let key = signer(0);
        let bytes: &[u8; 32] = key.public_key().as_bytes().try_into().expect("32 bytes");
        let address = bs58::encode(bytes).into_string();
        let text = body("Solana account", &address, "");
        let envelope = countersign::wallet::envelope::around(&text, "app.example", bytes)
            .nth(usize::from(choice) % 8);
        let signed = envelope.unwrap_or_else(|| text.clone().into_bytes());
        Pair {
            signature: key.sign_now(&signed).expect("the key signs"),
            text,
            encode: |bytes| STANDARD.encode(bytes),
        }
    });
}

/// Raw keys of both curves.
pub fn key(data: &[u8]) {
    judge(&RawKey, data, |choice| {
        let key = signer(usize::from(choice) % 2);
        let did = key.public_key().to_did_key().expect("a provable curve");
        let text = body("key", &did, "");
        Pair {
            signature: key.sign_now(text.as_bytes()).expect("the key signs"),
            text,
            encode: |bytes| URL_SAFE_NO_PAD.encode(bytes),
        }
    });
}

/// A text that was signed, and how its signature is written.
struct Pair {
    text: String,
    signature: Vec<u8>,
    encode: fn(&[u8]) -> String,
}

fn body(account: &str, address: &str, chain: &str) -> String {
    format!(
        "app.example wants you to sign in with your {account}:\n{address}\n\nSign in.\n\n\
         URI: https://auth.example\nVersion: 1\n{chain}Nonce: 0123456789abcdef\n\
         Issued At: 2027-01-15T08:00:00Z"
    )
}

fn judge(format: &dyn WalletFormat, data: &[u8], pair: fn(u8) -> Pair) {
    if let Some((&1, rest)) = data.split_first() {
        return disturbed(format, Cut(rest), pair);
    }
    let mut cut = Cut(data);
    let signature = cut.text();
    let text = String::from_utf8_lossy(cut.0).into_owned();
    let Some(signer) = verify(format, &text, &signature) else {
        return;
    };
    assert_eq!(signer.format(), format.name());
    assert!(format.curves().contains(&signer.key().curve()));
    assert!(format.namespaces().contains(&signer.account().namespace()));
    // The same signature for the same text with another nonce.
    let message = format.read(&text).expect("it was read");
    if let Some((before, after)) = message.around_nonce() {
        let other = format!("{before}00000000000000{after}");
        if other != text {
            assert!(verify(format, &other, &signature).is_none());
        }
    }
}

/// A right pair verifies, and with a bit changed in the text or in the signature it does not.
fn disturbed(format: &dyn WalletFormat, mut cut: Cut<'_>, pair: fn(u8) -> Pair) {
    let choice = cut.byte();
    let Pair { text, signature, encode } = pair(choice);
    let encoded = encode(&signature);
    assert!(verify(format, &text, &encoded).is_some(), "a right pair");
    if choice & 0x80 == 0 {
        let mut bytes = text.clone().into_bytes();
        if cut.disturb(&mut bytes) {
            let other = String::from_utf8_lossy(&bytes);
            assert!(verify(format, &other, &encoded).is_none(), "another text");
        }
    } else if choice & 0x40 == 0 {
        let mut bytes = signature.clone();
        if cut.disturb(&mut bytes) && !same_signature(&signature, &bytes) {
            let other = encode(&bytes);
            assert!(verify(format, &text, &other).is_none(), "another signature");
        }
    } else {
        // The spelling of the signature: what still verifies decodes to the same bytes.
        let mut bytes = encoded.clone().into_bytes();
        if cut.disturb(&mut bytes) {
            let other = String::from_utf8_lossy(&bytes);
            let verified = verify(format, &text, &other).is_some();
            let same = other.eq_ignore_ascii_case(&encoded) && other.starts_with("0x");
            let v_spelled_otherwise =
                encoded.len() == 132 && encoded.get(..130).is_some_and(|rs| other.starts_with(rs));
            assert!(!verified || same || v_spelled_otherwise, "{other}");
        }
    }
}

/// `v` has two spellings, 0 and 27 or 1 and 28, and they are one signature.
fn same_signature(one: &[u8], other: &[u8]) -> bool {
    let normal = |bytes: &[u8]| match bytes {
        [rs @ .., v @ (27 | 28)] if rs.len() == 64 => [rs, &[v - 27]].concat(),
        _ => bytes.to_vec(),
    };
    normal(one) == normal(other)
}

fn verify(format: &dyn WalletFormat, text: &str, signature: &str) -> Option<VerifiedSigner> {
    let evidence = Evidence { signature, public_key: None };
    let message = format.read(text).ok()?;
    format.verify(&message, &evidence).ok()
}
