//! What a request brings to be let in: one token under one scheme, and at most one proof.
//!
//! A request that brings two of anything is refused before either is looked at; whoever guesses
//! which one is meant can be made to guess wrong. RFC 9449 §4.3 (1), §7.1; RFC 6750 §2, §3.1.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::error::AccessError;

/// The name of the header field that carries a proof.
const DPOP: &str = "dpop";

/// How the token was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Dpop,
    Bearer,
}

/// The credentials of one request, as they were received.
pub(super) struct Credentials<'a> {
    pub(super) scheme: Scheme,
    pub(super) token: &'a str,
    pub(super) proof: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    /// Reads the header fields.
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, AccessError> {
        let authorization = only(headers, AUTHORIZATION.as_str(), "Authorization")?;
        let proof = only(headers, DPOP, "DPoP")?;
        let authorization = authorization.ok_or(AccessError::NoCredentials)?;
        let (scheme, token) = match authorization.split_once(' ') {
            Some((scheme, rest)) => (scheme, rest.trim_matches(' ')),
            None => (authorization, ""),
        };
        let scheme = if scheme.eq_ignore_ascii_case("DPoP") {
            Scheme::Dpop
        } else if scheme.eq_ignore_ascii_case("Bearer") {
            Scheme::Bearer
        } else {
            return Err(AccessError::NoCredentials);
        };
        if token.is_empty() || !token.bytes().all(is_token68) {
            return Err(AccessError::MalformedCredentials);
        }
        Ok(Self { scheme, token, proof })
    }
}

/// The value of a field that may stand once.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &str,
    shown: &'static str,
) -> Result<Option<&'a str>, AccessError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(AccessError::RepeatedHeader(shown)),
        (Some(value), None) => {
            let text = value.to_str();
            text.map(Some).map_err(|_| AccessError::MalformedCredentials)
        }
    }
}

/// The characters of a token in the `Authorization` field (RFC 9110 §11.2). A comma, and with it a
/// list of credentials, is none of them.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).fold(
            HeaderMap::new(),
            |mut map, (name, value): (http::HeaderName, _)| {
                map.append(name, value);
                map
            },
        )
    }

    #[test]
    fn reads_one_token_and_its_proof() {
        let map = headers(&[("authorization", "dPoP  abc.def"), ("dpop", "proof")]);
        let read = Credentials::read(&map).unwrap();
        assert_eq!((read.scheme, read.token, read.proof), (Scheme::Dpop, "abc.def", Some("proof")));
    }

    #[test]
    fn refuses_two_of_anything_and_lists() {
        for (fields, expected) in [
            (vec![], AccessError::NoCredentials),
            (vec![("dpop", "proof")], AccessError::NoCredentials),
            (vec![("authorization", "Basic YTpi")], AccessError::NoCredentials),
            (
                vec![("authorization", "DPoP a"), ("authorization", "DPoP a")],
                AccessError::RepeatedHeader("Authorization"),
            ),
            (
                vec![("authorization", "DPoP a"), ("dpop", "x"), ("dpop", "x")],
                AccessError::RepeatedHeader("DPoP"),
            ),
            (vec![("authorization", "DPoP a, Bearer b")], AccessError::MalformedCredentials),
            (vec![("authorization", "DPoP")], AccessError::MalformedCredentials),
            (vec![("authorization", "Bearer a b")], AccessError::MalformedCredentials),
        ] {
            let got = Credentials::read(&headers(&fields)).err();
            assert_eq!(got, Some(expected), "{fields:?}");
        }
    }
}
