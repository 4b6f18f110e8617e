//! What a request must look like before anybody reads it: sizes, content types, no repetition.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;

use crate::model::reason::{Reason, Refusal};

/// How much body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes at most.
    pub max_bytes: usize,
    /// How long the body may take to arrive.
    pub timeout: Duration,
}

/// The most parameters of a form.
const MAX_PARAMETERS: usize = 32;
/// Parameters and members under which people send private keys by mistake.
const SECRET_NAMES: [&str; 8] = [
    "d",
    "private_key",
    "privatekey",
    "secret_key",
    "secretkey",
    "seed",
    "mnemonic",
    "seed_phrase",
];

/// Reads a body whole, within its limits.
///
/// # Errors
/// [`Reason::BodyTooLarge`], [`Reason::BodyTimeout`], or [`Reason::MalformedRequest`] when the
/// connection broke.
pub async fn read_body(request: Request<Body>, limits: BodyLimits) -> Result<Bytes, Refusal> {
    let body = Limited::new(request.into_body(), limits.max_bytes).collect();
    match tokio::time::timeout(limits.timeout, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            Reason::BodyTooLarge,
            format!("the body may have {} bytes at most", limits.max_bytes),
        )),
        Ok(Err(_)) => Err(Refusal::new(
            Reason::MalformedRequest,
            "the body did not arrive whole",
        )),
        Err(_elapsed) => Err(Refusal::new(
            Reason::BodyTimeout,
            "the body did not arrive in time",
        )),
    }
}

/// Whether the body is of `media_type`, parameters such as `charset` aside.
///
/// # Errors
/// [`Reason::ContentType`].
pub fn check_content_type(headers: &HeaderMap, media_type: &'static str) -> Result<(), Refusal> {
    let given = single(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(media_type) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::ContentType,
        format!("send Content-Type: {media_type}"),
    ))
}

/// The value of a header field that may stand once.
///
/// # Errors
/// [`Reason::ParameterRepeated`], or [`Reason::MalformedRequest`] when it is not visible ASCII.
pub fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        let detail = format!("the header field {name} may stand once");
        return Err(Refusal::new(Reason::ParameterRepeated, detail));
    }
    first.to_str().map(Some).map_err(|_| {
        Refusal::new(
            Reason::MalformedRequest,
            format!("the header field {name} is not visible ASCII"),
        )
    })
}

/// Reads a JSON object; members that the endpoint does not know, and repeated ones, are refused.
///
/// # Errors
/// [`Reason::MalformedRequest`], [`Reason::ParameterUnknown`] or [`Reason::PrivateKeyReceived`].
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        if holds_private_key(body) {
            return private_key();
        }
        let text = error.to_string();
        if text.starts_with("unknown field") {
            return Refusal::new(Reason::ParameterUnknown, format!("the body: {text}"));
        }
        // The parser's message names members, positions and types, never a value longer than its
        // own words; what it quotes of the input is cut.
        let text: String = text.chars().take(200).collect();
        Refusal::new(
            Reason::MalformedRequest,
            format!("the body is not the JSON object expected: {text}"),
        )
    })
}

/// Whether a body that was refused holds what looks like a private key, at any depth.
fn holds_private_key(body: &[u8]) -> bool {
    fn within(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Object(members) => members.iter().any(|(name, value)| {
                SECRET_NAMES.contains(&&*name.to_ascii_lowercase()) && !value.is_null()
                    || within(value)
            }),
            serde_json::Value::Array(items) => items.iter().any(within),
            _ => false,
        }
    }
    serde_json::from_slice(body).is_ok_and(|value| within(&value))
}

fn private_key() -> Refusal {
    Refusal::new(
        Reason::PrivateKeyReceived,
        "a private key was sent; it was not kept, but it must be considered burnt: make a new one",
    )
}

/// The parameters of a form (RFC 6749 appendix B), decoded strictly.
#[derive(Debug)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. An empty value counts as an absent one
    /// (RFC 6749 §3.1); a repeated parameter is refused (§3.2), `resource` included: a token is
    /// for one resource.
    ///
    /// # Errors
    /// [`Reason::MalformedRequest`], [`Reason::ParameterRepeated`] or [`Reason::PrivateKeyReceived`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in body
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
        {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if SECRET_NAMES.contains(&&*name.to_ascii_lowercase()) {
                return Err(private_key());
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                let detail = format!("the parameter {} may stand once", shown(&name));
                return Err(Refusal::new(Reason::ParameterRepeated, detail));
            }
            if parameters.len() == MAX_PARAMETERS {
                let detail = "a form may have 32 parameters at most";
                return Err(Refusal::new(Reason::MalformedRequest, detail));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter, unless absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// [`Reason::ParameterMissing`].
    pub fn require(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::new(
                Reason::ParameterMissing,
                format!("the parameter {name} is missing"),
            )
        })
    }
}

fn decode(part: &[u8]) -> Result<String, Refusal> {
    let spaced: Vec<u8> = part
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refusal::new(Reason::MalformedRequest, "the form is not UTF-8"))
}

/// A received name, short and printable enough for an error message.
fn shown(name: &str) -> String {
    name.chars()
        .take(40)
        .filter(char::is_ascii_graphic)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_form() {
        let form = Form::parse(b"a=1&b=x+y%0A&empty=&").unwrap();
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("empty")),
            (Some("1"), Some("x y\n"), None)
        );
    }

    #[test]
    fn refuses_repetition_bad_utf8_and_private_keys() {
        let reason = |body: &[u8]| Form::parse(body).unwrap_err().reason();
        assert_eq!(reason(b"a=1&a=1"), Reason::ParameterRepeated);
        assert_eq!(reason(b"a=1&%61=2"), Reason::ParameterRepeated);
        assert_eq!(reason(b"a=%ff"), Reason::MalformedRequest);
        assert_eq!(reason(b"seed=abc"), Reason::PrivateKeyReceived);
        let many: Vec<String> = (0..33).map(|n| format!("p{n}=1")).collect();
        assert_eq!(reason(many.join("&").as_bytes()), Reason::MalformedRequest);
    }
}
