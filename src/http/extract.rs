//! What a request must look like before anybody reads it: sizes, content types, no repetition.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, HeaderName, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
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
const SECRET_NAMES: [&str; 7] =
    ["d", "privatekey", "secretkey", "seed", "seedphrase", "mnemonic", "passphrase"];

/// Whether a name, whatever its case and separators, is one of a private key.
fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    SECRET_NAMES.contains(&&*plain.to_ascii_lowercase())
}

/// Reads a body whole, within its limits.
///
/// # Errors
/// [`Reason::BodyTooLarge`], [`Reason::BodyTimeout`], or [`Reason::MalformedRequest`] when the
/// connection broke.
pub async fn read_body(request: Request<Body>, limits: BodyLimits) -> Result<Bytes, Refusal> {
    let too_large = || {
        let detail = format!("the body may have {} bytes at most", limits.max_bytes);
        Refusal::new(Reason::BodyTooLarge, detail)
    };
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let detail = "send the body as it is, without Content-Encoding";
        return Err(Refusal::new(Reason::ContentType, detail));
    }
    // A length that is stated and too large is refused before a byte is read.
    if request.body().size_hint().lower() > u64::try_from(limits.max_bytes).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), limits.max_bytes).collect();
    match tokio::time::timeout(limits.timeout, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(Reason::MalformedRequest, "the body did not arrive whole")),
        Err(_elapsed) => Err(Refusal::new(Reason::BodyTimeout, "the body did not arrive in time")),
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
    Err(Refusal::new(Reason::ContentType, format!("send Content-Type: {media_type}")))
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
/// [`Reason::MalformedRequest`], [`Reason::ParameterMissing`], [`Reason::ParameterRepeated`],
/// [`Reason::ParameterUnknown`] or [`Reason::PrivateKeyReceived`].
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // A derived struct is read from an array too, in the order of its fields, which is no contract.
    if body.trim_ascii_start().first() != Some(&b'{') {
        let detail = "the body is not a JSON object";
        return Err(Refusal::new(Reason::MalformedRequest, detail));
    }
    serde_json::from_slice(body).map_err(|error| {
        if serde_json::from_slice(body).is_ok_and(|value| holds_private_key(&value)) {
            return private_key();
        }
        let text = error.to_string();
        let reason = if text.starts_with("unknown field") {
            Reason::ParameterUnknown
        } else if text.starts_with("missing field") {
            Reason::ParameterMissing
        } else if text.starts_with("duplicate field") {
            Reason::ParameterRepeated
        } else {
            Reason::MalformedRequest
        };
        // The parser names members, positions and types; what it quotes of the input is cut.
        let text: String = text.chars().take(200).collect();
        Refusal::new(reason, format!("the JSON body: {text}"))
    })
}

/// Refuses values that are a private key: a JWK with a private member, or a PEM.
///
/// # Errors
/// [`Reason::PrivateKeyReceived`].
pub fn refuse_private_keys<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
    if values.into_iter().any(is_private_key) { Err(private_key()) } else { Ok(()) }
}

fn is_private_key(value: &str) -> bool {
    let jwk = value.trim_start().starts_with(['{', '['])
        && serde_json::from_str(value).is_ok_and(|value| holds_private_key(&value));
    jwk || value.contains("PRIVATE KEY-----")
}

/// Whether a JSON value holds what looks like a private key, at any depth.
fn holds_private_key(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(members) => members.iter().any(|(name, value)| {
            let secret = is_secret_name(name) && !value.is_null();
            secret || holds_private_key(value)
        }),
        serde_json::Value::Array(items) => items.iter().any(holds_private_key),
        serde_json::Value::String(text) => is_private_key(text),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
            false
        }
    }
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
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decoded(halves.next().unwrap_or_default())?;
            let value = decoded(halves.next().unwrap_or_default())?;
            if is_secret_name(&name) {
                return Err(private_key());
            }
            refuse_private_keys([&*value])?;
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
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// [`Reason::ParameterMissing`].
    pub fn require(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::new(Reason::ParameterMissing, format!("the parameter {name} is missing"))
        })
    }
}

/// One name or value of `application/x-www-form-urlencoded`.
///
/// # Errors
/// [`Reason::MalformedRequest`].
pub(crate) fn decoded(part: &[u8]) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [byte, after @ ..] = rest {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, beyond) = after.split_at_checked(2).ok_or_else(broken_escape)?;
                let mut decoded = [0];
                hex::decode_to_slice(digits, &mut decoded).map_err(|_| broken_escape())?;
                rest = beyond;
                let [byte] = decoded;
                byte
            }
            _ => *byte,
        });
    }
    String::from_utf8(bytes)
        .map_err(|_| Refusal::new(Reason::MalformedRequest, "the form is not UTF-8"))
}

fn broken_escape() -> Refusal {
    Refusal::new(Reason::MalformedRequest, "the form has a % without two hexadecimal digits")
}

/// A received name, short and printable enough for an error message.
fn shown(name: &str) -> String {
    name.chars().take(40).filter(char::is_ascii_graphic).collect()
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
        assert_eq!(reason(b"a=%zz"), Reason::MalformedRequest);
        assert_eq!(reason(b"a=%2"), Reason::MalformedRequest);
        assert_eq!(reason(b"seed=abc"), Reason::PrivateKeyReceived);
        let many: Vec<String> = (0..33).map(|n| format!("p{n}=1")).collect();
        assert_eq!(reason(many.join("&").as_bytes()), Reason::MalformedRequest);
    }
}
