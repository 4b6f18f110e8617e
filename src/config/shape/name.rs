//! Names are the short identifiers of the house: scopes, message formats, hashes of secrets and log levels.

use super::super::fault::Fault;
use super::super::suggest::nearest;
use super::super::written::{Value, Written};
use super::{Shape, TextShape};
use crate::model::introspection::SecretHash;
use crate::model::scope::Scope;
use crate::wallet::registry;

/// The names of the registered message formats.
fn formats() -> Vec<&'static str> {
    registry::FORMATS.iter().map(|format| format.name()).collect()
}

/// A scope: `name` or `namespace:name`.
pub(crate) struct ScopeName;

impl TextShape for ScopeName {
    type Value = String;

    fn accepted(&self) -> String {
        "a scope such as read or escrow:release, of letters, digits and . _ * + -".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        match (text.parse::<Scope>(), text.strip_prefix("oauth:")) {
            (Ok(scope), _) => Ok(scope.to_string()),
            // A scope without a namespace is signed as the ability `oauth/<scope>`: the two must not meet.
            (Err(_), Some(name)) => Err(format!("must be written without its namespace: {name}")),
            (Err(_), None) => Err("is not a scope".to_owned()),
        }
    }
}

/// The name of a credential: a file's name without a folder.
pub(crate) struct CredentialName;

impl TextShape for CredentialName {
    type Value = String;

    fn accepted(&self) -> String {
        "a name such as sealing-key, of letters, digits and . _ -".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let named = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if text.len() <= 255 && !text.starts_with('.') && text.bytes().all(named) {
            Ok(text.to_owned())
        } else {
            Err("is not the name of a credential".to_owned())
        }
    }
}

/// The label of a PKCS#11 token: 32 bytes at most.
pub(crate) struct TokenLabel;

impl TextShape for TokenLabel {
    type Value = String;

    fn accepted(&self) -> String {
        "a label such as countersign, of at most 32 bytes".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        match text.len() <= 32 && !text.contains(char::is_control) {
            true => Ok(text.to_owned()),
            false => Err("is not the label of a token".to_owned()),
        }
    }
}

/// The name of a registered message format.
pub(crate) struct FormatName;

impl TextShape for FormatName {
    type Value = String;

    fn accepted(&self) -> String {
        format!("one of {}", formats().join(", "))
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if registry::by_name(text).is_some() {
            return Ok(text.to_owned());
        }
        let meant = nearest(text, formats());
        let suggestion = meant.map(|name| format!("; did you mean \"{name}\"?"));
        Err(format!("is not a registered format{}", suggestion.unwrap_or_default()))
    }
}

/// What is kept of a secret, as `countersign secret` prints it.
pub(crate) struct SecretHashText;

impl Shape for SecretHashText {
    type Value = SecretHash;

    fn accepted(&self) -> String {
        "a hash as countersign secret prints it, sha256:…".to_owned()
    }

    fn read(&self, written: &Written, faults: &mut Vec<Fault>) -> Option<SecretHash> {
        let parsed = match &written.value {
            Value::Plain(text) | Value::Text(text) => text.parse().ok(),
            Value::Number(_) | Value::Switch(_) | Value::List(_) | Value::Other(_) => None,
        };
        if parsed.is_none() {
            // Whoever wrote the secret itself does not read it again in a log.
            let fault = written.fault("is not such a hash", Some(self.accepted()));
            faults.push(Fault { found: None, ..fault });
        }
        parsed
    }
}

/// What is logged: a level, or several with targets.
pub(crate) struct LogFilter;

/// The levels, from least to most.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

impl TextShape for LogFilter {
    type Value = String;

    fn accepted(&self) -> String {
        format!("{}, or several with targets such as info,countersign=debug", LEVELS.join(", "))
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        for directive in text.split(',') {
            let (target, level) = directive.split_once('=').unwrap_or(("countersign", directive));
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_:".contains(&b);
            if target.is_empty() || !target.bytes().all(plain) {
                return Err(format!("names no target in \"{}\"", directive.escape_debug()));
            }
            if !LEVELS.contains(&level) {
                return Err(format!("names no level in \"{}\"", directive.escape_debug()));
            }
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_fit_the_grammar() {
        for written in ["read", "escrow:release", "admin:*", "a.b_c+d-e"] {
            assert_eq!(ScopeName.parse(written).as_deref(), Ok(written));
        }
        for (written, problem) in [
            ("escrow:", "is not a scope"),
            (":read", "is not a scope"),
            ("a:b:c", "is not a scope"),
            ("two words", "is not a scope"),
            ("escrow/release", "is not a scope"),
            ("oauth:read", "must be written without its namespace: read"),
        ] {
            assert_eq!(ScopeName.parse(written).unwrap_err(), problem, "{written}");
        }
        assert!(ScopeName.parse(&"a".repeat(129)).is_err());
    }

    #[test]
    fn formats_are_registered_ones() {
        assert!(FormatName.parse("siwe").is_ok());
        assert_eq!(
            FormatName.parse("siwx").unwrap_err(),
            "is not a registered format; did you mean \"siwe\"?"
        );
    }

    #[test]
    fn log_filters_name_levels() {
        for written in ["info", "off", "warn,countersign=debug", "info,countersign::http=trace"] {
            assert!(LogFilter.parse(written).is_ok(), "{written}");
        }
        for written in ["verbose", "INFO", "info,", "=debug", "countersign=", "a b=info"] {
            assert!(LogFilter.parse(written).is_err(), "{written}");
        }
    }
}
