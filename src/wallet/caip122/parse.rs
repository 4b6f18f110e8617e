//! Reads a sign-in text line by line, in one pass, and says where and why it stops.
//!
//! There is one reading or none: no trailing line, no second spelling, no field twice.
//!
//! Specs: EIP-4361 (ABNF and erratum), CAIP-122, wallet-standard `signIn`.

use std::fmt;

use super::lexical;
use super::moment::Moment;
use super::profile::{Field, Layout, Order, Profile};
use super::{Fields, UnverifiedMessage};

/// The longest text that is read, in bytes.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// The most resources that a text may list.
pub const MAX_RESOURCES: usize = 64;

/// What kind of fault ended the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The text is longer than [`MAX_MESSAGE`].
    TooLarge,
    /// The text breaks the grammar.
    Grammar,
    /// The text is of a version that is not 1.
    Version,
}

/// Where a reading stopped, and what should have stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What kind of fault it is.
    pub fault: Fault,
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: expected {}", self.line, self.column, self.expected)
    }
}

impl std::error::Error for ParseError {}

/// Reads `text` as a sign-in text of `profile`.
///
/// # Errors
/// A [`ParseError`] that names line and column; nothing is guessed and nothing is repaired.
pub fn parse<'a>(
    profile: &'static Profile,
    text: &'a str,
) -> Result<UnverifiedMessage<'a>, ParseError> {
    if text.len() > MAX_MESSAGE {
        return Err(ParseError {
            fault: Fault::TooLarge,
            line: 1,
            column: 1,
            expected: "at most 8192 bytes",
        });
    }
    let mut lines = Lines::of(text);
    let mut message = UnverifiedMessage {
        profile,
        text,
        fields: Fields::default(),
        nonce_at: 0,
        issued_at: None,
        expiration_time: None,
        not_before: None,
    };
    read_header(&mut lines, profile, &mut message.fields)?;
    message.fields.address = read_address(&mut lines)?;
    match profile.layout {
        Layout::Framed => message.fields.statement = read_framed_statement(&mut lines)?,
        Layout::Paragraphs => message.fields.statement = read_paragraphs(&mut lines)?,
    }
    read_fields(&mut lines, profile, &mut message)?;
    Ok(message)
}

/// The lines of a text, with their places.
struct Lines<'a> {
    text: &'a str,
    /// Where the next line begins; past the end when there is none.
    next: usize,
    /// Where the current line begins.
    start: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text, next: 0, start: 0, number: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        let rest = self.text.get(self.next..)?;
        Some(rest.split_once('\n').map_or(rest, |(line, _)| line))
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.peek()?;
        self.start = self.next;
        // One past the end of the text when this is its last line, so that `peek` finds none.
        self.next = self.next + line.len() + 1;
        self.number += 1;
        Some(line)
    }

    /// A fault in the current line, `offset` bytes into it.
    fn fault(&self, offset: usize, expected: &'static str) -> ParseError {
        ParseError { fault: Fault::Grammar, line: self.number.max(1), column: offset + 1, expected }
    }

    fn expect_empty(&mut self, expected: &'static str) -> Result<(), ParseError> {
        match self.next() {
            Some("") => Ok(()),
            Some(_) => Err(self.fault(0, expected)),
            None => Err(self.end(expected)),
        }
    }

    /// A fault at the end of the text.
    fn end(&self, expected: &'static str) -> ParseError {
        ParseError { line: self.number + 1, ..self.fault(0, expected) }
    }
}

fn read_header<'a>(
    lines: &mut Lines<'a>,
    profile: &Profile,
    fields: &mut Fields<'a>,
) -> Result<(), ParseError> {
    let line = lines.next().unwrap_or_default();
    let asker = line
        .strip_suffix(profile.header)
        .ok_or_else(|| lines.fault(0, "`<domain> wants you to sign in with your …:`"))?;
    let (scheme, domain) = match asker.split_once("://") {
        Some((scheme, domain)) => (Some(scheme), domain),
        None => (None, asker),
    };
    if !scheme.is_none_or(|scheme| profile.scheme && lexical::is_scheme(scheme)) {
        return Err(lines.fault(0, "a URI scheme before `://`"));
    }
    if !lexical::is_authority(domain) {
        return Err(lines.fault(asker.len() - domain.len(), "a domain (RFC 3986 authority)"));
    }
    fields.scheme = scheme;
    fields.domain = domain;
    Ok(())
}

fn read_address<'a>(lines: &mut Lines<'a>) -> Result<&'a str, ParseError> {
    let line = lines.next().ok_or_else(|| lines.end("an address"))?;
    if !lexical::is_address(line) {
        return Err(lines.fault(0, "an address"));
    }
    Ok(line)
}

/// `LF [statement LF] LF`, after the address.
fn read_framed_statement<'a>(lines: &mut Lines<'a>) -> Result<Option<&'a str>, ParseError> {
    lines.expect_empty("an empty line after the address")?;
    let line = lines.next().ok_or_else(|| lines.end("a statement or an empty line"))?;
    if line.is_empty() {
        return Ok(None);
    }
    if !lexical::is_ascii_statement(line) {
        return Err(lines.fault(0, "a statement of one line in the characters of EIP-4361"));
    }
    lines.expect_empty("an empty line after the statement")?;
    Ok(Some(line))
}

/// Paragraphs up to the one that begins with a field, or to the end.
fn read_paragraphs<'a>(lines: &mut Lines<'a>) -> Result<Option<&'a str>, ParseError> {
    if lines.peek().is_none() {
        return Ok(None);
    }
    lines.expect_empty("an empty line after the address")?;
    let begins = lines.next;
    let mut ends = None;
    while let Some(line) = lines.peek() {
        if Field::of_line(line).is_some() {
            break;
        }
        lines.next();
        if line.is_empty() {
            // Only between paragraphs: what follows is the fields or more of the statement.
            if ends.is_none() || lines.peek().is_none_or(str::is_empty) {
                return Err(lines.fault(0, "a statement or a field"));
            }
        } else if lexical::is_printable_line(line) {
            ends = Some(lines.start + line.len());
        } else {
            return Err(lines.fault(0, "a line without control characters"));
        }
    }
    let Some(ends) = ends else {
        // The blank line promised something.
        return match lines.peek() {
            Some(_) => Ok(None),
            None => Err(lines.end("a statement or a field")),
        };
    };
    // A field straight after a line of the statement would be a second reading of that line.
    if lines.peek().is_some() && lines.next != ends + 2 {
        return Err(lines.end("an empty line before the fields"));
    }
    Ok(lines.text.get(begins..ends))
}

fn read_fields<'a>(
    lines: &mut Lines<'a>,
    profile: &Profile,
    message: &mut UnverifiedMessage<'a>,
) -> Result<(), ParseError> {
    let mut seen = 0u16;
    let mut allowed = profile.fields;
    while let Some(line) = lines.next() {
        let (field, value) =
            Field::of_line(line).ok_or_else(|| lines.fault(0, "a field such as `URI: `"))?;
        let place = allowed.iter().position(|&f| f == field);
        let Some(place) = place.filter(|_| seen & field.bit() == 0) else {
            return Err(lines.fault(0, "each field once, in the order of the format"));
        };
        if profile.order == Order::Listed {
            allowed = allowed.get(place + 1..).unwrap_or_default();
        }
        seen |= field.bit();
        if field == Field::Resources {
            message.fields.resources = Some(read_resources(lines)?);
        } else {
            read_value(lines, profile, field, value, message)?;
        }
    }
    match profile.required.iter().find(|f| seen & f.bit() == 0) {
        Some(field) => Err(lines.end(field.tag())),
        None => Ok(()),
    }
}

fn read_value<'a>(
    lines: &Lines<'a>,
    profile: &Profile,
    field: Field,
    value: &'a str,
    message: &mut UnverifiedMessage<'a>,
) -> Result<(), ParseError> {
    let at = field.tag().len();
    let fits = |fits: bool, expected| {
        if fits { Ok(()) } else { Err(lines.fault(at, expected)) }
    };
    let moment = || Moment::parse(value).ok_or_else(|| lines.fault(at, "a time (RFC 3339)"));
    let fields = &mut message.fields;
    match field {
        Field::Uri => {
            fits(lexical::is_uri(value), "a URI (RFC 3986)")?;
            fields.uri = Some(value);
        }
        Field::Version => {
            fits(value == "1", "1")
                .map_err(|error| ParseError { fault: Fault::Version, ..error })?;
            fields.version = Some(value);
        }
        Field::ChainId => {
            fits(lexical::is_address(value), "a chain id")?;
            fields.chain_id = Some(value);
        }
        Field::Nonce => {
            fits(lexical::is_nonce(value, profile.nonce_min), "a nonce of letters and digits")?;
            fields.nonce = Some(value);
            message.nonce_at = lines.start + at;
        }
        Field::IssuedAt => {
            message.issued_at = Some(moment()?);
            fields.issued_at = Some(value);
        }
        Field::ExpirationTime => {
            message.expiration_time = Some(moment()?);
            fields.expiration_time = Some(value);
        }
        Field::NotBefore => {
            message.not_before = Some(moment()?);
            fields.not_before = Some(value);
        }
        Field::RequestId => {
            fits(lexical::is_request_id(value), "a request id (RFC 3986 pchar)")?;
            fields.request_id = Some(value);
        }
        Field::Resources => {}
    }
    Ok(())
}

fn read_resources<'a>(lines: &mut Lines<'a>) -> Result<Vec<&'a str>, ParseError> {
    let mut resources = Vec::new();
    while let Some(line) = lines.next() {
        let uri = line
            .strip_prefix("- ")
            .ok_or_else(|| lines.fault(0, "`- ` and a URI: resources are the last field"))?;
        if !lexical::is_uri(uri) {
            return Err(lines.fault(2, "a URI (RFC 3986)"));
        }
        if resources.len() == MAX_RESOURCES {
            return Err(lines.fault(0, "at most 64 resources"));
        }
        resources.push(uri);
    }
    Ok(resources)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
