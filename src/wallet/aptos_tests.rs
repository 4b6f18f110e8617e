//! What the format `aptos` takes and refuses.

use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::*;
use crate::model::reason::Reason;
use crate::wallet::samples::{self, SMALL_KEY, SMALL_SIGNATURE, disturbed, high_s, plus_order};

/// A key, the encoding in which its wallet sends it, and one of its addresses.
struct Wallet {
    signer: InMemorySigner,
    public_key: String,
    address: String,
}

fn wallet(curve: Curve, seed: u8, which: usize) -> Wallet {
    let signer = InMemorySigner::from_bytes(curve, &[seed; 32]).unwrap();
    let bytes = signer.public_key().as_bytes().to_vec();
    let address = addresses(curve, &bytes)[which].clone();
    Wallet { signer, public_key: format!("0x{}", hex::encode(bytes)), address }
}

/// One of each kind: Ed25519 as accounts began, and both curves as SingleKey.
fn wallets() -> [Wallet; 3] {
    [wallet(Curve::Ed25519, 7, 0), wallet(Curve::Ed25519, 7, 1), wallet(Curve::Secp256k1, 7, 0)]
}

impl Wallet {
    fn text(&self) -> String {
        text_for(&self.address)
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match self.signer.public_key().curve() {
            Curve::Ed25519 => self.signer.sign_now(bytes).unwrap(),
            Curve::Secp256k1 | Curve::P256 => {
                let digest = digest(bytes);
                self.signer.sign_digest_recoverable(&digest).unwrap().0.to_vec()
            }
        }
    }

    fn judge(&self, text: &str, signature: &[u8]) -> Result<String, Reason> {
        let signature = format!("0x{}", hex::encode(signature));
        samples::judge(&Aptos, text, &signature, Some(&self.public_key))
    }
}

fn text_for(address: &str) -> String {
    let text = samples::text("Aptos account", address, "");
    text.replace("12:05:00Z", "12:05:00Z\nChain ID: aptos:mainnet")
}

fn wrapped(text: &str, address: &str) -> Vec<String> {
    wrappings(&Aptos.read(text).unwrap(), address, "1")
}

#[test]
fn each_kind_of_account_signs_in() {
    for wallet in wallets() {
        let text = wallet.text();
        let signature = wallet.sign(&sign_in_bytes(&text));
        let subject = Ok(format!("did:pkh:aptos:1:{}", wallet.address));
        assert_eq!(wallet.judge(&text, &signature), subject);
        // As AnyPublicKey and AnySignature of a SingleKey account.
        let bytes = hex::decode(&wallet.public_key[2..]).unwrap();
        let (variant, length) = if bytes.len() == 65 { (1, 65) } else { (0, 32) };
        let any_key = hex::encode([&[variant, length], &bytes[..]].concat());
        let any_signature = hex::encode([&[variant, 64], &signature[..]].concat());
        assert_eq!(samples::judge(&Aptos, &text, &any_signature, Some(&any_key)), subject);
        let other_variant = hex::encode([&[1 - variant, 64], &signature[..]].concat());
        let got = samples::judge(&Aptos, &text, &other_variant, Some(&any_key));
        assert_eq!(got, Err(Reason::SignatureMalformed));
    }
}

#[test]
fn the_full_message_is_taken_with_the_origin_and_with_or_without_the_rest() {
    for wallet in wallets() {
        let text = wallet.text();
        let all = wrapped(&text, &wallet.address);
        assert_eq!(
            all[0],
            format!(
                "APTOS\naddress: {}\napplication: https://app.example\nchainId: 1\n\
                 message: {text}\nnonce: 0123456789abcdef",
                wallet.address
            )
        );
        let origin = "application: https://app.example\n";
        let least = format!("APTOS\n{origin}message: {text}\nnonce: 0123456789abcdef");
        assert_eq!((all.len(), &all[3]), (4, &least));
        let without = all.iter().map(|full| full.replace(origin, ""));
        for none in without.chain([all[0].replace(origin, "application: \n")]) {
            let signature = wallet.sign(none.as_bytes());
            assert_eq!(wallet.judge(&text, &signature), Err(Reason::SignatureMismatch), "{none}");
        }
        for full in &all {
            let signature = wallet.sign(full.as_bytes());
            assert!(wallet.judge(&text, &signature).is_ok(), "{full}");
            let answer = |full: &str| {
                let answer = json!({"signature": hex::encode(&signature), "fullMessage": full});
                samples::judge(&Aptos, &text, &answer.to_string(), Some(&wallet.public_key))
            };
            assert!(answer(full).is_ok(), "{full}");
            assert_eq!(answer(&text), Err(Reason::SignatureMismatch));
        }
    }
}

#[test]
fn a_full_message_that_is_not_ours_is_none() {
    let [wallet, ..] = wallets();
    let text = wallet.text();
    let right = &wrapped(&text, &wallet.address)[0];
    for other in [
        right.replace("APTOS\n", ""),
        right.replace("APTOS", "aptos"),
        right.replace("https://app", "https://evil"),
        right.replace("nonce: 0123456789abcdef", "nonce: 1"),
        right.replace("chainId: 1", "chainId: 2"),
        right.replace("chainId", "chain_id"),
        format!("{right}\n"),
        format!("{right}\nmessage: {text}\nnonce: 0123456789abcdef"),
        right.replace("message: ", "message: evil\nmessage: "),
        text.clone(),
        format!("SIGN_IN_WITH_APTOS::{text}"),
    ] {
        assert_ne!(other, *right);
        let signature = wallet.sign(other.as_bytes());
        assert_eq!(wallet.judge(&text, &signature), Err(Reason::SignatureMismatch), "{other}");
        let answer = json!({"signature": hex::encode(signature), "fullMessage": other});
        let got = samples::judge(&Aptos, &text, &answer.to_string(), Some(&wallet.public_key));
        assert_eq!(got, Err(Reason::SignatureMismatch), "{other}");
    }
}

#[test]
fn no_other_signature_is_one() {
    for wallet in wallets() {
        let text = wallet.text();
        let signature = wallet.sign(&sign_in_bytes(&text));
        for other in disturbed(&signature) {
            assert!(wallet.judge(&text, &other).is_err());
        }
        let mismatch = Err(Reason::SignatureMismatch);
        assert_eq!(wallet.judge(&text.replace("app.", "evil."), &signature), mismatch);
        let (twin, reason) = if wallet.public_key.len() == 2 + 130 {
            (high_s(&signature), Reason::MalleableSignature)
        } else {
            (plus_order(&signature), Reason::SignatureMalformed)
        };
        let got = wallet.judge(&text, &twin);
        assert!(got == Err(reason) || got == mismatch, "{got:?}");
        assert_ne!(twin, signature);
    }
}

#[test]
fn the_key_must_be_the_accounts_own() {
    let [legacy, single, secp] = wallets();
    let other = wallet(Curve::Ed25519, 8, 0);
    let text = legacy.text();
    let signature = format!("0x{}", hex::encode(other.sign(&sign_in_bytes(&text))));
    for key in [&other.public_key, &secp.public_key] {
        let got = samples::judge(&Aptos, &text, &signature, Some(key));
        assert_eq!(got, Err(Reason::SignatureMismatch));
    }
    assert_ne!(legacy.address, single.address, "one key, two accounts");
    let malformed = Err(Reason::SignatureMalformed);
    assert_eq!(samples::judge(&Aptos, &text, &signature, None), malformed);
    for key in ["", "0x", "00", &other.public_key[..64], &format!("{}00", other.public_key)] {
        assert_eq!(samples::judge(&Aptos, &text, &signature, Some(key)), malformed, "{key}");
    }
    // A SingleKey account of secp256r1 (variant 2), which is not taken.
    let r1 = format!("0241{}", "04".repeat(65));
    assert_eq!(samples::judge(&Aptos, &text, &signature, Some(&r1)), malformed);
}

#[test]
fn a_key_of_small_order_proves_nothing() {
    for address in addresses(Curve::Ed25519, &SMALL_KEY) {
        let (key, signature) = (hex::encode(SMALL_KEY), hex::encode(SMALL_SIGNATURE));
        let got = samples::judge(&Aptos, &text_for(&address), &signature, Some(&key));
        assert_eq!(got, Err(Reason::SignatureMalformed));
    }
}

#[test]
fn the_text_is_the_one_that_the_library_of_aptos_writes() {
    let [wallet, ..] = wallets();
    let text = wallet.text();
    // The place that the proposal has for the chain, which its library has not.
    let early = text.replace("\nChain ID: aptos:mainnet", "");
    let early = early.replace("Version: 1\n", "Version: 1\nChain ID: aptos:mainnet\n");
    let signature = wallet.sign(&sign_in_bytes(&early));
    assert_eq!(wallet.judge(&early, &signature), Err(Reason::MalformedMessage));
    let devnet = text.replace("aptos:mainnet", "aptos:devnet");
    let signature = wallet.sign(&sign_in_bytes(&devnet));
    assert_eq!(wallet.judge(&devnet, &signature), Err(Reason::ChainNotAllowed));
    for spelling in ["1", "mainnet", "aptos:1"] {
        let other = text.replace("aptos:mainnet", spelling);
        let signature = wallet.sign(&sign_in_bytes(&other));
        assert!(wallet.judge(&other, &signature).is_ok(), "{spelling}");
    }
}
