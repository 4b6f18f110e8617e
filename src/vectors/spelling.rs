//! Sign-in texts alone: whether they are read, what they say, and whether they are written again.
//!
//! Three shapes: a table of texts, with or without the fields that they are made of; a map from a
//! name to a text, to a text with its fields, or to fields that must not become a text; and a map
//! of texts that contract wallets signed, which cannot be checked without a chain.
//!
//! Specs: protocol.md §10, EIP-4361, CAIP-122.

use serde_json::{Map, Value};

use super::case::{Case, Verdict, Why, text};
use crate::wallet::caip122::{self, Field, Fields, Layout, Order, Profile, parse, render};
use crate::wallet::format::{Evidence, WalletFormat};
use crate::wallet::registry;
use crate::wallet::siwe::Siwe;

/// The order of CAIP-122 itself, in which the chain comes after the request id.
const GENERIC: &[Field] = &[
    Field::Uri,
    Field::Version,
    Field::Nonce,
    Field::IssuedAt,
    Field::ExpirationTime,
    Field::NotBefore,
    Field::RequestId,
    Field::ChainId,
    Field::Resources,
];

const REQUIRED: &[Field] = &[Field::Uri, Field::Version, Field::IssuedAt, Field::ChainId];

static GENERIC_ETHEREUM: Profile = generic(caip122::SIWE.header);
static GENERIC_SOLANA: Profile = generic(caip122::SIWS.header);

const fn generic(header: &'static str) -> Profile {
    Profile {
        header,
        scheme: false,
        layout: Layout::Framed,
        fields: GENERIC,
        order: Order::Listed,
        required: REQUIRED,
        nonce_min: 8,
    }
}

/// Judges a table of `text`, each with its `fields` or an example of CAIP-122 alone.
pub(super) fn judge_texts(cases: &[Value]) -> Vec<Case> {
    let judged = cases.iter().enumerate().map(|(place, case)| {
        let written = text(case, "text").unwrap_or_default();
        let got = match (registry::by_text(written), case.get("fields")) {
            (Some(format), Some(fields)) => {
                same_both_ways(format.profile(), written, fields).into()
            }
            (Some(format), None) => reads_as_caip122(format, written).into(),
            (None, _) => Verdict::Skip,
        };
        Case::of(case, place, got)
    });
    judged.collect()
}

/// Judges a map from names to texts or fields of EIP-4361; `None` when it is none.
pub(super) fn judge_map(document: &Value) -> Option<Vec<Case>> {
    let map = document.as_object()?;
    let fits = map.values().all(|value| {
        value.is_string()
            || is_signed_text(value)
            || value.get("fields").is_some() && text(value, "message").is_some()
            || text(value, "domain").is_some() && text(value, "address").is_some()
            || text(value, "nonce").is_some()
    });
    if !fits || map.is_empty() {
        return None;
    }
    let judged = map.iter().map(|(name, value)| {
        let (accept, got) = match value {
            Value::String(message) => (false, check_text(message).into()),
            _ if is_signed_text(value) => (false, check_signature(value).into()),
            _ => match (text(value, "message"), value.get("fields")) {
                (Some(message), Some(fields)) => {
                    (true, same_both_ways(&caip122::SIWE, message, fields).into())
                }
                _ => (false, check_fields(value).into()),
            },
        };
        Case { id: name.replace(char::is_whitespace, "-"), accept, got }
    });
    Some(judged.collect())
}

/// A text and a signature and nothing else: by a contract wallet, for this map's kind.
fn is_signed_text(value: &Value) -> bool {
    value.as_object().is_some_and(|members| {
        members.len() == 2 && members.contains_key("message") && members.contains_key("signature")
    })
}

fn check_text(message: &str) -> Result<(), Why> {
    let message = Siwe.read(message)?;
    Siwe.accounts().account_of(&message)?;
    Ok(())
}

fn check_signature(value: &Value) -> Result<(), Why> {
    let message = Siwe.read(text(value, "message").unwrap_or_default())?;
    let evidence =
        Evidence { signature: text(value, "signature").unwrap_or_default(), public_key: None };
    Siwe.verify(&message, &evidence)?;
    Ok(())
}

/// Fields that become a text, which is then read as strictly as any other.
fn check_fields(value: &Value) -> Result<(), Why> {
    let owned = Owned::of(value);
    let text = render(&caip122::SIWE, &owned.fields()).map_err(|_| "malformed_message")?;
    check_text(&text)
}

/// Whether the text says what the fields say, and the fields become the text.
fn same_both_ways(profile: &'static Profile, text: &str, fields: &Value) -> Result<(), Why> {
    let owned = Owned::of(fields);
    let read = parse(profile, text).map_err(super::case::said)?;
    let mut said = read.fields().clone();
    // An empty list and none at all are one thing in these tables.
    said.resources = said.resources.filter(|list| !list.is_empty());
    if said != owned.fields() {
        return Err("fields_differ".into());
    }
    let written = render(profile, read.fields()).map_err(super::case::said)?;
    if written == text { Ok(()) } else { Err("text_differs".into()) }
}

fn reads_as_caip122(format: &dyn WalletFormat, text: &str) -> Result<(), Why> {
    let profile = match format.name() {
        "siwe" => &GENERIC_ETHEREUM,
        "siws" => &GENERIC_SOLANA,
        _ => format.profile(),
    };
    let read = parse(profile, text).map_err(super::case::said)?;
    let written = render(profile, read.fields()).map_err(super::case::said)?;
    if written == text { Ok(()) } else { Err("text_differs".into()) }
}

/// Fields as JSON has them, numbers as texts.
struct Owned(Map<String, Value>);

impl Owned {
    fn of(value: &Value) -> Self {
        let mut members = value.as_object().cloned().unwrap_or_default();
        for member in members.values_mut() {
            if let Value::Number(number) = member {
                *member = Value::String(number.to_string());
            }
        }
        Self(members)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn fields(&self) -> Fields<'_> {
        let listed = self.0.get("resources").and_then(Value::as_array);
        let resources: Option<Vec<&str>> =
            listed.map(|list| list.iter().filter_map(Value::as_str).collect());
        Fields {
            scheme: self.get("scheme"),
            domain: self.get("domain").unwrap_or_default(),
            address: self.get("address").unwrap_or_default(),
            statement: self.get("statement"),
            uri: self.get("uri"),
            version: self.get("version"),
            chain_id: self.get("chainId"),
            nonce: self.get("nonce"),
            issued_at: self.get("issuedAt"),
            expiration_time: self.get("expirationTime"),
            not_before: self.get("notBefore"),
            request_id: self.get("requestId"),
            resources: resources.filter(|list| !list.is_empty()),
        }
    }
}
