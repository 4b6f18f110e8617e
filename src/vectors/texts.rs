//! Sign-in texts with a signature, and what the server that asked for them expected.
//!
//! A case with a `context` is a whole sign-in: its domain, nonce and clock are what the server
//! knows. A case without a nonce comes from servers that demand none. Ours does, so of such a case
//! everything but the nonce is judged; of a text outside our grammar whose file says that the
//! signature alone is right (`eip4361`), the signature.
//!
//! Specs: protocol.md §4 and §10.

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::time::Timestamp;
use serde_json::Value;

use super::case::{Case, Verdict, Why, moment, text};
use crate::wallet::caip122::{Field, Moment};
use crate::wallet::format::{Evidence, WalletFormat};
use crate::wallet::policy::{
    AllowedChains, AllowedDomains, Expected, GivenNonce, NonceOrigin, bind, check_content, require,
};
use crate::wallet::{registry, siwe};

/// How old a text may be where its case does not say, in seconds.
const MAX_AGE: u64 = 24 * 3600;

/// The domains and chains that a case names.
struct Site<'a> {
    domains: Vec<&'a str>,
    chain: Option<String>,
}

impl AllowedDomains for Site<'_> {
    fn allows(&self, domain: &str) -> bool {
        self.domains.contains(&domain)
    }
}

impl AllowedChains for Site<'_> {
    fn allows(&self, chain: &ChainId) -> bool {
        self.chain
            .as_deref()
            .is_none_or(|allowed| allowed == chain.to_string() || allowed == chain.reference())
    }
}

/// Judges a table of signed texts; `None` when it is of no format that we have.
pub(super) fn judge(document: &Value, cases: &[Value]) -> Option<Vec<Case>> {
    let declared = document.get("format").and_then(Value::as_str);
    let by_declaration = declared.and_then(format_named);
    if declared.is_some() && by_declaration.is_none() {
        return None;
    }
    let by_header = || cases.iter().find_map(|case| registry::by_text(text(case, "message")?));
    let format = by_declaration.or_else(by_header)?;
    let judged = cases.iter().enumerate().map(|(place, case)| {
        let got = match format_of(case, format) {
            Some(format) => judge_case(case, format),
            None => Verdict::Skip,
        };
        Case::of(case, place, got)
    });
    Some(judged.collect())
}

/// Words by which files name our formats, the first that fits.
const SPOKEN_OF: &[(&str, &str)] = &[
    ("EIP-4361", "siwe"),
    ("SIWE", "siwe"),
    ("Sign in with Ethereum", "siwe"),
    ("Sign in with Solana", "siws"),
    ("SIWS", "siws"),
    ("your key", "key"),
    ("BIP-322", "bip322"),
    ("BIP-137", "bip137"),
    ("TIP-191", "tip191"),
    ("ADR-036", "adr36"),
    ("ADR-36", "adr36"),
    ("Nostr", "nostr"),
];

/// The format that a file's `format` speaks of.
pub(super) fn format_named(declared: &str) -> Option<&'static dyn WalletFormat> {
    let spoken = SPOKEN_OF.iter().find(|(words, _)| declared.contains(words));
    registry::by_name(spoken.map_or(declared, |(_, name)| *name))
}

/// The format of a case: its own where it states one, else its file's.
fn format_of(
    case: &Value,
    of_file: &'static dyn WalletFormat,
) -> Option<&'static dyn WalletFormat> {
    match text(case, "format") {
        Some(declared) => format_named(declared),
        None => Some(of_file),
    }
}

fn judge_case(case: &Value, format: &'static dyn WalletFormat) -> Verdict {
    let message = text(case, "message").unwrap_or_default();
    let nonconforming = text(case, "eip4361") == Some("nonconforming");
    if text(case, "check") == Some("parse") {
        return check_text(message, format).into();
    }
    if nonconforming && text(case, "expect") == Some("accept") {
        return check_signature_alone(case, message).into();
    }
    check_sign_in(case, message, format).into()
}

/// A text alone: readable, complete but for the nonce, of a right account and chain.
fn check_text(text: &str, format: &'static dyn WalletFormat) -> Result<(), Why> {
    let message = format.read(text)?;
    require(&message, &[Field::Uri, Field::Version, Field::IssuedAt])?;
    format.accounts().account_of(&message)?;
    Ok(())
}

/// A signature over a text that our grammar does not take: by the address on its second line.
fn check_signature_alone(case: &Value, message: &str) -> Result<(), Why> {
    let address = message.lines().nth(1).and_then(siwe::address_bytes);
    let key = siwe::recover(message, text(case, "signature").unwrap_or_default())?;
    if address == Some(siwe::address_of(&key)) { Ok(()) } else { Err("signature_mismatch".into()) }
}

pub(super) fn check_sign_in(
    case: &Value,
    text_of_case: &str,
    format: &'static dyn WalletFormat,
) -> Result<(), Why> {
    let signature = ["signature", "signature_b64", "signature_hex"];
    let signature = signature.iter().find_map(|member| text(case, member));
    let evidence =
        Evidence { signature: signature.unwrap_or_default(), public_key: text(case, "public_key") };
    if format.name() == "siwe" && !is_declared_encoding(case, evidence.signature) {
        return Err("signature_malformed".into());
    }
    let message = format.read(text_of_case)?;
    let none = Value::Null;
    let context = case.get("context").unwrap_or(&none);
    let site = site_of(case, context, message.fields().domain);
    let now = moment(context, "now").or_else(|| moment(case, "now"));
    let nonce = text(context, "nonce");
    let issued = message.issued_at().map(Moment::ceil);
    let now = now.or(issued).unwrap_or_default();
    let age = case.get("max_age_seconds").and_then(Value::as_u64);
    let expected = Expected {
        issuer: text(context, "uri").unwrap_or_default(),
        domains: &site,
        chains: &site,
        nonces: &GivenNonce {
            nonce: nonce.unwrap_or_default(),
            until: Timestamp::from_unix(u64::MAX),
        },
        now,
        max_age: age.unwrap_or(MAX_AGE),
        clock_skew: 60,
        max_session: u64::MAX,
    };
    let named = message.fields().address;
    if text(case, "address").is_some_and(|address| address != named) {
        return Err("account_invalid".into());
    }
    let signer = if nonce.is_some() {
        bind(message, format, &expected)?.verify(&evidence)?
    } else {
        require(&message, &[Field::Uri, Field::Version, Field::IssuedAt])?;
        check_content(&message, format, NonceOrigin::Bare, &expected)?;
        format.verify(&message, &evidence)?
    };
    if text(context, "nonce_state") == Some("consumed") {
        return Err("nonce_used".into());
    }
    let right = match signer.account() {
        Account::Chain(account) => account.address() == named,
        Account::Key(key) => key.did() == named,
    };
    if right { Ok(()) } else { Err("account_invalid".into()) }
}

/// What a case says of the site; where it says nothing, the text's own domain.
fn site_of<'a>(case: &'a Value, context: &'a Value, own: &'a str) -> Site<'a> {
    let listed = case.get("allowed_domains").or_else(|| context.get("domains"));
    let domains = match (text(context, "domain"), listed.and_then(Value::as_array)) {
        (Some(domain), _) => vec![domain],
        (None, Some(list)) => list.iter().filter_map(Value::as_str).collect(),
        (None, None) => vec![own],
    };
    let chain = context.get("chain_id").map(|chain| match chain {
        Value::String(chain) => chain.clone(),
        other => other.to_string(),
    });
    Site { domains, chain }
}

/// Signatures in these tables are r‖s‖v. 64 bytes are half of that, cut off, unless the case says
/// `"signature_encoding": "erc2098"` or the top bit of s, which no low S has, shows the parity.
fn is_declared_encoding(case: &Value, signature: &str) -> bool {
    let compact = signature.len() == 2 + 128;
    let parity_shown = || {
        let top = signature.as_bytes().get(2 + 64);
        top.is_some_and(|digit| matches!(digit.to_ascii_lowercase(), b'8' | b'9' | b'a'..=b'f'))
    };
    !compact || text(case, "signature_encoding") == Some("erc2098") || parity_shown()
}
