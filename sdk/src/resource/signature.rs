//! Whether a JWS was signed by one of an issuer's keys, whatever it says.
//!
//! For signed documents of an issuer that are no access tokens. What such a document is, and
//! whether it is meant for the reader, its payload must say; nothing here looks at it.
//! RFC 7515 §5.2, RFC 8725 §3.1, §3.11.

use super::jwks::IssuerKeys;
use super::token::{MAX_TOKEN_BYTES, TokenError};
use crate::key::Algorithm;
use crate::proof::jws::{CompactJws, JoseHeader};

/// Verifies a compact JWS by the key that its header names and returns its payload.
///
/// # Errors
/// [`TokenError`] for the first check that fails: the shape, the algorithm, the key, the signature.
pub fn verify_jws(
    jws: &str,
    keys: &IssuerKeys,
    algorithms: &[Algorithm],
) -> Result<Vec<u8>, TokenError> {
    let jws = CompactJws::parse(jws, MAX_TOKEN_BYTES)?;
    let header = jws.header()?;
    verify(&jws, &header, keys, algorithms)?;
    Ok(jws.payload)
}

/// The same for a document of this very `typ`, of `max_bytes` at most; returns the name of the key as well,
/// where the header has one.
///
/// # Errors
/// As [`verify_jws`], and [`TokenError::Type`].
pub(super) fn verify_typed(
    jws: &str,
    max_bytes: usize,
    typ: &str,
    keys: &IssuerKeys,
    algorithms: &[Algorithm],
) -> Result<(Vec<u8>, Option<String>), TokenError> {
    let jws = CompactJws::parse(jws, max_bytes)?;
    let header = jws.header()?;
    if header.typ.as_deref() != Some(typ) {
        return Err(TokenError::Type);
    }
    verify(&jws, &header, keys, algorithms)?;
    let signer = header.kid.map(|kid| kid.to_string());
    Ok((jws.payload, signer))
}

fn verify(
    jws: &CompactJws<'_>,
    header: &JoseHeader<'_>,
    keys: &IssuerKeys,
    algorithms: &[Algorithm],
) -> Result<(), TokenError> {
    if header.jwk.is_some() {
        return Err(TokenError::KeyInHeader);
    }
    let algorithm = header.algorithm()?;
    if !algorithms.contains(&algorithm) {
        return Err(TokenError::AlgorithmNotAllowed(algorithm));
    }
    let key = keys.find(header.kid.as_deref(), algorithm)?;
    key.verify(algorithm, jws.signing_input, &jws.signature).map_err(|_| TokenError::Signature)
}
