//! What wallets signed that is no sign-in text: a message, an address, a signature.
//!
//! Tables of this kind test a format's hash and encodings alone. They are judged by the function
//! with which the format's own `verify` ends, and by nothing of the sign-in around it.
//!
//! Specs: protocol.md §10, BIP-322, BIP-137, BIP-340.

use countersign_sdk::chain::bitcoin::{Address, AddressError};
use countersign_sdk::key::PublicKey;
use countersign_sdk::key::secp256k1::verify_schnorr;
use serde_json::{Value, json};

use super::bare;
use super::case::{Case, Verdict, Why, bytes, said, text};
use super::texts::format_named;
use crate::model::reason::Refusal;
use crate::wallet::{bip137, bip322};

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
    match format_named(declared)?.name() {
        "bip322" => Some(|case| bitcoin(case, bip322::prove)),
        "bip137" => Some(|case| bitcoin(case, bip137::prove)),
        _ => None,
    }
}

/// Whether a case says what a server expected of a text, which `texts` judges.
fn is_sign_in(case: &Value) -> bool {
    let context = case.get("context");
    context.is_some_and(|context| ["domain", "nonce"].iter().any(|it| context.get(it).is_some()))
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
