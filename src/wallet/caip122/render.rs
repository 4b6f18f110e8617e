//! Writes the sign-in text that [`parse`](super::parse) reads back to the same values.
//!
//! The text is read back before it is handed out: a value with a line break in it, or any other
//! that would read differently, becomes an error in place of a second field in the text that a
//! person signs.
//!
//! Specs: EIP-4361, CAIP-122, wallet-standard `signIn`.

use super::parse::{Fault, ParseError, parse};
use super::profile::{Field, Layout, Profile};
use super::{Fields, UnverifiedMessage};

/// Writes `fields` as a text of `profile`.
///
/// # Errors
/// The [`ParseError`] of the text that would have come out, when it does not say what `fields` say.
pub fn render(profile: &'static Profile, fields: &Fields<'_>) -> Result<String, ParseError> {
    let text = write(profile, fields);
    let read =
        parse(profile, &text).map(|message: UnverifiedMessage<'_>| message.fields == *fields);
    match read {
        Ok(true) => Ok(text),
        Ok(false) => Err(ParseError {
            fault: Fault::Grammar,
            line: 1,
            column: 1,
            expected: "values that this format can carry",
        }),
        Err(error) => Err(error),
    }
}

fn write(profile: &Profile, fields: &Fields<'_>) -> String {
    let mut text = String::with_capacity(768);
    if let Some(scheme) = fields.scheme {
        text.push_str(scheme);
        text.push_str("://");
    }
    for part in [fields.domain, profile.header, "\n", fields.address] {
        text.push_str(part);
    }
    match (profile.layout, fields.statement) {
        (Layout::Framed, Some(statement)) => push_all(&mut text, &["\n\n", statement, "\n"]),
        (Layout::Framed, None) => text.push_str("\n\n"),
        (Layout::Paragraphs, Some(statement)) => push_all(&mut text, &["\n\n", statement]),
        (Layout::Paragraphs, None) => {}
    }
    let mut begins = profile.layout == Layout::Paragraphs;
    for &field in profile.fields {
        let Some(value) = value_of(fields, field) else {
            continue;
        };
        if begins {
            text.push('\n');
            begins = false;
        }
        push_all(&mut text, &["\n", field.tag(), value]);
    }
    for resource in fields.resources.iter().flatten() {
        push_all(&mut text, &["\n- ", resource]);
    }
    text
}

fn push_all(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

fn value_of<'a>(fields: &Fields<'a>, field: Field) -> Option<&'a str> {
    match field {
        Field::Uri => fields.uri,
        Field::Version => fields.version,
        Field::ChainId => fields.chain_id,
        Field::Nonce => fields.nonce,
        Field::IssuedAt => fields.issued_at,
        Field::ExpirationTime => fields.expiration_time,
        Field::NotBefore => fields.not_before,
        Field::RequestId => fields.request_id,
        Field::Resources => fields.resources.as_ref().map(|_| ""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::profile::{PROFILES, SIWS};
    use super::*;

    const TIME: &str =
        "20[0-9]{2}-0[1-9]-[0-2][1-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|\\+02:00)";
    const URI: &str = "(https|urn|ipfs):(//[a-z]{1,8}(:[0-9]{2})?)?(/[a-zA-Z0-9._~%20-]{0,0}[a-z0-9]{1,8}){0,3}(\\?[a-z=]{1,6})?";

    #[derive(Clone, Debug)]
    struct Values {
        names: (Option<String>, String, String, Option<String>),
        body: (Option<String>, Option<String>, Option<String>, Option<String>),
        times: (Option<String>, Option<String>),
        rest: (Option<String>, Option<Vec<String>>),
    }

    fn values() -> impl Strategy<Value = Values> {
        let names = (
            proptest::option::of("https?"),
            "[a-z]{1,10}(\\.example)?(:[1-9][0-9]{0,3})?",
            "[a-zA-Z0-9]{1,44}",
            proptest::option::of("[a-z ,.:/'()]{0,30}[a-z]"),
        );
        let body = (
            Just(Some("1".to_owned())),
            proptest::option::of("[1-9][0-9]{0,8}"),
            proptest::option::of("[a-zA-Z0-9]{8,64}"),
            proptest::option::of(TIME),
        );
        let times = (proptest::option::of(TIME), proptest::option::of(TIME));
        let rest = (
            proptest::option::of("[a-z0-9@:._-]{0,12}"),
            proptest::option::of(proptest::collection::vec(URI, 0..4)),
        );
        (names, body, times, rest).prop_map(|(names, body, times, rest)| Values {
            names,
            body,
            times,
            rest,
        })
    }

    impl Values {
        fn fields(&self) -> Fields<'_> {
            Fields {
                scheme: self.names.0.as_deref(),
                domain: &self.names.1,
                address: &self.names.2,
                statement: self.names.3.as_deref(),
                uri: Some("https://a.example/login"),
                version: self.body.0.as_deref(),
                chain_id: self.body.1.as_deref(),
                nonce: self.body.2.as_deref(),
                issued_at: self.body.3.as_deref(),
                expiration_time: self.times.0.as_deref(),
                not_before: self.times.1.as_deref(),
                request_id: self.rest.0.as_deref(),
                resources: self.rest.1.as_ref().map(|r| r.iter().map(String::as_str).collect()),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in values()) {
            for profile in PROFILES {
                let mut fields = values.fields();
                if !profile.fields.contains(&Field::ChainId) {
                    fields.chain_id = None;
                }
                if !profile.scheme {
                    fields.scheme = None;
                }
                let complete = profile.required.iter().all(|&f| value_of(&fields, f).is_some());
                prop_assert_eq!(render(profile, &fields).is_ok(), complete);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,300}") {
            for profile in PROFILES {
                let _ = parse(profile, &text);
                let _ = parse(profile, &format!("a.example{}\n{text}", profile.header));
            }
        }
    }

    #[test]
    fn a_value_cannot_become_a_field() {
        let mut fields = Fields {
            domain: "a.example",
            address: "A",
            statement: Some("S\n\nURI: https://evil.example"),
            uri: Some("https://a.example"),
            ..Fields::default()
        };
        assert!(render(&SIWS, &fields).is_err());
        fields.statement = Some("S");
        fields.uri = Some("https://a.example\nNonce: 1");
        assert!(render(&SIWS, &fields).is_err());
        fields.uri = Some("https://a.example");
        assert!(render(&SIWS, &fields).is_ok());
    }
}
