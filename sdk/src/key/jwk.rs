//! JSON Web Keys (RFC 7517), public ones only: a private member is refused, not dropped.
//!
//! A proof whose header carries `d` tells us that the client's key is burnt; libraries that
//! silently took the public half of such a key have had advisories for it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Curve, KeyError, PublicKey};
use crate::json::{object, present};

/// The longest JWK that is read, in bytes: three times what the largest legitimate one takes.
const MAX_JWK_BYTES: usize = 4096;

/// A JWK as it was received: the members that decide, and the private ones so as to refuse them.
#[derive(Deserialize)]
pub(crate) struct ReceivedJwk<'a> {
    #[serde(borrow, default)]
    kty: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    crv: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    x: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    y: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    d: bool,
    #[serde(default, deserialize_with = "present")]
    k: bool,
    #[serde(default, deserialize_with = "present")]
    p: bool,
    #[serde(default, deserialize_with = "present")]
    q: bool,
    #[serde(default, deserialize_with = "present")]
    dp: bool,
    #[serde(default, deserialize_with = "present")]
    dq: bool,
    #[serde(default, deserialize_with = "present")]
    qi: bool,
    #[serde(default, deserialize_with = "present")]
    oth: bool,
}

impl ReceivedJwk<'_> {
    /// Whether any member of a private or symmetric key is there (RFC 7518 §6).
    pub(crate) const fn is_private(&self) -> bool {
        self.d || self.k || self.p || self.q || self.dp || self.dq || self.qi || self.oth
    }

    /// The key, once the type, the curve and the coordinates have been found right.
    pub(crate) fn to_public_key(&self) -> Result<PublicKey, KeyError> {
        self.read(PublicKey::from_ed25519_bytes)
    }

    /// The same for a key that verifies a signature next, and is dropped if that fails: whether an
    /// Ed25519 key is a point is left to the verification.
    pub(crate) fn to_verify_with(&self) -> Result<PublicKey, KeyError> {
        self.read(PublicKey::ed25519_to_verify_with)
    }

    fn read(
        &self,
        ed25519: fn(&[u8]) -> Result<PublicKey, KeyError>,
    ) -> Result<PublicKey, KeyError> {
        if self.is_private() {
            return Err(KeyError::PrivateKey);
        }
        match (self.kty.as_deref(), self.crv.as_deref()) {
            (Some("OKP"), Some("Ed25519")) => ed25519(&coordinate(self.x.as_deref())?),
            (Some("EC"), Some("P-256")) => self.to_ec(Curve::P256),
            (Some("EC"), Some("secp256k1")) => self.to_ec(Curve::Secp256k1),
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Whether this is `key`, compared by its members alone: a tenth of the work of reading one.
    pub(crate) fn names(&self, key: &PublicKey) -> bool {
        let (x, y) = key.coordinates();
        let same = |text: Option<&str>, bytes: &[u8]| {
            coordinate(text).is_ok_and(|coordinate| coordinate == *bytes)
        };
        let rest = match key.curve() {
            Curve::Ed25519 => self.kty.as_deref() == Some("OKP"),
            Curve::P256 | Curve::Secp256k1 => {
                self.kty.as_deref() == Some("EC") && same(self.y.as_deref(), y)
            }
        };
        let curve = self.crv.as_deref() == Some(key.curve().name());
        !self.is_private() && curve && rest && same(self.x.as_deref(), x)
    }

    fn to_ec(&self, curve: Curve) -> Result<PublicKey, KeyError> {
        let (x, y) = (coordinate(self.x.as_deref())?, coordinate(self.y.as_deref())?);
        let mut sec1 = [4; 65];
        for (to, from) in sec1.iter_mut().skip(1).zip(x.iter().chain(&y)) {
            *to = *from;
        }
        PublicKey::from_sec1(curve, &sec1)
    }
}

/// One coordinate: exactly 32 bytes, leading zeros kept (RFC 7518 §6.2.1.2).
fn coordinate(text: Option<&str>) -> Result<[u8; 32], KeyError> {
    let text = text.ok_or(KeyError::Encoding("a JWK coordinate is missing"))?;
    let mut bytes = [0; 32];
    if text.len() != 43 {
        return Err(KeyError::Encoding("a JWK coordinate is 43 characters of base64url"));
    }
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(32) => Ok(bytes),
        Ok(_) | Err(_) => Err(KeyError::Encoding("a JWK coordinate is not canonical base64url")),
    }
}

/// A public JWK as this project writes it: the members that name the key and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl PublicKey {
    /// Reads a public JWK (RFC 7517, RFC 8037, RFC 8812). Members that do not name the key are
    /// ignored; a repeated member, a private one, or a symmetric key is refused.
    ///
    /// # Errors
    /// [`KeyError`], with `PrivateKey` when the text holds a secret.
    pub fn from_jwk_json(json: &[u8]) -> Result<Self, KeyError> {
        if json.len() > MAX_JWK_BYTES {
            return Err(KeyError::Encoding("a JWK of more than 4096 bytes"));
        }
        object::<ReceivedJwk<'_>>(json)
            .map_err(|_| KeyError::Encoding("not a JSON Web Key"))?
            .to_public_key()
    }

    /// This key as a JWK, for `serde_json`.
    pub fn to_jwk(&self) -> PublicJwk {
        let curve = self.curve();
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        match curve {
            Curve::Ed25519 => {
                PublicJwk { kty: "OKP", crv: curve.name(), x: encode(self.as_bytes()), y: None }
            }
            Curve::P256 | Curve::Secp256k1 => {
                let (x, y) = self.coordinates();
                PublicJwk { kty: "EC", crv: curve.name(), x: encode(x), y: Some(encode(y)) }
            }
        }
    }

    /// x and y of a SEC 1 key, 32 bytes each; an Ed25519 key has x alone.
    fn coordinates(&self) -> (&[u8], &[u8]) {
        let bytes = self.as_bytes();
        match bytes.split_first() {
            Some((_, xy)) if bytes.len() == 65 => xy.split_at(32),
            _ => (bytes, &[]),
        }
    }
}

/// The JSON of the required members in lexicographic order, which RFC 7638 §3.2 hashes.
pub(super) fn canonical_members(key: &PublicKey) -> String {
    let PublicJwk { kty, crv, x, y } = key.to_jwk();
    match y {
        None => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"}}"#),
        Some(y) => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprint_of_rfc8037_a3() {
        let jwk =
            br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = PublicKey::from_jwk_json(jwk).unwrap();
        assert_eq!(key.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn refuses_private_and_repeated_members() {
        let private = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"x"}"#;
        assert_eq!(PublicKey::from_jwk_json(private), Err(KeyError::PrivateKey));
        let repeated = br#"{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert!(matches!(PublicKey::from_jwk_json(repeated), Err(KeyError::Encoding(_))));
        let null = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","k":"aaaa"}"#;
        assert_eq!(PublicKey::from_jwk_json(null), Err(KeyError::PrivateKey));
    }

    #[test]
    fn names_one_key_and_no_other() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let jwk = |kty: &str, crv: &str, x: &str, more: &str| {
            format!(r#"{{"kty":"{kty}","crv":"{crv}","x":"{x}"{more}}}"#)
        };
        let good = jwk("OKP", "Ed25519", x, "");
        let key = PublicKey::from_jwk_json(good.as_bytes()).unwrap();
        let names = |text: &str| {
            let received: ReceivedJwk<'_> = serde_json::from_str(text).unwrap();
            received.names(&key)
        };
        assert!(names(&good));
        let other = "22qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        for text in [
            jwk("OKP", "Ed25519", other, ""),
            jwk("EC", "Ed25519", x, ""),
            jwk("OKP", "P-256", x, ""),
            jwk("OKP", "Ed25519", x, r#","d":"x""#),
            jwk("OKP", "Ed25519", "", ""),
        ] {
            assert!(!names(&text), "{text}");
        }
    }

    #[test]
    fn refuses_stripped_and_padded_coordinates() {
        for x in [
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR",
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp",
        ] {
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
            assert!(PublicKey::from_jwk_json(jwk.as_bytes()).is_err(), "{x}");
        }
    }
}
