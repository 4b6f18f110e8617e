//! What a request brings to act by an access token: one token under one scheme, and at most one proof.
//!
//! A request that brings two of anything is refused before either is looked at; whoever guesses
//! which one is meant can be made to guess wrong. RFC 9449 §4.3 (1), §7.1; RFC 6750 §2.

use axum::http::{HeaderMap, HeaderName, header};

use super::extract::single;
use crate::model::reason::{Reason, Refusal};

/// An access token in the `Authorization` header.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    /// The token.
    pub(crate) token: &'a str,
    /// Whether the scheme is `Bearer`, which knows no proofs.
    pub(crate) as_bearer: bool,
}

impl<'a> Credentials<'a> {
    /// Reads the header field.
    ///
    /// # Errors
    /// [`Reason::TokenRequired`] where there is none of our schemes, [`Reason::MalformedRequest`] or
    /// [`Reason::ParameterRepeated`].
    pub(crate) fn read(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let required = || {
            let detail = "send Authorization: DPoP with an access token, and a DPoP proof";
            Refusal::new(Reason::TokenRequired, detail)
        };
        let field = single(headers, &header::AUTHORIZATION)?.ok_or_else(required)?;
        let (scheme, rest) = field.split_once(' ').unwrap_or((field, ""));
        let as_bearer = scheme.eq_ignore_ascii_case("Bearer");
        if !as_bearer && !scheme.eq_ignore_ascii_case("DPoP") {
            return Err(required());
        }
        let token = rest.trim_matches(' ');
        if token.is_empty() || !token.bytes().all(is_token68) {
            let detail = "Authorization is a scheme, a space, and one token";
            return Err(Refusal::new(Reason::MalformedRequest, detail));
        }
        Ok(Self { token, as_bearer })
    }
}

/// The one DPoP proof of a request, or none.
///
/// # Errors
/// [`Reason::ParameterRepeated`] or [`Reason::MalformedRequest`].
pub(crate) fn proof(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    single(headers, &HeaderName::from_static("dpop"))
}

/// The characters of a token in the `Authorization` field (RFC 9110 §11.2). A comma, and with it a
/// list of credentials, is none of them.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}
