//! Lightning: what its wallets sign to log in, and the spelling of the URL that asks them to.
//!
//! A wallet signs 32 bytes that it is sent, `k1`, as they are. Here they are the SHA-256 of the text, so
//! that a signature is one over that text and no other.
//!
//! Specs: LUD-01 (bech32 of a URL), LUD-04 (`k1`, `sig`, `key`), BIP-66 (DER).

use bech32::{Bech32, Hrp};

use super::hash::sha256;

use crate::key::secp256k1::{LowS, verify_digest};
use crate::key::{
    Curve, KeyError, NotSigner, PublicKey, SignatureError, ecdsa_from_der, ecdsa_to_der,
};

/// The path of the call-back below an issuer.
pub const CALL_BACK_PATH: &str = "/lnurl";

/// The longest signature in hex: 72 bytes.
const MAX_SIGNATURE: usize = 144;

/// What a wallet signs for a text.
pub fn k1_of(text: &str) -> [u8; 32] {
    sha256(text.as_bytes())
}

/// The link that a wallet opens or scans; `None` for a URL that bech32 has no room for.
pub fn link_of(url: &str) -> Option<String> {
    let prefix = Hrp::parse("lnurl").ok()?;
    let text = bech32::encode_upper::<Bech32>(prefix, url.as_bytes()).ok()?;
    Some(format!("lightning:{text}"))
}

/// A wallet's answer: the key that says that it signed, and its signature. Nothing is verified yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// SEC 1, compressed.
    pub key: [u8; 33],
    /// r, s.
    pub signature: [u8; 64],
}

impl Answer {
    /// Reads `key` and `sig` of LUD-04, both in hex.
    ///
    /// # Errors
    /// [`NotSigner`] for what is not 33 bytes, or not the one DER encoding of a signature.
    pub fn read(key: &str, signature: &str) -> Result<Self, NotSigner> {
        let mut bytes = [0; 33];
        let no_key = KeyError::Encoding("a Lightning key is 33 bytes in hex, in SEC 1 form");
        hex::decode_to_slice(key, &mut bytes).map_err(|_| no_key)?;
        let fits = Some(signature).filter(|text| text.len() <= MAX_SIGNATURE);
        let der = fits.and_then(|text| hex::decode(text).ok());
        let signature = der.and_then(|der| ecdsa_from_der(&der));
        let malformed = SignatureError::Malformed("a signature is DER in hex");
        Ok(Self { key: bytes, signature: signature.ok_or(malformed)? })
    }

    /// `key`, as a wallet writes it.
    pub fn key_text(&self) -> String {
        hex::encode(self.key)
    }

    /// `sig`, as a wallet writes it.
    pub fn signature_text(&self) -> String {
        hex::encode(ecdsa_to_der(&self.signature))
    }

    /// The key, if it signed these 32 bytes, with the low S.
    ///
    /// # Errors
    /// [`NotSigner`].
    pub fn verify(&self, k1: &[u8; 32]) -> Result<PublicKey, NotSigner> {
        let key = PublicKey::from_sec1(Curve::Secp256k1, &self.key)?;
        verify_digest(&key, k1, &self.signature, LowS::Required)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_one_of_the_specification() {
        // The example of LUD-01.
        let url = "https://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df";
        let link = "lightning:LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS";
        assert_eq!(link_of(url).as_deref(), Some(link));
        assert_eq!(link_of(&"a".repeat(2000)), None);
    }

    #[test]
    fn an_answer_has_one_spelling_but_for_the_case() {
        // LUD-04, its own example.
        let key = "02c3b844b8104f0c1b15c507774c9ba7fc609f58f343b9b149122e944dd20c9362";
        let sig = "304402203767faf494f110b139293d9bab3c50e07b3bf33c463d4aa767256cd09132dc5102205821f8efacdb5c595b92ada255876d9201e126e2f31a140d44561cc1f7e9e43d";
        let k1 = "e2af6254a8df433264fa23f67eb8188635d15ce883e8fc020989d5f82ae6f11e";
        let k1 = hex::decode(k1).unwrap().try_into().unwrap();
        let answer = Answer::read(key, sig).unwrap();
        assert_eq!((answer.key_text().as_str(), answer.signature_text().as_str()), (key, sig));
        assert_eq!(hex::encode(answer.verify(&k1).unwrap().compressed_secp256k1().unwrap()), key);
        assert_eq!(Answer::read(&key.to_uppercase(), &sig.to_uppercase()), Ok(answer));
        assert!(answer.verify(&[7; 32]).is_err());
        for (key, sig) in [
            (&key[2..], sig),
            (&format!("0x{key}"), sig),
            (key, &sig[2..]),
            (key, &format!("{sig}00")),
            (key, &sig.replacen("3044", "308144", 1)),
            (key, &"30".repeat(73)),
            (key, ""),
        ] {
            assert!(Answer::read(key, sig).is_err(), "{key} {sig}");
        }
    }
}
