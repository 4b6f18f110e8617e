//! How a refusal is written: `WWW-Authenticate`, `DPoP-Nonce`, `Retry-After`, and the JSON body.
//!
//! The answer is a plain [`http::Response`], so that it can be judged without a server. Nothing of
//! it is ever stored by a cache. RFC 9449 §7.1, §9; RFC 6750 §3; RFC 9728 §5.1.

use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::error::AccessError;
use super::policy::Policy;
use crate::key::Algorithm;

/// The header field in which a server hands out nonces (RFC 9449 §8).
pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// Seconds after which a caller who met a 503 or 429 may try again.
const RETRY_SECONDS: u64 = 5;
/// The longest description that is put into a header, in characters.
const MAX_QUOTED: usize = 300;

/// The body of every error answer.
#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
    reason: &'a str,
}

/// The whole answer to a request that was refused.
pub(super) fn refusal(error: &AccessError, policy: &Policy) -> Response<String> {
    let shown = error.shown();
    let description = error.to_string();
    let body = Body { error: shown.code, error_description: &description, reason: shown.reason };
    let body = serde_json::to_string(&body).unwrap_or_default();
    let mut response = Response::new(body);
    *response.status_mut() = shown.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Descriptions repeat what was received, and no browser shall take that for a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if matches!(shown.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        return response;
    }
    // Other credentials would not cure a fault of ours.
    if shown.status.is_server_error() {
        return response;
    }
    if let AccessError::NonceNeeded { fresh } = error {
        insert_nonce(headers, fresh);
    }
    let mut schemes = vec!["DPoP"];
    if policy.accepts_bearer {
        schemes.push("Bearer");
    }
    for scheme in schemes {
        let challenge = challenge(scheme, error, &description, policy);
        if let Ok(value) = HeaderValue::from_str(&challenge) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    response
}

/// Puts a fresh nonce into an answer, in place of one that may be there.
pub(super) fn insert_nonce(headers: &mut HeaderMap, nonce: &str) {
    if let Ok(value) = HeaderValue::from_str(nonce) {
        headers.insert(DPOP_NONCE, value);
    }
}

/// One challenge. Who brought no credentials gets no error code (RFC 6750 §3.1): nothing failed.
fn challenge(scheme: &str, error: &AccessError, description: &str, policy: &Policy) -> String {
    let mut parameters = Vec::new();
    if let Some(realm) = &policy.realm {
        parameters.push(("realm", quotable(realm)));
    }
    // A fault of the proof is none of the Bearer scheme, which knows no proofs.
    let of_proof = matches!(error.code(), "invalid_dpop_proof" | "use_dpop_nonce");
    if *error != AccessError::NoCredentials && (scheme == "DPoP" || !of_proof) {
        parameters.push(("error", error.code().to_owned()));
        parameters.push(("error_description", quotable(description)));
    }
    if let AccessError::InsufficientScope(scope) = error {
        parameters.push(("scope", quotable(scope)));
    }
    if scheme == "DPoP" {
        let algorithms = Algorithm::ALL.map(Algorithm::name).join(" ");
        parameters.push(("algs", algorithms));
    }
    if let Some(url) = &policy.metadata_url {
        parameters.push(("resource_metadata", quotable(url)));
    }
    let parameters: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{scheme} {}", parameters.join(", ")).trim_end().to_owned()
}

/// A text in the characters that RFC 6750 §3 allows between the quotes; what was received may be
/// part of a description, and must not end it.
fn quotable(text: &str) -> String {
    text.chars()
        .take(MAX_QUOTED)
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_received_ends_the_quotes() {
        assert_eq!(quotable("a\", x=\"b\\\r\nSet-Cookie: ü"), "a', x='b/??Set-Cookie: ?");
        assert_eq!(quotable(&"x".repeat(1000)).len(), MAX_QUOTED);
    }
}
