//! A compact JWS taken apart for reading, more patiently than any server would.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::key::{Algorithm, PublicKey};
use serde_json::Value;

/// Header and claims as JSON, and what was signed.
#[derive(Debug)]
pub(super) struct Jwt {
    header: Value,
    claims: Value,
    signing_input: Vec<u8>,
    signature: Vec<u8>,
    pub(super) bytes: usize,
}

impl Jwt {
    /// Takes `text` apart, or says what keeps it from being one.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (input, signature) = text.rsplit_once('.').ok_or("no dot: this is no compact JWS")?;
        let (header, claims) = input.split_once('.').ok_or("two parts: this is no compact JWS")?;
        let decode = |part: &str, fault| URL_SAFE_NO_PAD.decode(part).map_err(|_| fault);
        let json = |bytes: Vec<u8>, fault| match serde_json::from_slice(&bytes) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) | Err(_) => Err(fault),
        };
        let header = decode(header, "the header is not base64url without padding")?;
        let claims = decode(claims, "the claims are not base64url without padding")?;
        Ok(Self {
            header: json(header, "the header is not a JSON object")?,
            claims: json(claims, "the claims are not a JSON object")?,
            signing_input: input.as_bytes().to_vec(),
            signature: decode(signature, "the signature is not base64url without padding")?,
            bytes: text.len(),
        })
    }

    /// Whether this is, or means to be, a DPoP proof.
    pub(super) fn is_proof(&self) -> bool {
        self.header_text("typ") == Some("dpop+jwt") || self.header.get("jwk").is_some()
    }

    pub(super) fn header(&self, name: &str) -> Option<&Value> {
        self.header.get(name)
    }

    pub(super) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    pub(super) fn seconds(&self, name: &str) -> Option<u64> {
        self.claims.get(name).and_then(Value::as_u64)
    }

    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.header_text("alg").and_then(Algorithm::from_name)
    }

    /// Whether `key` signed this, by the algorithm that the header names.
    pub(super) fn is_signed_by(&self, key: &PublicKey) -> Result<(), String> {
        let algorithm = self.algorithm().ok_or("alg is not supported")?;
        key.verify(algorithm, &self.signing_input, &self.signature)
            .map_err(|error| error.to_string())
    }
}
