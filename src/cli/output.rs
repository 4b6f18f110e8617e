//! What is printed where: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use countersign_sdk::client::error::{is_steering, printable};
use countersign_sdk::time::Timestamp;
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
            text.push_str(&format!("{name:width$}{}\n", printable(&value)));
        }
        self.bytes(text.as_bytes())
    }

    /// Prints a JSON document.
    ///
    /// # Errors
    /// [`Failure`] when standard output is closed or full.
    pub fn document(&self, document: &Value) -> Result<(), Failure> {
        self.bytes(json_text(document).as_bytes())
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

    /// Prints a line of JSON as it is; where a terminal shows it, what could steer that is escaped.
    ///
    /// # Errors
    /// [`Failure`] when standard output is closed or full.
    pub fn json_line(&self, line: &str) -> Result<(), Failure> {
        let line = if io::stdout().is_terminal() { escaped(line) } else { line.to_owned() };
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Says something to the person that is no result.
    pub fn note(&self, text: &str) {
        if !self.json {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr().lock(), "{}", printable(text));
        }
    }

    /// Says that something is not as it should be, in either form.
    pub fn warning(&self, text: &str) {
        let line = if self.json {
            json_line(&json!({"warning": text}))
        } else {
            format!("countersign: warning: {}", printable(text))
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Says why the command failed.
    pub fn failure(&self, failure: &Failure) {
        if failure.fault() == Fault::Quiet {
            return;
        }
        let text = if self.json {
            json_line(&json!({
                "error": failure.fault().name(),
                "reason": failure.reason(),
                "error_description": failure.message(),
            }))
        } else {
            format!("countersign: {}", printable(failure.message()))
        };
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// The last second of the year 9999, after which RFC 3339 has no spelling.
const LAST_SECOND: u64 = 253_402_300_799;

/// A moment that somebody else wrote: RFC 3339, or its seconds where that has no spelling for it.
pub(super) fn moment_text(moment: Timestamp) -> String {
    match moment.as_unix() {
        0..=LAST_SECOND => moment.to_string(),
        beyond => format!("{beyond} s after 1970"),
    }
}

fn json_text(document: &Value) -> String {
    escaped(&format!("{document:#}\n"))
}

fn json_line(document: &Value) -> String {
    escaped(&document.to_string())
}

/// JSON lets C1 controls and bidirectional marks stand in texts, the only place where they can be;
/// a terminal would obey them.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_steering(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// A body on its way to a terminal, chunk by chunk: text stays text, controls are escaped.
#[derive(Debug, Default)]
pub(super) struct TerminalText {
    /// The beginning of a character whose end is in the next chunk.
    begun: Vec<u8>,
}

impl TerminalText {
    /// `chunk` as a terminal may show it; line ends and tabs stay.
    pub(super) fn shown(&mut self, chunk: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(chunk);
        let mut shown = String::with_capacity(bytes.len());
        let mut parts = bytes.utf8_chunks().peekable();
        while let Some(part) = parts.next() {
            for c in part.valid().chars() {
                match c {
                    '\n' | '\t' => shown.push(c),
                    c if is_steering(c) => shown.extend(c.escape_default()),
                    c => shown.push(c),
                }
            }
            let invalid = part.invalid();
            let unfinished = parts.peek().is_none()
                && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if unfinished {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_beyond_the_calendar_is_told_in_seconds() {
        assert_eq!(moment_text(Timestamp::from_unix(LAST_SECOND)), "9999-12-31T23:59:59Z");
        for far in [LAST_SECOND + 1, 1_000_000_000_000_000, u64::MAX] {
            assert_eq!(moment_text(Timestamp::from_unix(far)), format!("{far} s after 1970"));
        }
    }

    #[test]
    fn json_stays_json_and_steers_nothing() {
        let value = json!({"a": "\u{9b}2J\u{202e}\u{7f}\u{1b}é"});
        for text in [json_text(&value), json_line(&value)] {
            assert!(!text.trim_end().contains(|c| c != '\n' && is_steering(c)), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn a_terminal_sees_text_however_it_is_cut() {
        let body = "é\t€\u{1b}[31m\u{9b}\r\n".as_bytes();
        for cut in 0..=body.len() {
            let mut terminal = TerminalText::default();
            let (first, second) = body.split_at(cut);
            let shown = terminal.shown(first) + &terminal.shown(second);
            assert_eq!(shown, "é\t€\\u{1b}[31m\\u{9b}\\r\n", "{cut}");
        }
        assert_eq!(TerminalText::default().shown(b"a\xffb"), "a\u{fffd}b");
    }
}
