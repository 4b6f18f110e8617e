//! What is printed where: results on standard output, everything else on standard error.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::failure::{Failure, Fault};

/// Where a command's words go, and in which of the two forms.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Text for people, or JSON.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result: a JSON document, or pairs of a name and a value in two columns.
    ///
    /// # Errors
    /// [`Failure`] when standard output is closed or full.
    pub fn result(&self, pairs: &[(&str, Value)]) -> Result<(), Failure> {
        if self.json {
            let members = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            return self.document(&Value::Object(members.collect()));
        }
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
        let mut text = String::new();
        for (name, value) in pairs {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            text.push_str(&format!("{name:width$}{value}\n"));
        }
        self.bytes(text.as_bytes())
    }

    /// Prints a JSON document.
    ///
    /// # Errors
    /// [`Failure`] when standard output is closed or full.
    pub fn document(&self, document: &Value) -> Result<(), Failure> {
        self.bytes(format!("{document:#}\n").as_bytes())
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// [`Failure`] when standard output is closed or full.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Says something to the person that is no result.
    pub fn note(&self, text: &str) {
        if !self.json {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Says why the command failed.
    pub fn failure(&self, failure: &Failure) {
        if failure.fault() == Fault::Quiet {
            return;
        }
        let text = if self.json {
            json!({
                "error": failure.fault().name(),
                "reason": failure.reason(),
                "error_description": failure.message(),
            })
            .to_string()
        } else {
            format!("countersign: {}", failure.message())
        };
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
