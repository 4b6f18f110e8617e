//! Signatures of the chains whose wallets sign with Ed25519, and the structures that they come in.
//!
//! The pairs are made by the SDK's wallets in memory; what is asserted of them is what
//! [`crate::signatures`] asserts of every format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::wallet::aptos::Aptos;
use countersign::wallet::nep413::Nep413;
use countersign::wallet::sep53::Sep53;
use countersign::wallet::ssh::Ssh;
use countersign::wallet::sui::Sui;
use countersign::wallet::ton::Ton;
use countersign_sdk::account::Account;
use countersign_sdk::chain::aptos::{FullMessage, digest};
use countersign_sdk::chain::sshsig::{Hash, SshSignature, signed_bytes};
use countersign_sdk::chain::ton::{Proof, Wallet, address, payload_of};
use countersign_sdk::chain::ton_cell::Bag;
use countersign_sdk::client::{InMemoryWallet, Wallet as _};
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use serde_json::{Value, json};

use crate::cut::Cut;
use crate::material::{CURVES, signer};
use crate::signatures::{Decode, Pair, body, futures_now, judge};

/// Sui: both curves.
pub fn sui(data: &[u8]) {
    judge(&Sui, data, |choice| {
        of_wallet("sui", usize::from(choice) % 2, |text| STANDARD.decode(text).ok())
    });
}

/// Aptos: both curves, `signIn` or the full message of `signMessage`, also without lines that may lack.
pub fn aptos(data: &[u8]) {
    judge(&Aptos, data, |choice| {
        let curve = usize::from(choice) % 2;
        let pair = of_wallet("aptos", curve, aptos_bytes);
        let signature = match (choice >> 1) % 5 {
            0 => pair.signature,
            without => {
                let address = pair.text.lines().nth(1).expect("a second line");
                let without = without - 1;
                let full = FullMessage {
                    address: (without & 1 == 0).then_some(address),
                    application: Some("https://app.example"),
                    chain: (without & 2 == 0).then_some("1"),
                    message: &pair.text,
                    nonce: "0123456789abcdef",
                };
                let key = signer(curve);
                match curve {
                    0 => key.sign_now(full.render().as_bytes()).expect("the key signs"),
                    _ => {
                        let digest = digest(full.render().as_bytes());
                        key.sign_digest_recoverable(&digest).expect("the key signs").0.to_vec()
                    }
                }
            }
        };
        Pair { signature, encode: |bytes| format!("0x{}", hex::encode(bytes)), ..pair }
    });
}

/// The 64 bytes of a signature in hex, raw or as an `AnySignature`.
fn aptos_bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()?;
    Some(bytes.get(bytes.len().checked_sub(64)?..)?.to_vec())
}

/// NEAR: the signature alone, and the object that wallets return.
pub fn nep413(data: &[u8]) {
    judge(&Nep413, data, |choice| {
        let pair = of_wallet("nep413", 0, |text| {
            STANDARD.decode(member(text, "/signature").unwrap_or_else(|| text.to_owned())).ok()
        });
        match choice % 2 {
            0 => pair,
            _ => Pair {
                encode: |bytes| json!({"signature": STANDARD.encode(bytes)}).to_string(),
                ..pair
            },
        }
    });
}

/// Stellar.
pub fn sep53(data: &[u8]) {
    judge(&Sep53, data, |_| of_wallet("sep53", 0, |text| STANDARD.decode(text).ok()));
}

/// SSH: either hash, in its armour.
pub fn ssh(data: &[u8]) {
    judge(&Ssh, data, |choice| {
        let pair = of_wallet("ssh", 0, ssh_bytes);
        if choice % 2 == 0 {
            return Pair { encode: |bytes| ssh_armoured(bytes, Hash::Sha512), ..pair };
        }
        let signed = signed_bytes(Hash::Sha256, pair.text.as_bytes());
        Pair {
            signature: signer(0).sign_now(&signed).expect("the key signs"),
            encode: |bytes| ssh_armoured(bytes, Hash::Sha256),
            ..pair
        }
    });
    // What is read is written again as it was, but for the line feed at the end.
    let text = String::from_utf8_lossy(data);
    if let Ok(signature) = SshSignature::parse(&text) {
        assert_eq!(SshSignature::parse(&signature.armoured()), Ok(signature));
    }
}

fn ssh_bytes(text: &str) -> Option<Vec<u8>> {
    Some(SshSignature::parse(text).ok()?.signature.to_vec())
}

fn ssh_armoured(signature: &[u8], hash: Hash) -> String {
    let key = signer(0).public_key().as_bytes().try_into().expect("32 bytes");
    let signature = signature.try_into().expect("64 bytes");
    SshSignature { key, signature, hash }.armoured()
}

/// TON: a wallet's proof.
pub fn ton(data: &[u8]) {
    judge(&Ton, data, |_| Pair {
        encode: |bytes| {
            let (wallet, state) = ton_wallet();
            let payload = payload_of(&ton_text(&wallet));
            ton_proof(&payload, &STANDARD.encode(bytes), &state).to_string()
        },
        ..of_ton()
    });
}

/// 2027-01-15T08:00:00Z, when the text was issued.
const TON_TIME: u64 = 1_800_000_000;

fn of_ton() -> Pair {
    let (wallet, _) = ton_wallet();
    let text = ton_text(&wallet);
    let payload = payload_of(&text);
    let hash = &wallet.hash;
    let proof = Proof { hash, domain: "app.example", timestamp: TON_TIME, payload: &payload };
    let digest = proof.digest().expect("a short domain");
    Pair {
        signature: signer(0).sign_now(&digest).expect("the key signs"),
        text,
        encode: |_| String::new(),
        normal: <[u8]>::to_vec,
        decode: Some(|text| STANDARD.decode(member(text, "/proof/signature")?).ok()),
        public_key: None,
    }
}

fn ton_wallet() -> (Wallet, Vec<u8>) {
    Wallet::v3r2(signer(0).public_key().as_bytes().try_into().expect("32 bytes"))
}

fn ton_text(wallet: &Wallet) -> String {
    body("TON account", &address(&wallet.hash), "Chain ID: -239\n")
}

fn ton_proof(payload: &str, signature: &str, state: &[u8]) -> Value {
    json!({"proof": {
        "timestamp": TON_TIME, "domain": {"lengthBytes": 11, "value": "app.example"},
        "payload": payload, "signature": signature, "state_init": STANDARD.encode(state),
    }})
}

/// A bag of cells: never a panic; and of a known wallet's first state, no bit is without meaning.
pub fn ton_state_init(data: &[u8]) {
    let mut cut = Cut(data);
    if cut.byte() == 1 {
        let (right, mut state) = ton_wallet();
        if cut.disturb(&mut state) {
            let read = Wallet::of_state_init(&state);
            assert!(read.map_or(true, |read| read.hash != right.hash), "another state");
        }
        return;
    }
    if let Some(bag) = Bag::parse(cut.0) {
        let root = bag.root().expect("a bag has a root");
        assert!(root.bits() <= 1023 && root.references().len() <= 4);
        // A check of what was read at places of every kind, past the end included.
        for bit in [0, 1, 64, 65, root.bits()] {
            let (bytes, last) = (root.bytes_at::<32>(bit), root.bit(bit + 255));
            assert_eq!(bytes.is_some(), last.is_some());
        }
    }
    let _ = Wallet::of_state_init(cut.0);
}

/// A text and its signature by the SDK's wallet of a format, with the fixed key of a curve.
fn of_wallet(format: &str, curve: usize, decode: Decode) -> Pair {
    let secret = signer(curve).secret_bytes();
    let key = InMemorySigner::from_bytes(CURVES[curve], &secret).expect("a right scalar");
    let wallet = InMemoryWallet::new(format, key, None).expect("a wallet");
    let (address, chain) = match wallet.account() {
        Account::Chain(account) => {
            (account.address(), format!("Chain ID: {}\n", account.chain().reference()))
        }
        Account::Key(key) => (key.did(), String::new()),
    };
    let found = countersign::wallet::registry::by_name(format).expect("a format");
    let header = found.profile().header.trim_start_matches(" wants you to sign in with your ");
    let header = header.trim_end_matches(':');
    let text = match format {
        // The chain stands behind the times.
        "aptos" => format!("{}\n{}", body(header, address, ""), chain.trim_end()),
        _ => body(header, address, &chain),
    };
    let signature = futures_now(wallet.sign_message(&text)).expect("the key signs");
    assert!(CURVES[curve] != Curve::P256);
    Pair {
        signature: decode(&signature).expect("what a wallet writes is read"),
        text,
        encode: |bytes| STANDARD.encode(bytes),
        normal: <[u8]>::to_vec,
        decode: Some(decode),
        public_key: wallet.public_key().map(str::to_owned),
    }
}

/// A text of a JSON object by its pointer.
fn member(text: &str, pointer: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(value.pointer(pointer)?.as_str()?.to_owned())
}
