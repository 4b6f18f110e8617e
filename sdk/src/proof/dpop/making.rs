//! How a DPoP proof is made (RFC 9449 §4.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::AccessTokenHash;
use crate::entropy::{Entropy, EntropyError};
use crate::key::{Algorithm, PublicJwk, Signer, SignerError};
use crate::proof::jws;
use crate::proof::target_uri::TargetUri;
use crate::time::Timestamp;

/// A proof to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewProof<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The URI of the request.
    pub target_uri: &'a TargetUri,
    /// The access token in the request, if it carries one.
    pub access_token: Option<&'a str>,
    /// The server's latest nonce for this client, if it gave one.
    pub nonce: Option<&'a str>,
    /// `iat`, by the server's clock as far as the client knows it.
    pub now: Timestamp,
}

/// Why no proof was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewProofError {
    /// No random bytes for `jti`.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The key did not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The JSON encoder failed.
    #[error("the proof could not be encoded")]
    Encoding,
}

#[derive(Serialize)]
struct NewHeader {
    typ: &'static str,
    alg: &'static str,
    jwk: PublicJwk,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl NewProof<'_> {
    /// Makes the proof (RFC 9449 §4.2): a fresh `jti` of 128 random bits, signed by `signer`.
    ///
    /// # Errors
    /// [`NewProofError`].
    pub async fn sign(
        &self,
        signer: &dyn Signer,
        entropy: &dyn Entropy,
    ) -> Result<String, NewProofError> {
        let algorithm: Algorithm = signer.algorithm();
        let header =
            NewHeader { typ: "dpop+jwt", alg: algorithm.name(), jwk: signer.public_key().to_jwk() };
        let mut jti = [0; 16];
        entropy.fill(&mut jti)?;
        let claims = NewClaims {
            jti: URL_SAFE_NO_PAD.encode(jti),
            htm: self.method,
            htu: self.target_uri.as_str(),
            iat: self.now.as_unix(),
            ath: self.access_token.map(|token| AccessTokenHash::of(token).to_string()),
            nonce: self.nonce,
        };
        let input = jws::signing_input(&header, &claims).map_err(|_| NewProofError::Encoding)?;
        let signature = signer.sign(input.as_bytes()).await?;
        Ok(jws::close(input, &signature))
    }
}
