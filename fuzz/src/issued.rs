//! What the issuer's own hand is in: Stellar's transaction, and the answer to a Lightning link.
//!
//! An input is what a wallet sends. A second kind, with a first byte of 0x01, disturbs what a wallet
//! would have sent for a text that the target made itself.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::model::reason::{Reason, Refusal};
use countersign::wallet::format::{Evidence, Issuing, WalletFormat};
use countersign::wallet::lnurl::Lnurl;
use countersign::wallet::sep10::{Sep10, ServerKey};
use countersign_sdk::chain::lnurl::{Answer, k1_of};
use countersign_sdk::chain::stellar_challenge::Envelope;
use countersign_sdk::client::{InMemoryWallet, ToSign, Wallet as _};
use countersign_sdk::key::{Curve, InMemorySigner};

use crate::cut::Cut;
use crate::material::{Counter, signer};
use crate::signatures::{body, futures_now};

/// An issuer with a key of its own.
struct Issuer(ServerKey);

impl Issuing for Issuer {
    fn stellar(&self) -> &ServerKey {
        &self.0
    }

    fn call_back_state(&self, _digest: &[u8; 32], _key: Option<&[u8; 33]>) -> Result<String, Refusal> {
        Err(Refusal::new(Reason::ServerError, "nobody calls back here"))
    }
}

fn issuer() -> &'static Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER.get_or_init(|| Issuer(ServerKey::generate(&Counter::default()).expect("bytes")))
}

fn wallet(format: &str, curve: usize) -> InMemoryWallet {
    let kind = [Curve::Ed25519, Curve::Secp256k1][curve];
    let key = InMemorySigner::from_bytes(kind, &signer(curve).secret_bytes()).expect("a scalar");
    InMemoryWallet::new(format, key, None).expect("a wallet")
}

/// Stellar: a transaction in any shape; or the right one with something changed.
pub fn sep10(data: &[u8]) {
    let mut cut = Cut(data);
    if cut.byte() != 1 {
        let text = STANDARD.encode(cut.0);
        if let Ok(envelope) = Envelope::read(&text) {
            assert_eq!(envelope.write(), text, "one spelling");
            let challenge = envelope.challenge();
            assert_eq!(Envelope::of(challenge.clone()).expect("it was one").challenge(), challenge);
            assert!(challenge.max_time - challenge.min_time <= 900);
        }
        return;
    }
    let wallet = wallet("sep10", 0);
    let account = wallet.account();
    let address = Sep10.accounts().spelling(account).expect("an account").address;
    let text = body("Stellar account", address, "Chain ID: pubnet\n");
    let message = Sep10.read(&text).expect("a right text");
    let payload = Sep10.payload_by(account, &message, issuer()).expect("a payload");
    let to_sign = ToSign { message: &text, payload: payload.as_ref() };
    let right = futures_now(wallet.sign_challenge(&to_sign)).expect("the key signs");
    let verify = |text: &str, signature: &str| {
        let evidence = Evidence { signature, public_key: None };
        let message = Sep10.read(text).ok()?;
        let account = Sep10.accounts().account_of(&message).ok()?;
        Sep10.verify_issued(&account, &message, &evidence, issuer()).ok()
    };
    assert!(verify(&text, &right).is_some(), "a right pair");
    if cut.byte() & 1 == 0 {
        let mut bytes = text.into_bytes();
        if cut.disturb(&mut bytes) {
            assert!(verify(&String::from_utf8_lossy(&bytes), &right).is_none(), "another text");
        }
    } else {
        let mut bytes = STANDARD.decode(&right).expect("base64");
        if cut.disturb(&mut bytes) {
            assert!(verify(&text, &STANDARD.encode(bytes)).is_none(), "another transaction");
        }
    }
}

/// Lightning: any two texts for key and signature; or the right ones with something changed.
pub fn lnurl(data: &[u8]) {
    let mut cut = Cut(data);
    if cut.byte() != 1 {
        let text = String::from_utf8_lossy(cut.0);
        let (key, signature) = text.split_once('&').unwrap_or_default();
        if let Ok(answer) = Answer::read(key, signature) {
            assert!(answer.key_text().eq_ignore_ascii_case(key));
            assert!(answer.signature_text().eq_ignore_ascii_case(signature));
            assert!(answer.verify(&[5; 32]).is_err(), "nobody signed that");
        }
        return;
    }
    let wallet = wallet("lnurl", 1);
    let choice = cut.byte();
    let named = wallet.account().to_string();
    let text = body("Lightning wallet", if choice & 2 == 0 { "any" } else { &named }, "");
    let right = futures_now(wallet.sign_message(&text)).expect("the key signs");
    let key = wallet.public_key().expect("a key").to_owned();
    let verify = |text: &str, signature: &str, key: &str| {
        let evidence = Evidence { signature, public_key: Some(key) };
        let verified = Lnurl.verify(&Lnurl.read(text).ok()?, &evidence).ok()?;
        assert_ne!(Some(verified.account()), Lnurl.whoever_answers().as_ref());
        Some(verified.subject().to_owned())
    };
    assert_eq!(verify(&text, &right, &key), Some(named));
    assert!(Answer::read(&key, &right).expect("read").verify(&k1_of(&text)).is_ok());
    let mut bytes = match choice & 0xc0 {
        0 => text.clone().into_bytes(),
        0x40 => hex::decode(&key).expect("hex"),
        _ => hex::decode(&right).expect("hex"),
    };
    if !cut.disturb(&mut bytes) {
        return;
    }
    let verified = match choice & 0xc0 {
        0 => verify(&String::from_utf8_lossy(&bytes), &right, &key),
        0x40 => verify(&text, &right, &hex::encode(bytes)),
        _ => verify(&text, &hex::encode(bytes), &key),
    };
    assert_eq!(verified, None, "something else");
}
