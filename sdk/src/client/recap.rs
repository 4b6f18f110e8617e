//! What a challenge would grant, read from its ReCap and derived again as the sentence that says so.
//!
//! The person reads the sentence and a server acts on the ReCap, so a text in which the two differ
//! is not signed. The ReCap is read in one spelling only, the canonical one: whatever JSON lets
//! vary, another reader might read in another way.
//!
//! Specs: EIP-5573, protocol.md §3.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How a ReCap begins among the resources.
pub(super) const PREFIX: &str = "urn:recap:";
/// What every sentence about a ReCap says, and nothing else in a statement may.
pub(super) const CLAIM: &str = "I further authorize the stated URI";
const PREAMBLE: &str =
    "I further authorize the stated URI to perform the following actions on my behalf:";
/// The namespace of scopes without a colon.
const PLAIN_NAMESPACE: &str = "oauth";
/// The most abilities in one grant.
const MAX_ABILITIES: usize = 32;
/// The longest scope, in bytes.
const MAX_SCOPE_BYTES: usize = 64;

/// Abilities on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) resource: String,
    /// Namespace and name, ascending by the bytes of `namespace/name`; at least one.
    abilities: Vec<(String, String)>,
}

impl Grant {
    /// Reads a `urn:recap:` entry; `None` for all but the canonical one of a single resource with
    /// unrestricted abilities that are scopes.
    pub(super) fn read(entry: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(entry.strip_prefix(PREFIX)?).ok()?;
        let json = String::from_utf8(json).ok()?;
        let rest = json.strip_prefix(r#"{"att":{""#)?.strip_suffix(r#"[{}]}},"prf":[]}"#)?;
        let (resource, abilities) = rest.split_once(r#"":{"#)?;
        // What needs an escape in JSON or ends the quotation in the sentence is no URI.
        let quotable = |b: u8| b.is_ascii_graphic() && !b"\"\\'<>^`{|}".contains(&b);
        if !resource.contains(':') || !resource.bytes().all(quotable) {
            return None;
        }
        // The last one's `":[{}]` is gone but for its `":`.
        let abilities = abilities.strip_suffix(r#"":"#)?;
        let abilities: Vec<&str> = abilities.strip_prefix('"')?.split(r#"":[{}],""#).collect();
        // Ascending, so that none stands there twice.
        let ascending =
            abilities.iter().zip(abilities.iter().skip(1)).all(|(one, next)| one < next);
        if !ascending || abilities.len() > MAX_ABILITIES {
            return None;
        }
        let abilities = abilities.into_iter().map(ability).collect::<Option<_>>()?;
        Some(Self { resource: resource.to_owned(), abilities })
    }

    /// The scopes of the abilities.
    pub(super) fn scopes(&self) -> impl Iterator<Item = String> {
        self.abilities.iter().map(|(namespace, name)| match namespace.as_str() {
            PLAIN_NAMESPACE => name.clone(),
            namespace => format!("{namespace}:{name}"),
        })
    }

    /// The sentence in which a statement must end: one numbered part for each namespace.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = PREAMBLE.to_owned();
        let parts = self.abilities.chunk_by(|(one, _), (next, _)| one == next);
        for (number, part) in (1..).zip(parts) {
            let namespace = part.first().map_or("", |(namespace, _)| namespace);
            let names: Vec<String> = part.iter().map(|(_, name)| format!("'{name}'")).collect();
            let (names, resource) = (names.join(", "), &self.resource);
            // Writing to a string does not fail.
            let _ = write!(sentence, " ({number}) '{namespace}': {names} for '{resource}'.");
        }
        sentence
    }
}

/// Namespace and name of an ability that is a scope's own.
fn ability(text: &str) -> Option<(String, String)> {
    let fits = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-*+".contains(&b);
        !part.is_empty() && part.bytes().all(allowed)
    };
    let (namespace, name) = text.split_once('/')?;
    let bytes = if namespace == PLAIN_NAMESPACE { name.len() } else { text.len() };
    (fits(namespace) && fits(name) && bytes <= MAX_SCOPE_BYTES)
        .then(|| (namespace.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Grant> {
        Grant::read(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json)))
    }

    #[test]
    fn known_grants_read_as_their_known_sentences() {
        let escrow = "https://escrow.example";
        for (abilities, scopes, parts) in [
            (r#""oauth/read":[{}]"#, "read", "(1) 'oauth': 'read' for 'https://escrow.example'."),
            (
                r#""escrow/read":[{}],"escrow/release":[{}],"oauth/read":[{}]"#,
                "escrow:read escrow:release read",
                "(1) 'escrow': 'read', 'release' for 'https://escrow.example'. \
                 (2) 'oauth': 'read' for 'https://escrow.example'.",
            ),
            // By bytes `-` comes before `/`, so a namespace can stand between two others.
            (
                r#""a-b/x":[{}],"a/*":[{}],"a/x.y_z+1":[{}]"#,
                "a-b:x a:* a:x.y_z+1",
                "(1) 'a-b': 'x' for 'https://escrow.example'. \
                 (2) 'a': '*', 'x.y_z+1' for 'https://escrow.example'.",
            ),
        ] {
            let grant = read(&format!(r#"{{"att":{{"{escrow}":{{{abilities}}}}},"prf":[]}}"#));
            let grant = grant.unwrap_or_else(|| panic!("{abilities}"));
            assert_eq!(grant.resource, escrow);
            assert_eq!(grant.scopes().collect::<Vec<_>>().join(" "), scopes);
            assert_eq!(grant.sentence(), format!("{PREAMBLE} {parts}"));
        }
    }

    #[test]
    fn one_spelling_is_read() {
        let good = r#"{"att":{"https://a.example":{"a/b":[{}]}},"prf":[]}"#;
        assert!(read(good).is_some());
        for (from, to) in [
            (r#""a/b":[{}]"#, ""),
            ("[{}]", "[]"),
            ("[{}]", r#"[{"max":1}]"#),
            ("[{}]", "[{},{}]"),
            ("[]", r#"["x"]"#),
            (r#","prf":[]"#, ""),
            (r#""a/b":[{}]"#, r#""a/b":[{}],"a/b":[{}]"#),
            (r#""a/b":[{}]"#, r#""a/c":[{}],"a/b":[{}]"#),
            (r#""a/b":[{}]"#, r#""a/b": [{}]"#),
            ("a/b", "a:b"),
            ("a/b", "ab"),
            ("a/b", "a/b/c"),
            ("a/b", "oauth/a:b"),
            ("a/b", r"a/\u0062"),
            ("a/b", "a/"),
            ("https://a.example", "nowhere"),
            ("https://a.example", "https://a.example/'"),
            ("https://a.example", "https://ä.example"),
            ("}}", r#"},"https://b.example":{"a/b":[{}]}}"#),
            ("}}", "}} "),
        ] {
            let other = good.replacen(from, to, 1);
            assert_ne!(other, good);
            assert_eq!(read(&other), None, "{other}");
        }
        for entry in ["urn:recap:", "urn:recap:e30=", "https://a.example"] {
            assert_eq!(Grant::read(entry), None, "{entry}");
        }
    }
}
