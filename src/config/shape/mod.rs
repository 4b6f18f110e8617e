//! A shape decides what one value must look like, and turns what was written into the value that is meant.
//!
//! Parse, do not validate: whoever holds the result need not ask again. A shape knows nothing of other keys; what spans
//! several is in `validate.rs`. The accepted form is told by the shape itself, once for faults and for docs/CONFIG.md.

mod account;
mod folder;
mod lines;
mod list;
mod name;
mod net;
mod node;
mod number;
mod url;

pub(crate) use account::{AccountName, ChainName, RawKeyName, on_its_chain};
pub(crate) use folder::{FilePath, Folder};
pub(crate) use lines::LinesTarget;
pub(crate) use list::{Item, ListOf};
pub(crate) use name::{
    CredentialName, FormatName, LogFilter, ScopeName, SecretHashText, TokenLabel,
};
pub(crate) use net::{Address, AddressOrOff, Domain, Network};
pub(crate) use node::{AskedChain, EthereumAddress, NodeUrl};
pub(crate) use number::{Whole, WholeOrOff};
pub(crate) use url::{IssuerUrl, OperationsUrl, ResourceUri};

use super::fault::Fault;
use super::written::{Value, Written};

/// What one value must look like.
pub(crate) trait Shape: Sync {
    /// What it means.
    type Value;

    /// The accepted form, to be read after "accepted:".
    fn accepted(&self) -> String;

    /// Reads `written`, or adds at least one fault and returns nothing.
    fn read(&self, written: &Written, faults: &mut Vec<Fault>) -> Option<Self::Value>;
}

/// The shape of a value that is written as characters.
pub(crate) trait TextShape: Sync {
    /// What it means.
    type Value;

    /// The accepted form, to be read after "accepted:".
    fn accepted(&self) -> String;

    /// Reads `text`, or says what is wrong with it, to be read after the value.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;

    /// Whether what was written may hold a secret, and is not shown where it is faulty.
    fn is_secret(&self) -> bool {
        false
    }
}

impl<T: TextShape> Shape for T {
    type Value = T::Value;

    fn accepted(&self) -> String {
        TextShape::accepted(self)
    }

    fn read(&self, written: &Written, faults: &mut Vec<Fault>) -> Option<T::Value> {
        let parsed = match &written.value {
            Value::Plain(text) | Value::Text(text) if text.is_empty() => {
                Err("must not be empty".to_owned())
            }
            Value::Plain(text) | Value::Text(text) => self.parse(text),
            Value::Number(_) | Value::Switch(_) | Value::List(_) | Value::Other(_) => {
                Err("must be a string, in quotes".to_owned())
            }
        };
        parsed
            .map_err(|problem| {
                let fault = written.fault(problem, Some(self.accepted()));
                let found = fault.found.clone().filter(|_| !self.is_secret());
                faults.push(Fault { found, ..fault });
            })
            .ok()
    }
}

/// One of a few words.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy + Sync> TextShape for Choice<T> {
    type Value = T;

    fn accepted(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        words.join(" or ")
    }

    fn parse(&self, text: &str) -> Result<T, String> {
        self.0
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| "is not one of the choices".to_owned())
    }
}

/// True or false.
pub(crate) struct Switch;

impl Shape for Switch {
    type Value = bool;

    fn accepted(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, written: &Written, faults: &mut Vec<Fault>) -> Option<bool> {
        match &written.value {
            Value::Switch(on) => return Some(*on),
            Value::Plain(text) if text == "true" => return Some(true),
            Value::Plain(text) if text == "false" => return Some(false),
            Value::Plain(_)
            | Value::Text(_)
            | Value::Number(_)
            | Value::List(_)
            | Value::Other(_) => {}
        }
        let problem = "must be true or false, without quotes";
        faults.push(written.fault(problem, Some(self.accepted())));
        None
    }
}
