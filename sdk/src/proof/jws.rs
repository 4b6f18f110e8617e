//! The compact JWS (RFC 7515 §7.1), split and decoded strictly, and the JOSE header members that matter.
//!
//! Sizes are capped before anything is decoded. A header that asks for something we do not do
//! (`crit`, `b64`, `zip`) or points elsewhere for its key (`jku`, `x5u`) ends the reading.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::json::{Object, object, present};
use crate::key::Algorithm;
use crate::key::jwk::ReceivedJwk;

/// Why a text is no JWS that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than the cap, in bytes.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// Not three parts of canonical base64url, or the JSON is not what it must be.
    #[error("{0}")]
    Malformed(&'static str),
    /// A header member that this project never honours.
    #[error("the header member {0} is not supported")]
    Header(&'static str),
    /// `alg` is `none`, a MAC, or otherwise not on the list.
    #[error("alg is none of EdDSA, Ed25519, ES256 and ES256K")]
    Algorithm,
}

/// A compact JWS, decoded but not verified.
pub(crate) struct CompactJws<'a> {
    /// What was signed: header and payload as they were received, with the dot between them.
    pub(crate) signing_input: &'a [u8],
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> CompactJws<'a> {
    pub(crate) fn parse(text: &'a str, max_bytes: usize) -> Result<Self, JwsError> {
        if text.len() > max_bytes {
            return Err(JwsError::TooLong(max_bytes));
        }
        let shape = JwsError::Malformed("a compact JWS has three parts with a dot between them");
        let (signing_input, signature) = text.rsplit_once('.').ok_or(shape)?;
        let (header, payload) = signing_input.split_once('.').ok_or(shape)?;
        let decode = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| JwsError::Malformed("a part is not base64url without padding"))
        };
        Ok(Self {
            signing_input: signing_input.as_bytes(),
            header: decode(header)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    pub(crate) fn header(&self) -> Result<JoseHeader<'_>, JwsError> {
        let header: JoseHeader<'_> = object(&self.header).map_err(|_| {
            JwsError::Malformed("the header is not the JSON object it must be, or repeats a member")
        })?;
        header.refuse_unsupported()?;
        Ok(header)
    }
}

/// The members of a JOSE header that decide anything here.
#[derive(Deserialize)]
pub(crate) struct JoseHeader<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) typ: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    #[cfg_attr(
        not(feature = "resource-server"),
        expect(dead_code, reason = "only access tokens name their key")
    )]
    pub(crate) kid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) jwk: Option<Object<ReceivedJwk<'a>>>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
    #[serde(default, deserialize_with = "present")]
    jku: bool,
    #[serde(default, deserialize_with = "present")]
    x5u: bool,
}

impl JoseHeader<'_> {
    /// The algorithm, by its exact registered name.
    pub(crate) fn algorithm(&self) -> Result<Algorithm, JwsError> {
        Algorithm::from_name(&self.alg).ok_or(JwsError::Algorithm)
    }

    fn refuse_unsupported(&self) -> Result<(), JwsError> {
        let members = [
            ("crit", self.crit),
            ("b64", self.b64),
            ("zip", self.zip),
            ("jku", self.jku),
            ("x5u", self.x5u),
        ];
        match members.into_iter().find(|(_, there)| *there) {
            Some((name, _)) => Err(JwsError::Header(name)),
            None => Ok(()),
        }
    }
}

/// Writes header and payload as a signing input, to which `.` and the signature are added.
pub(crate) fn signing_input(
    header: &impl serde::Serialize,
    payload: &impl serde::Serialize,
) -> Result<String, serde_json::Error> {
    let mut text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(header)?);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(payload)?, &mut text);
    Ok(text)
}

/// Closes a signing input with its signature.
pub(crate) fn close(mut signing_input: String, signature: &[u8]) -> String {
    signing_input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut signing_input);
    signing_input
}
