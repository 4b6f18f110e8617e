//! How the issuer signs a document of its own: `typ`, `alg` and `kid`, the payload, and the signature over both.
//!
//! One writer for all of them, so that each says by its `typ` what it is and none can be taken for
//! another (RFC 7515 §7.1, RFC 8725 §3.11).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::key::Algorithm;
use serde::Serialize;

use crate::keyring::SigningKey;
use crate::model::reason::{Reason, Refusal};

/// The refusal for a key that does not sign now.
pub(crate) fn away() -> Refusal {
    Refusal::new(Reason::SigningUnavailable, "the signing key is out of reach; try again shortly")
}

/// Signs `payload` as a document of the kind `typ`.
///
/// # Errors
/// [`Reason::SigningUnavailable`] when the key does not sign, [`Reason::ServerError`] when the encoder
/// fails; never for what a client sent.
pub(crate) fn sign(
    key: &SigningKey,
    typ: &'static str,
    payload: &impl Serialize,
) -> Result<String, Refusal> {
    let header = jsonwebtoken::Header {
        typ: Some(typ.to_owned()),
        kid: Some(key.kid().to_owned()),
        ..jsonwebtoken::Header::new(match key.algorithm() {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa | Algorithm::Ed25519 | Algorithm::Es256k => {
                jsonwebtoken::Algorithm::EdDSA
            }
        })
    };
    // `jsonwebtoken::encode` would parse the key again for each document, at the price of a signature.
    let failed = || Refusal::new(Reason::ServerError, "the answer could not be signed");
    let (header, payload) = (serde_json::to_vec(&header), serde_json::to_vec(payload));
    let mut text = URL_SAFE_NO_PAD.encode(header.map_err(|_| failed())?);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload.map_err(|_| failed())?, &mut text);
    let signature = key.sign(text.as_bytes()).map_err(|error| {
        tracing::error!(%error, kid = key.kid(), "a document was not signed");
        away()
    })?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}
