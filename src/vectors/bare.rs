//! Signatures of single chains' wallets over any message at all, with what its site expected of it.
//!
//! These tables were made to show what a wallet signs, and most of their messages are no sign-in
//! texts. So what the server puts around a text is put around the case's message, by the server's
//! own functions, and the members that the server would have chosen must be the expected ones.
//!
//! Specs: docs/VECTORS.md, protocol.md §10.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::chain::aptos::FullMessage;
use countersign_sdk::chain::lnurl::Answer;
use countersign_sdk::chain::near::Signed;
use countersign_sdk::chain::stellar;
use serde_json::Value;

use super::case::{Why, bytes, moment, text};
use super::texts;
use super::wallets::Kind;
use crate::wallet::{aptos, lnurl, nep413, sep10, sep53, sui, ton};

/// What a `format` speaks of, by a word in it, and what judges its cases.
const KINDS: [(&str, Kind); 9] = [
    ("Sui personal message", |case| check_sui(case).into()),
    ("Aptos", |case| check_aptos(case).into()),
    ("NEP-413", |case| check_nep413(case).into()),
    ("SEP-53", |case| check_sep53(case).into()),
    ("sep-0053", |case| check_sep53(case).into()),
    ("SEP-10", |case| check_sep10(case).into()),
    ("LNURL-auth", |case| check_lnurl(case).into()),
    ("lnurl/luds", |case| check_lnurl(case).into()),
    ("TON Connect ton_proof", |case| check_ton(case).into()),
];

/// What judges the cases of a declared format; `None` when it is none that is here.
pub(super) fn of_format(declared: &str) -> Option<Kind> {
    KINDS.iter().find(|(word, _)| declared.contains(word)).map(|(_, kind)| *kind)
}

fn check_sui(case: &Value) -> Result<(), Why> {
    let message = message_of(case)?;
    sui::check(required(case, "address")?, &message, required(case, "signature_b64")?)?;
    Ok(())
}

fn check_sep53(case: &Value) -> Result<(), Why> {
    let message = message_of(case)?;
    sep53::check(required(case, "address")?, &message, required(case, "signature_b64")?)?;
    Ok(())
}

/// A transaction by itself, and what the server that asked for it expected.
fn check_sep10(case: &Value) -> Result<(), Why> {
    let context = case.get("context").unwrap_or(&Value::Null);
    let envelope = sep10::read(required(case, "challenge_xdr")?)?;
    let challenge = envelope.challenge();
    for (member, found) in [
        ("server_account", stellar::encode_account(&challenge.server)),
        ("client_account", stellar::encode_account(&challenge.client)),
        ("home_domain", challenge.home_domain.clone()),
        ("web_auth_domain", challenge.web_auth_domain.clone()),
    ] {
        if required(context, member)? != found {
            return Err(Why(format!("{member}_differs")));
        }
    }
    sep10::check_signatures(&envelope, required(context, "network_passphrase")?)?;
    // The server has the nonce's own time in place of these.
    let now = moment(context, "now").ok_or("now_missing")?.as_unix();
    if !(challenge.min_time..=challenge.max_time).contains(&now) {
        return Err("challenge_expired".into());
    }
    Ok(())
}

fn check_lnurl(case: &Value) -> Result<(), Why> {
    let k1 = bytes(case, "k1").and_then(|bytes| bytes.try_into().ok()).ok_or("not_hex")?;
    let answer = Answer::read(required(case, "key")?, required(case, "sig")?);
    let verified = answer.and_then(|answer| answer.verify(&k1));
    verified.map_err(lnurl::refused)?;
    Ok(())
}

/// A text of `signIn`, or the full message of `signMessage` with its parts.
fn check_aptos(case: &Value) -> Result<(), Why> {
    if text(case, "profile") == Some("signIn") {
        return texts::check_sign_in(case, required(case, "message")?, &aptos::Aptos);
    }
    let none = Value::Null;
    let parts = case.get("parts").unwrap_or(&none);
    let context = case.get("context").unwrap_or(&none);
    let chain = parts.get("chainId").map(Value::to_string);
    let full = FullMessage {
        address: text(parts, "address"),
        application: text(parts, "application"),
        chain: chain.as_deref(),
        message: text(parts, "message").unwrap_or_default(),
        nonce: text(parts, "nonce").unwrap_or_default(),
    };
    let address = required(case, "address")?;
    let application_required = context.get("require_application") != Some(&Value::Bool(false));
    if full.address.is_some_and(|named| named != address)
        || (full.application.is_some() || application_required)
            && full.application != text(context, "application")
    {
        return Err("domain_not_allowed".into());
    }
    if text(context, "nonce") != Some(full.nonce) {
        return Err("nonce_unknown".into());
    }
    if full.render() != required(case, "full_message")? {
        return Err("message_mismatch".into());
    }
    let key = text(case, "public_key");
    let signer = aptos::Signer::read(address, key, required(case, "signature_hex")?)?;
    signer.check(full.render().as_bytes()).map_err(super::case::said)?;
    Ok(())
}

fn check_nep413(case: &Value) -> Result<(), Why> {
    let none = Value::Null;
    let context = case.get("context").unwrap_or(&none);
    let nonce = nonce_of(case)?;
    let recipient = required(case, "recipient")?;
    if text(context, "recipient").is_some_and(|expected| expected != recipient) {
        return Err("domain_not_allowed".into());
    }
    if text(context, "nonce_b64").is_some() && nonce_of(context)? != nonce {
        return Err("nonce_unknown".into());
    }
    let signature = match bytes(case, "signature_hex") {
        Some(bytes) => STANDARD.encode(bytes),
        None => required(case, "signature_b64")?.to_owned(),
    };
    let answer = nep413::Answer {
        account_id: text(case, "account_id").map(str::to_owned),
        public_key: text(case, "public_key").map(str::to_owned),
        signature,
        callback_url: text(case, "callback_url").map(str::to_owned),
    };
    let message = message_of(case)?;
    let signed = Signed {
        message: &message,
        nonce: &nonce,
        recipient,
        callback_url: answer.callback_url.as_deref(),
    };
    // An implicit account is its key; a case without an account gives the key alone.
    let account = text(case, "account_id").or_else(|| text(case, "public_key_hex"));
    nep413::check(account.ok_or("account_invalid")?, &signed, &answer)?;
    Ok(())
}

fn check_ton(case: &Value) -> Result<(), Why> {
    let none = Value::Null;
    let context = case.get("context").unwrap_or(&none);
    let answer = ton::Answer::read(&case.to_string())?;
    let address = required(case, "address")?.replacen(':', "%3A", 1);
    let expected = ton::Expected {
        address: &address,
        chain: text(case, "network").unwrap_or_default(),
        domain: required(context, "domain")?,
        payload: required(context, "payload")?,
    };
    ton::check(&expected, &answer)?;
    // The server has the text's own times in place of these.
    let now = moment(context, "now").ok_or("now_missing")?.as_unix();
    let most = context.get("max_age_seconds").and_then(Value::as_u64).unwrap_or(u64::MAX);
    if now.saturating_sub(answer.timestamp()) > most {
        return Err("issued_at_out_of_range".into());
    }
    Ok(())
}

/// 32 bytes in base64 or hex.
fn nonce_of(case: &Value) -> Result<[u8; 32], Why> {
    let decoded = match text(case, "nonce_b64") {
        Some(text) => STANDARD.decode(text).ok(),
        None => bytes(case, "nonce_hex"),
    };
    decoded.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| "malformed_message".into())
}

fn message_of(case: &Value) -> Result<Vec<u8>, Why> {
    match text(case, "message_b64") {
        Some(encoded) => STANDARD.decode(encoded).map_err(super::case::said),
        None => Ok(required(case, "message")?.as_bytes().to_vec()),
    }
}

fn required<'a>(case: &'a Value, member: &str) -> Result<&'a str, Why> {
    text(case, member).ok_or_else(|| Why(format!("{member}_missing")))
}
