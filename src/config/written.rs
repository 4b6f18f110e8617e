//! A written value remembers its key, its place and the type it was written with, until a shape says what it means.

use std::collections::BTreeMap;

use super::fault::{Fault, Source};

/// How many characters of a value a fault shows.
pub(crate) const SHOWN: usize = 80;

/// A value together with its key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// The path, such as `resources[0].scopes[2]`.
    pub(crate) key: String,
    /// Where it stands.
    pub(crate) source: Source,
    /// What stands there.
    pub(crate) value: Value,
}

/// A value as it was written.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Characters without a type: from the environment, a flag, or the table of defaults.
    Plain(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer, in decimal.
    Number(String),
    /// A TOML boolean.
    Switch(bool),
    /// A TOML array.
    List(Vec<Written>),
    /// A type that no key takes.
    Other(&'static str),
}

impl Written {
    /// A fault about this value.
    pub(crate) fn fault(&self, problem: impl Into<String>, accepted: Option<String>) -> Fault {
        Fault {
            source: self.source.clone(),
            key: self.key.clone(),
            found: Some(self.shown()),
            problem: problem.into(),
            accepted,
        }
    }

    /// The value for people: as TOML writes it, cut when long.
    fn shown(&self) -> String {
        match &self.value {
            Value::Plain(text) | Value::Text(text) => {
                let cut: String = text.chars().take(SHOWN).collect();
                let more = if cut.len() < text.len() { "…" } else { "" };
                format!("\"{}{more}\"", cut.escape_debug())
            }
            Value::Number(digits) => digits.clone(),
            Value::Switch(on) => on.to_string(),
            Value::List(items) if items.is_empty() => "[]".to_owned(),
            Value::List(_) => "[…]".to_owned(),
            Value::Other(kind) => format!("({kind})"),
        }
    }
}

/// Values by name.
pub(crate) type Values = BTreeMap<String, Written>;
