//! Whether a JWS was signed by one of an issuer's keys, whatever it says.
//!
//! For signed documents of an issuer that are no access tokens. What such a document is, and
//! whether it is meant for the reader, its payload must say; nothing here looks at it.
//! RFC 7515 §5.2, RFC 8725 §3.1.

use super::jwks::IssuerKeys;
use super::token::{MAX_TOKEN_BYTES, TokenError};
use crate::key::Algorithm;
use crate::proof::jws::CompactJws;

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
    if header.jwk.is_some() {
        return Err(TokenError::KeyInHeader);
    }
    let algorithm = header.algorithm()?;
    if !algorithms.contains(&algorithm) {
        return Err(TokenError::AlgorithmNotAllowed(algorithm));
    }
    let key = keys.find(header.kid.as_deref(), algorithm)?;
    key.verify(algorithm, jws.signing_input, &jws.signature).map_err(|_| TokenError::Signature)?;
    Ok(jws.payload)
}
