//! Wallet signatures: none that is not one is taken, and none serves for a second text.
//!
//! An input is `signature 00 text`. Where the two are a right pair, it verifies; what then is
//! changed in either must not. A second kind of input, with a first byte of 0x01, disturbs a pair
//! that the target signed itself.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::wallet::adr36::Adr36;
use countersign::wallet::bip137::Bip137;
use countersign::wallet::bip322::Bip322;
use countersign::wallet::format::{Evidence, VerifiedSigner, WalletFormat};
use countersign::wallet::key::RawKey;
use countersign::wallet::nostr::Nostr;
use countersign::wallet::sha256::Sha256Text;
use countersign::wallet::siwe::{Siwe, address_of, checksummed};
use countersign::wallet::siws::Siws;
use countersign::wallet::tip191::Tip191;
use countersign_sdk::account::Account;
use countersign_sdk::chain::bitcoin::{Address, Kind, MAINNET, Network, Script};
use countersign_sdk::client::{InMemoryWallet, ToSign, Wallet as _};
use countersign_sdk::key::{InMemorySigner, Signer as _};
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
        Pair { encode: |bytes| format!("0x{}", hex::encode(bytes)), ..plain(text, signature) }
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
        plain(text, key.sign_now(&signed).expect("the key signs"))
    });
}

/// Raw keys of both curves.
pub fn key(data: &[u8]) {
    judge(&RawKey, data, |choice| {
        let key = signer(usize::from(choice) % 2);
        let did = key.public_key().to_did_key().expect("a provable curve");
        let text = body("key", &did, "");
        let signature = key.sign_now(text.as_bytes()).expect("the key signs");
        Pair { encode: |bytes| URL_SAFE_NO_PAD.encode(bytes), ..plain(text, signature) }
    });
}

/// BIP-322: a witness for each kind of address.
pub fn bip322(data: &[u8]) {
    judge(&Bip322, data, |choice| {
        let kind = [Kind::P2wpkh, Kind::P2shP2wpkh, Kind::P2tr][usize::from(choice) % 3];
        let pair = of_wallet("bip322", Some(&bitcoin(kind)), |text| {
            STANDARD.decode(text.strip_prefix("smp").unwrap_or(text)).ok()
        });
        Pair { encode: |bytes| STANDARD.encode(bytes), ..pair }
    });
}

/// BIP-137: a recovered key, under any header.
pub fn bip137(data: &[u8]) {
    judge(&Bip137, data, |choice| {
        let kind = Kind::ALL[usize::from(choice) % Kind::ALL.len()];
        let pair = of_wallet("bip322", None, |_| None);
        let text = pair.text.replace(&address_line(&pair.text), &account_address(&bitcoin(kind)));
        let digest = countersign_sdk::chain::bip137::digest(&text);
        let (rs, id) = signer(1).sign_digest_recoverable(&digest).expect("the key signs");
        Pair {
            text,
            signature: [&[31 + id], &rs[..]].concat(),
            encode: |bytes| STANDARD.encode(bytes),
            // Which group of four the header is of says nothing.
            normal: |bytes| match bytes {
                [header @ 27..=42, rs @ ..] => [&[(header - 27) & 3], rs].concat(),
                _ => bytes.to_vec(),
            },
            decode: Some(|text| STANDARD.decode(text).ok()),
            public_key: None,
        }
    });
}

/// TIP-191: recovery from Tron's digest.
pub fn tip191(data: &[u8]) {
    judge(&Tip191, data, |_| {
        let pair = of_wallet("tip191", None, |text| hex::decode(text.strip_prefix("0x")?).ok());
        Pair { encode: |bytes| format!("0x{}", hex::encode(bytes)), normal: without_v, ..pair }
    });
}

/// ADR-36, of both families of keys, with the key beside the signature.
pub fn adr36(data: &[u8]) {
    judge(&Adr36, data, |choice| {
        let account = countersign_sdk::chain::cosmos::Family::ALL[usize::from(choice) % 2]
            .account_of(signer(1).public_key())
            .and_then(|account| countersign_sdk::chain::cosmos::Address::new("inj", account))
            .and_then(|address| address.to_text())
            .expect("an address");
        let account = format!("cosmos:injective-1:{account}").parse().expect("an account");
        let pair = of_wallet("adr36", Some(&account), |text| STANDARD.decode(text).ok());
        Pair { encode: |bytes| STANDARD.encode(bytes), ..pair }
    });
}

/// Nostr: an event around the text, whose spelling as JSON is free.
pub fn nostr(data: &[u8]) {
    judge(&Nostr, data, |_| {
        let pair = of_wallet("nostr", None, |_| None);
        Pair {
            normal: |bytes| {
                let parts = |bytes: &[u8]| -> Option<Vec<u8>> {
                    let event: serde_json::Value = serde_json::from_slice(bytes).ok()?;
                    let members = ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"];
                    let parts = members.map(|member| event[member].to_string());
                    Some(parts.join("\0").into_bytes())
                };
                parts(bytes).unwrap_or_else(|| bytes.to_vec())
            },
            decode: Some(|text| Some(text.as_bytes().to_vec())),
            ..pair
        }
    });
}

/// ECDSA over SHA-256 by the raw key, in hex.
pub fn sha256(data: &[u8]) {
    judge(&Sha256Text, data, |_| {
        let pair = of_wallet("sha256", None, |text| hex::decode(text).ok());
        Pair { encode: |bytes| hex::encode(bytes), ..pair }
    });
}

fn bitcoin(kind: Kind) -> Account {
    let script = Script::of_key(signer(1).public_key(), kind).expect("a key of the curve");
    let account = format!("bip122:{MAINNET}:{}", Address::new(Network::Main, script));
    account.parse().expect("an account")
}

fn account_address(account: &Account) -> String {
    let text = account.to_string();
    text.rsplit(':').next().expect("an address").to_owned()
}

fn address_line(text: &str) -> String {
    text.lines().nth(1).expect("a second line").to_owned()
}

/// A text and its signature by the SDK's wallet of a format with the fixed secp256k1 key.
fn of_wallet(format: &str, account: Option<&Account>, decode: Decode) -> Pair {
    let secret = signer(1).secret_bytes();
    let key = InMemorySigner::from_bytes(countersign_sdk::key::Curve::Secp256k1, &secret);
    let wallet = InMemoryWallet::new(format, key.expect("a scalar"), account).expect("a wallet");
    let chain = match wallet.account() {
        Account::Chain(account) => format!("Chain ID: {}\n", account.chain().reference()),
        Account::Key(_) => String::new(),
    };
    let address = match wallet.account() {
        Account::Chain(account) => account.address().to_owned(),
        Account::Key(key) => key.did().to_owned(),
    };
    let found = countersign::wallet::registry::by_name(format).expect("a format");
    let header = found.profile().header.trim_start_matches(" wants you to sign in with your ");
    let text = body(header.trim_end_matches(':'), &address, &chain);
    let to_sign = ToSign { message: &text, payload: None };
    // A key in memory never waits.
    let signature = futures_now(wallet.sign_challenge(&to_sign)).expect("the key signs");
    Pair {
        signature: decode(&signature).unwrap_or_else(|| signature.clone().into_bytes()),
        text,
        encode: |bytes| String::from_utf8_lossy(bytes).into_owned(),
        normal: <[u8]>::to_vec,
        decode: Some(decode),
        public_key: wallet.public_key().map(str::to_owned),
    }
}

pub(crate) fn futures_now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("a key in memory never waits"),
    }
}

pub(crate) type Decode = fn(&str) -> Option<Vec<u8>>;

/// A text that was signed, and how its signature is written.
pub(crate) struct Pair {
    pub(crate) text: String,
    pub(crate) signature: Vec<u8>,
    pub(crate) encode: fn(&[u8]) -> String,
    /// The bytes without what may be spelled in several ways.
    pub(crate) normal: fn(&[u8]) -> Vec<u8>,
    /// The bytes of a spelling, where one signature has several.
    pub(crate) decode: Option<Decode>,
    pub(crate) public_key: Option<String>,
}

fn plain(text: String, signature: Vec<u8>) -> Pair {
    Pair {
        text,
        signature,
        encode: |bytes| STANDARD.encode(bytes),
        normal: without_v,
        decode: None,
        public_key: None,
    }
}

/// `v` has two spellings, 0 and 27 or 1 and 28, and they are one signature.
fn without_v(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [rs @ .., v @ (27 | 28)] if rs.len() == 64 => [rs, &[v - 27]].concat(),
        _ => bytes.to_vec(),
    }
}

pub(crate) fn body(account: &str, address: &str, chain: &str) -> String {
    format!(
        "app.example wants you to sign in with your {account}:\n{address}\n\nSign in.\n\n\
         URI: https://auth.example\nVersion: 1\n{chain}Nonce: 0123456789abcdef\n\
         Issued At: 2027-01-15T08:00:00Z"
    )
}

pub(crate) fn judge(format: &dyn WalletFormat, data: &[u8], pair: fn(u8) -> Pair) {
    if let Some((&1, rest)) = data.split_first() {
        return disturbed(format, Cut(rest), pair);
    }
    let mut cut = Cut(data);
    let signature = cut.text();
    let public_key = format.needs_public_key().then(|| pair(0).public_key).flatten();
    let text = String::from_utf8_lossy(cut.0).into_owned();
    let verify = |text: &str| verify(format, text, &signature, public_key.as_deref());
    let Some(signer) = verify(&text) else {
        return;
    };
    assert_eq!(signer.format(), format.name());
    assert!(format.curves().contains(&signer.key().curve()));
    assert!(format.accounts().namespaces().contains(&signer.account().namespace()));
    // The same signature for the same text with another nonce.
    let message = format.read(&text).expect("it was read");
    if let Some((before, after)) = message.around_nonce() {
        let other = format!("{before}00000000000000{after}");
        if other != text {
            assert!(verify(&other).is_none());
        }
    }
}

/// A right pair verifies, and with a bit changed in the text or in the signature it does not.
fn disturbed(format: &dyn WalletFormat, mut cut: Cut<'_>, pair: fn(u8) -> Pair) {
    let choice = cut.byte();
    let Pair { text, signature, encode, normal, decode, public_key } = pair(choice);
    let verify = |text: &str, signature: &str| {
        verify(format, text, signature, public_key.as_deref()).is_some()
    };
    let encoded = encode(&signature);
    assert!(verify(&text, &encoded), "a right pair");
    if choice & 0x80 == 0 {
        let mut bytes = text.clone().into_bytes();
        if cut.disturb(&mut bytes) {
            let other = String::from_utf8_lossy(&bytes);
            assert!(!verify(&other, &encoded), "another text");
        }
    } else if choice & 0x40 == 0 {
        let mut bytes = signature.clone();
        if cut.disturb(&mut bytes) && normal(&signature) != normal(&bytes) {
            let other = encode(&bytes);
            assert!(!verify(&text, &other), "another signature");
        }
    } else {
        // The spelling of the signature: what still verifies decodes to the same bytes.
        let mut bytes = encoded.clone().into_bytes();
        if cut.disturb(&mut bytes) && verify(&text, &String::from_utf8_lossy(&bytes)) {
            let other = String::from_utf8_lossy(&bytes);
            let same = match decode.and_then(|decode| decode(&other)) {
                Some(bytes) => normal(&bytes) == normal(&signature),
                None => {
                    let v_spelled_otherwise = encoded.len() == 132
                        && encoded.get(..130).is_some_and(|rs| other.starts_with(rs));
                    (other.eq_ignore_ascii_case(&encoded) && other.starts_with("0x"))
                        || v_spelled_otherwise
                }
            };
            assert!(same, "{other}");
        }
    }
}

fn verify(
    format: &dyn WalletFormat,
    text: &str,
    signature: &str,
    public_key: Option<&str>,
) -> Option<VerifiedSigner> {
    let evidence = Evidence { signature, public_key };
    let message = format.read(text).ok()?;
    format.verify(&message, &evidence).ok()
}
