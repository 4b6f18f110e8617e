//! What a signed text grants: one resource and its scopes, as a ReCap and as the sentence that says the same.
//!
//! The person signs the sentence, the server reads the ReCap, so the two must be one: the sentence
//! is derived again and compared. The ReCap is taken in its canonical bytes alone. Whatever JSON
//! lets vary (order, spacing, escapes, a key twice) is refused by reading no JSON at all, only the
//! single spelling that [`Grant::to_uri`] writes. A caveat that is not understood would be a limit
//! that is not kept, so none is accepted yet.
//!
//! Specs: EIP-5573, protocol.md §3.

use std::cmp::Ordering;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::caip122::is_uri;
use crate::model::scope::{Scope, ScopeSet};

/// How a ReCap begins among the resources.
const PREFIX: &str = "urn:recap:";

/// How the sentence of every ReCap begins.
const PREAMBLE: &str =
    "I further authorize the stated URI to perform the following actions on my behalf:";

/// The most scopes in one grant.
const MAX_SCOPES: usize = 32;

/// Why a ReCap or what should become one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecapError {
    /// Not base64url without padding.
    #[error("a ReCap is `urn:recap:` and base64url without padding")]
    Encoding,
    /// Not the canonical bytes, or more than one resource.
    #[error(
        "a ReCap grants abilities on one resource, unrestricted (`[{{}}]`), without proofs, in canonical JSON"
    )]
    NotCanonical,
    /// An ability with `[]`, which grants nothing.
    #[error("an ability with an empty list can never be used (EIP-5573); leave it out")]
    EmptyAbility,
    /// A resource that is not a URI, or that the sentence could not quote.
    #[error("the resource of a ReCap is a URI without quotation marks")]
    Resource,
    /// A scope or ability outside the grammar.
    #[error("a scope is `name` or `namespace:name` of letters, digits and . _ * + -")]
    Scope,
}

/// Scopes on one resource, as a signed text grants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    resource: String,
    /// In the byte order of their abilities, at least one.
    scopes: ScopeSet,
}

impl Grant {
    /// A grant of `scopes` on `resource`; the order of the scopes does not matter.
    ///
    /// # Errors
    /// [`RecapError`] when a part cannot stand in a ReCap.
    pub fn new(resource: &str, scopes: &ScopeSet) -> Result<Self, RecapError> {
        if scopes.is_empty() || scopes.iter().count() > MAX_SCOPES {
            return Err(RecapError::Scope);
        }
        if !quotable(resource) {
            return Err(RecapError::Resource);
        }
        let mut ordered: Vec<Scope> = scopes.iter().cloned().collect();
        ordered.sort_unstable_by(by_ability);
        Ok(Self { resource: resource.to_owned(), scopes: ordered.into_iter().collect() })
    }

    /// Reads a resource entry; `None` when it is no ReCap.
    ///
    /// # Errors
    /// (inside the option) [`RecapError`] for every ReCap but the canonical one of a single resource.
    pub fn from_uri(uri: &str) -> Option<Result<Self, RecapError>> {
        let encoded = uri.strip_prefix(PREFIX)?;
        let decoded = URL_SAFE_NO_PAD.decode(encoded).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        Some(text.ok_or(RecapError::Encoding).and_then(|text| read(&text)))
    }

    /// The `urn:recap:` entry.
    pub fn to_uri(&self) -> String {
        let mut json = String::with_capacity(256);
        json.push_str("{\"att\":{\"");
        json.push_str(&self.resource);
        json.push_str("\":{");
        for (place, scope) in self.scopes.iter().enumerate() {
            let (namespace, name) = scope.ability();
            json.push_str(if place == 0 { "\"" } else { ",\"" });
            json.push_str(namespace);
            json.push('/');
            json.push_str(name);
            json.push_str("\":[{}]");
        }
        json.push_str("}},\"prf\":[]}");
        let mut uri = String::with_capacity(PREFIX.len() + json.len() * 4 / 3 + 4);
        uri.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(json, &mut uri);
        uri
    }

    /// The sentence that the statement ends in (EIP-5573, translation algorithm).
    pub fn sentence(&self) -> String {
        let mut sentence = String::with_capacity(256);
        sentence.push_str(PREAMBLE);
        let mut number = 0;
        let mut current = "";
        for scope in self.scopes.iter() {
            let (namespace, name) = scope.ability();
            if namespace == current {
                sentence.push_str(", '");
            } else {
                if number > 0 {
                    self.end_entry(&mut sentence);
                }
                number += 1;
                current = namespace;
                // Writing to a string does not fail.
                let _ = write!(sentence, " ({number}) '{namespace}': '");
            }
            sentence.push_str(name);
            sentence.push('\'');
        }
        self.end_entry(&mut sentence);
        sentence
    }

    fn end_entry(&self, sentence: &mut String) {
        sentence.push_str(" for '");
        sentence.push_str(&self.resource);
        sentence.push_str("'.");
    }

    /// Whether `statement` ends in this grant's sentence and speaks of no other grant.
    pub fn is_stated_by(&self, statement: &str) -> bool {
        statement.strip_suffix(self.sentence().as_str()).is_some_and(|before| {
            (before.is_empty() || before.ends_with([' ', '\n'])) && !speaks_of_grant(before)
        })
    }

    /// The resource that the scopes are for.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The scopes, in the byte order of their abilities.
    pub const fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }
}

/// The order of `namespace/name` by bytes (EIP-5573).
fn by_ability(one: &Scope, other: &Scope) -> Ordering {
    let bytes = |scope: &Scope| {
        let (namespace, name) = scope.ability();
        [namespace.as_bytes(), b"/", name.as_bytes()].concat()
    };
    bytes(one).cmp(&bytes(other))
}

/// Whether a statement claims to grant something by ReCap.
pub fn speaks_of_grant(statement: &str) -> bool {
    statement.contains("I further authorize the stated URI")
}

/// Reads the one spelling that `to_uri` writes.
fn read(json: &str) -> Result<Grant, RecapError> {
    let rest = json.strip_prefix("{\"att\":{\"").ok_or(RecapError::NotCanonical)?;
    let (resource, mut rest) = rest.split_once("\":{").ok_or(RecapError::NotCanonical)?;
    if !quotable(resource) {
        return Err(RecapError::Resource);
    }
    let mut scopes: Vec<Scope> = Vec::new();
    let mut last = "";
    loop {
        rest = rest.strip_prefix('"').ok_or(RecapError::NotCanonical)?;
        let (ability, after) = rest.split_once("\":").ok_or(RecapError::NotCanonical)?;
        let scope = Scope::from_ability(ability).map_err(|_| RecapError::Scope)?;
        // An ability that is written another way than its scope writes it is a second spelling.
        if ability.split_once('/') != Some(scope.ability()) {
            return Err(RecapError::Scope);
        }
        if after.starts_with("[]") {
            return Err(RecapError::EmptyAbility);
        }
        // Ascending, so that none stands twice and the order is the canonical one.
        if last >= ability || scopes.len() == MAX_SCOPES {
            return Err(RecapError::NotCanonical);
        }
        last = ability;
        scopes.push(scope);
        rest = after.strip_prefix("[{}]").ok_or(RecapError::NotCanonical)?;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    if rest != "}},\"prf\":[]}" {
        return Err(RecapError::NotCanonical);
    }
    Ok(Grant { resource: resource.to_owned(), scopes: scopes.into_iter().collect() })
}

/// A URI that neither JSON nor the sentence has to escape.
fn quotable(resource: &str) -> bool {
    is_uri(resource) && !resource.contains('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESCROW: &str = "https://escrow.example";

    fn grant_of(scopes: &str) -> Grant {
        Grant::new(ESCROW, &scopes.parse().unwrap()).unwrap()
    }

    fn uri_of(json: &str) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn says_what_it_grants() {
        let grant = grant_of("escrow:release read escrow:read");
        assert_eq!(
            grant.sentence(),
            "I further authorize the stated URI to perform the following actions on my behalf: \
             (1) 'escrow': 'read', 'release' for 'https://escrow.example'. \
             (2) 'oauth': 'read' for 'https://escrow.example'."
        );
        assert_eq!(
            grant.to_uri(),
            uri_of(
                r#"{"att":{"https://escrow.example":{"escrow/read":[{}],"escrow/release":[{}],"oauth/read":[{}]}},"prf":[]}"#
            )
        );
        assert_eq!(Grant::from_uri(&grant.to_uri()), Some(Ok(grant.clone())));
        assert_eq!(grant.scopes().to_string(), "escrow:read escrow:release read");
        assert!(grant.is_stated_by(&grant.sentence()));
        assert!(grant.is_stated_by(&format!("Hello. {}", grant.sentence())));
        let less = grant_of("escrow:read");
        assert!(!grant.is_stated_by(&less.sentence()));
        assert!(!less.is_stated_by(&format!("{} {}", grant.sentence(), less.sentence())));
        assert!(!less.is_stated_by(&format!("{} ", less.sentence())));
    }

    #[test]
    fn reads_one_spelling() {
        let read = |json: &str| Grant::from_uri(&uri_of(json)).unwrap();
        for json in [
            "",
            "{}",
            r#"{"att":{},"prf":[]}"#,
            r#"{"att":{"https://a.example":{}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/b":[{}]}}}"#,
            r#"{"att":{"https://a.example":{"a/b":[{}]}},"prf":["bafy"]}"#,
            r#"{"att":{"https://a.example":{"a/b":[{"max":1}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/b":[{},{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/b":[]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/b":[{}],"a/b":[{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/c":[{}],"a/b":[{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/b":[{}]},"https://b.example":{"a/b":[{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/b": [{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/\u0062":[{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"ab":[{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"oauth/a:b":[{}]}},"prf":[]}"#,
            r#"{"att":{"nowhere":{"a/b":[{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example/'":{"a/b":[{}]}},"prf":[]}"#,
            r#"{"att":{"https://a.example":{"a/b":[{}]}},"prf":[]} "#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(read(r#"{"att":{"https://a.example":{"a/b":[{}]}},"prf":[]}"#).is_ok());
        assert_eq!(Grant::from_uri("urn:recap:e30="), Some(Err(RecapError::Encoding)));
        assert_eq!(Grant::from_uri("https://a.example"), None);
    }

    #[test]
    fn grants_something_on_a_uri() {
        let read = "read".parse().unwrap();
        assert_eq!(Grant::new(ESCROW, &ScopeSet::default()), Err(RecapError::Scope));
        assert_eq!(Grant::new("escrow", &read), Err(RecapError::Resource));
        assert_eq!(Grant::new("https://a.example/'", &read), Err(RecapError::Resource));
    }
}
