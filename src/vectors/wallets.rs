//! What wallets signed that is no sign-in text: a message, an address, a signature.
//!
//! Tables of this kind test a format's hash and encodings alone. They are judged by the function
//! with which the format's own `verify` ends, and by nothing of the sign-in around it.
//!
//! Specs: protocol.md §10, BIP-322, BIP-137, BIP-340, TIP-191, ADR-036, NIP-42, NIP-98.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::chain::bitcoin::{Address, AddressError};
use countersign_sdk::chain::{self, nostr as nostr_chain};
use countersign_sdk::key::PublicKey;
use countersign_sdk::key::secp256k1::verify_schnorr;
use serde_json::{Value, json};

use super::bare;
use super::case::{Case, Verdict, Why, bytes, moment, said, text};
use super::texts::format_named;
use crate::model::reason::Refusal;
use crate::wallet::format::Evidence;
use crate::wallet::nostr::Event;
use crate::wallet::{adr36, bip137, bip322, siwe, tip191};

/// Judges a table of bare messages; `None` when none of its cases is of a kind that is known, or
/// when they are sign-ins, with what a server expected.
pub(super) fn judge(document: &Value, cases: &[Value]) -> Option<Vec<Case>> {
    // A published document that states no format is known by where it stands.
    let of_file = text(document, "format").or_else(|| text(document, "source"));
    let kinds: Vec<_> = cases
        .iter()
        .map(|case| {
            let declared = text(case, "format").or(of_file)?;
            let plain = || kind_of(declared).filter(|_| !is_sign_in(case));
            bare::of_format(declared).or_else(plain)
        })
        .collect();
    if kinds.iter().all(Option::is_none) {
        return None;
    }
    let judged = cases.iter().zip(kinds).enumerate().map(|(place, (case, kind))| {
        Case::of(case, place, kind.map_or(Verdict::Skip, |kind| kind(case)))
    });
    Some(judged.collect())
}

/// What judges the cases of a format.
pub(super) type Kind = fn(&Value) -> Verdict;

fn kind_of(declared: &str) -> Option<Kind> {
    if declared.contains("BIP-340") {
        return Some(|case| schnorr(case).into());
    }
    if declared.contains("EIP-191") && !declared.contains("EIP-4361") {
        return Some(|case| personal_sign(case).into());
    }
    match format_named(declared)?.name() {
        "bip322" => Some(|case| bitcoin(case, bip322::prove)),
        "bip137" => Some(|case| bitcoin(case, bip137::prove)),
        "tip191" => Some(|case| tron(case).into()),
        "adr36" => Some(|case| cosmos(case).into()),
        "nostr" => Some(|case| nostr(case).into()),
        _ => None,
    }
}

/// Whether a case says what a server expected of a text, which `texts` judges.
fn is_sign_in(case: &Value) -> bool {
    let context = case.get("context");
    let says = |it: &&str| context.is_some_and(|context| context.get(*it).is_some());
    ["domain", "nonce"].iter().any(says)
}

fn signature_of(case: &Value) -> &str {
    text(case, "signature").or_else(|| text(case, "signature_b64")).unwrap_or_default()
}

type Prove = fn(&Address, &str, &str) -> Result<PublicKey, Refusal>;

fn bitcoin(case: &Value, prove: Prove) -> Verdict {
    let message = text(case, "message").unwrap_or_default();
    match text(case, "address").unwrap_or_default().parse::<Address>() {
        // A script's address can sign; only not here.
        Err(AddressError::Script) if text(case, "expect") != Some("reject") => Verdict::Skip,
        Err(error) => Verdict::from(Err::<(), Why>(said(error))),
        Ok(address) => prove(&address, message, signature_of(case)).map(|_| ()).into(),
    }
}

/// What a recovered key is compared with: an address, or the key itself without its tag.
fn is_stated(case: &Value, key: &PublicKey, address: Option<String>) -> Result<(), Why> {
    let stated = match (text(case, "address"), bytes(case, "public_key_hex")) {
        (Some(stated), _) => address.as_deref() == Some(stated),
        (None, Some(stated)) => key.as_bytes().get(1..) == Some(&stated[..]),
        (None, None) => false,
    };
    if stated { Ok(()) } else { Err("signature_mismatch".into()) }
}

/// A signature, or the bare hex of one with `0x` put before it.
fn prefixed(case: &Value) -> String {
    let hex = text(case, "signature_hex").map(|hex| format!("0x{hex}"));
    hex.unwrap_or_else(|| signature_of(case).to_owned())
}

fn tron(case: &Value) -> Result<(), Why> {
    let key = tip191::recover(text(case, "message").unwrap_or_default(), &prefixed(case))?;
    is_stated(case, &key, chain::tron::address_of(&key))
}

fn personal_sign(case: &Value) -> Result<(), Why> {
    let key = siwe::recover(text(case, "message").unwrap_or_default(), &prefixed(case))?;
    is_stated(case, &key, Some(siwe::checksummed(&siwe::address_of(&key))))
}

fn cosmos(case: &Value) -> Result<(), Why> {
    let signer = text(case, "signer").or_else(|| text(case, "address")).unwrap_or_default();
    let address = chain::cosmos::Address::parse(signer).ok_or("account_invalid")?;
    let message = text(case, "data_utf8").or_else(|| text(case, "message")).unwrap_or_default();
    let data = text(case, "data_b64").and_then(|data| STANDARD.decode(data).ok());
    let data = data.unwrap_or_else(|| message.as_bytes().to_vec());
    let public_key = case.get("pub_key").and_then(|key| text(key, "value"));
    let public_key = public_key.or_else(|| text(case, "public_key"));
    let evidence = Evidence { signature: signature_of(case), public_key };
    adr36::prove(&address, &data, &evidence)?;
    Ok(())
}

/// An event by itself, and what the server that asked for it expected (NIP-42, NIP-98).
fn nostr(case: &Value) -> Result<(), Why> {
    let event = Event::read(&case.get("event").unwrap_or(&Value::Null).to_string())?;
    event.verify(None)?;
    let Some(context) = case.get("context") else { return Ok(()) };
    let expected: &[&str] = match text(context, "scheme") {
        Some("NIP-42") => &["relay", "challenge"],
        Some("NIP-98") => &["u", "method"],
        _ => &[],
    };
    let differs =
        |name: &&&str| context.get(**name).is_some() && event.tag(name) != text(context, name);
    if expected.iter().find(differs).is_some() {
        return Err("signature_mismatch".into());
    }
    // The hash of the body is optional in NIP-98; where it stands it is of this one.
    let body = text(context, "body").map(|body| hex::encode(chain::hash::sha256(body.as_bytes())));
    if event.tag("payload").is_some_and(|payload| body.is_some_and(|body| body != payload)) {
        return Err("signature_mismatch".into());
    }
    let kinds = [("NIP-42", 22242), ("NIP-98", nostr_chain::HTTP_AUTH)];
    let kind = kinds.iter().find(|(scheme, _)| text(context, "scheme") == Some(*scheme));
    if kind.is_some_and(|(_, kind)| *kind != event.kind()) {
        return Err("signature_mismatch".into());
    }
    let skew = context.get("max_skew_seconds").and_then(Value::as_u64);
    match (moment(context, "now"), skew) {
        (Some(now), Some(skew)) if now.as_unix().abs_diff(event.created_at()) > skew => {
            Err("issued_at_out_of_range".into())
        }
        _ => Ok(()),
    }
}

fn schnorr(case: &Value) -> Result<(), Why> {
    let part = |member| bytes(case, member).ok_or(Why::from("not_hex"));
    let x = part("public_key")?.try_into().map_err(|_| "public_key_malformed")?;
    let key = PublicKey::from_x_only(&x).map_err(said)?;
    verify_schnorr(&key, &part("message")?, &part("signature")?).map_err(said)
}

/// Judges the table of BIP-322 itself: hashes, signatures to accept, and signatures to refuse.
pub(super) fn judge_bip322(document: &Value) -> Option<Vec<Case>> {
    use countersign_sdk::chain::bip322::{message_hash, to_sign_id, to_spend_id};
    let list = |member| document.get(member).and_then(Value::as_array);
    let (hashes, simple, errors) = (list("tx_hashes")?, list("simple")?, list("error")?);
    let reversed = |mut hash: [u8; 32]| {
        hash.reverse();
        hex::encode(hash)
    };
    let mut judged = Vec::new();
    for (place, case) in hashes.iter().enumerate() {
        let message = text(case, "message").unwrap_or_default();
        let address = text(case, "address").unwrap_or_default().parse::<Address>();
        let fits = address.is_ok_and(|address| {
            text(case, "message_hash") == Some(&hex::encode(message_hash(message)))
                && text(case, "to_spend_tx_hash")
                    == Some(&reversed(to_spend_id(address.script(), message)))
                && text(case, "to_sign_tx_hash")
                    == Some(&reversed(to_sign_id(address.script(), message)))
        });
        let got = if fits { Verdict::Accept } else { Verdict::Reject("hash_differs".to_owned()) };
        judged.push(Case { id: format!("tx_hashes-{place}"), accept: true, got });
    }
    for (place, case) in simple.iter().enumerate() {
        let signatures = case.get("bip322_signatures").and_then(Value::as_array);
        for (nth, signature) in signatures.into_iter().flatten().enumerate() {
            let mut case = case.clone();
            if let Some(members) = case.as_object_mut() {
                members.insert("signature".to_owned(), signature.clone());
            }
            let got = bitcoin(&case, bip322::prove);
            judged.push(Case { id: format!("simple-{place}-{nth}"), accept: true, got });
        }
    }
    for (place, case) in errors.iter().enumerate() {
        let mut case = case.clone();
        if let Some(members) = case.as_object_mut() {
            members.insert("expect".to_owned(), json!("reject"));
        }
        let got = bitcoin(&case, bip322::prove);
        judged.push(Case { id: format!("error-{place}"), accept: false, got });
    }
    Some(judged)
}

/// The table of BIP-340 itself, which is a CSV; `None` for another first line.
pub(super) fn judge_bip340_csv(content: &str) -> Option<Vec<Case>> {
    const COLUMNS: &str =
        "index,secret key,public key,aux_rand,message,signature,verification result,comment";
    let mut lines = content.lines();
    (lines.next()?.trim_end() == COLUMNS).then_some(())?;
    let judged = lines.filter(|line| !line.is_empty()).map(|line| {
        let mut cells = line.splitn(8, ',');
        let id = cells.next().unwrap_or_default().to_owned();
        let [_, key, _, message, signature, result] =
            std::array::from_fn(|_| cells.next().unwrap_or_default());
        let case = json!({"public_key": key, "message": message, "signature": signature});
        Case { id, accept: result == "TRUE", got: schnorr(&case).into() }
    });
    Some(judged.collect())
}
