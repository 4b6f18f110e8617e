//! Accounts of Cosmos chains and what ADR-36 signs: a transaction that does nothing, around the text.
//!
//! An account is 20 bytes under a chain's prefix in bech32. Most chains hash the compressed key with
//! SHA-256 and RIPEMD-160 and sign SHA-256; those of the Ethermint family take Ethereum's address and
//! sign Keccak-256. Which of them a key is of shows in the address.
//!
//! Specs: ADR-036, BIP-173, CAIP-2 for cosmos.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use serde_json::{Value, json};

use super::hash::{keccak_address, keccak256, key_hash, sha256};
use crate::key::PublicKey;

/// The canonical chain of the namespace, under which a subject stands.
pub const CANONICAL_CHAIN: &str = "cosmoshub-4";

/// The prefix of that chain.
pub const CANONICAL_PREFIX: &str = "cosmos";

/// The longest address: 90 characters (BIP-173).
const MAX_ADDRESS: usize = 90;

/// How a chain makes addresses of keys, and hashes what they sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RIPEMD-160 of SHA-256; signs SHA-256.
    Cosmos,
    /// Ethereum's address; signs Keccak-256.
    Ethermint,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cosmos, Self::Ethermint];

    /// The 20 bytes of a secp256k1 key's account; `None` for another curve.
    pub fn account_of(self, key: &PublicKey) -> Option<[u8; 20]> {
        match self {
            Self::Cosmos => key_hash(key),
            Self::Ethermint => keccak_address(key),
        }
    }

    /// What a key of this family signs for `signer` and its data, such as a text.
    pub fn digest(self, signer: &str, data: &[u8]) -> [u8; 32] {
        let bytes = sign_bytes(signer, data);
        match self {
            Self::Cosmos => sha256(bytes.as_bytes()),
            Self::Ethermint => keccak256(bytes.as_bytes()),
        }
    }
}

/// An address: its chain's prefix and 20 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    prefix: Hrp,
    account: [u8; 20],
}

impl Address {
    /// The address of an account under a prefix; `None` for a prefix that bech32 does not take.
    pub fn new(prefix: &str, account: [u8; 20]) -> Option<Self> {
        Some(Self { prefix: Hrp::parse(prefix).ok()?, account })
    }

    /// Reads an address in its one spelling. Addresses of contracts, which have 32 bytes, and of
    /// validators, which sign blocks, are none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_ADDRESS || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
        let mut account = [0; 20];
        let bytes = checked.byte_iter();
        (bytes.len() == account.len()).then_some(())?;
        for (to, from) in account.iter_mut().zip(bytes) {
            *to = from;
        }
        let address = Self { prefix: checked.hrp(), account };
        let of_validator = ["valoper", "valcons"].iter().any(|end| address.prefix().ends_with(end));
        // Written again it is the same text, so that leftover bits make no second spelling.
        (!of_validator && address.to_text()? == text).then_some(address)
    }

    /// The chain's prefix.
    pub fn prefix(&self) -> String {
        self.prefix.to_string()
    }

    /// The account, the same 20 bytes under every prefix.
    pub const fn account(&self) -> &[u8; 20] {
        &self.account
    }

    /// The address as it is written.
    pub fn to_text(&self) -> Option<String> {
        bech32::encode::<Bech32>(self.prefix, &self.account).ok()
    }
}

/// The document that is signed, as `signAmino` takes it.
pub fn sign_doc(signer: &str, text: &str) -> Value {
    json!({
        "chain_id": "", "account_number": "0", "sequence": "0", "memo": "",
        "fee": {"gas": "0", "amount": []},
        "msgs": [{
            "type": "sign/MsgSignData",
            "value": {"signer": signer, "data": STANDARD.encode(text)},
        }],
    })
}

/// The bytes of that document: members in the order of their names, without spaces. Neither base64
/// nor an address holds a character that would have to be escaped.
fn sign_bytes(signer: &str, data: &[u8]) -> String {
    let data = STANDARD.encode(data);
    [
        r#"{"account_number":"0","chain_id":"","fee":{"amount":[],"gas":"0"},"memo":"","msgs":[{"type":"sign/MsgSignData","value":{"data":""#,
        &data,
        r#"","signer":""#,
        signer,
        r#""}}],"sequence":"0"}"#,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "cosmos14kylz6gvjqpgl3lghyeakxfqxaktw3nd3p34d8";

    #[test]
    fn the_signed_bytes_are_those_of_the_document() {
        // A map of serde_json without `preserve_order` is written in the order of names.
        let sorted: std::collections::BTreeMap<String, Value> =
            serde_json::from_value(sign_doc(ADDRESS, "a<b")).unwrap();
        let read: Value = serde_json::from_str(&sign_bytes(ADDRESS, b"a<b")).unwrap();
        assert_eq!(serde_json::to_value(&sorted).unwrap(), read);
        assert_eq!(serde_json::to_string(&sorted).unwrap(), sign_bytes(ADDRESS, b"a<b"));
    }

    #[test]
    fn an_address_has_one_spelling() {
        let address = Address::parse(ADDRESS).unwrap();
        assert_eq!(
            (address.prefix(), address.to_text().unwrap()),
            ("cosmos".to_owned(), ADDRESS.to_owned())
        );
        let osmosis = Address::new("osmo", *address.account()).unwrap().to_text().unwrap();
        assert_eq!(Address::parse(&osmosis).unwrap().account(), address.account());
        let validator = Address::new("cosmosvaloper", *address.account()).unwrap();
        for wrong in [
            "",
            "cosmos1abc",
            &ADDRESS.to_ascii_uppercase(),
            &ADDRESS.replace("d8", "d9"),
            // bech32m, and 32 bytes.
            "cosmos1lqfn3a",
            &bech32::encode::<bech32::Bech32m>(Hrp::parse("cosmos").unwrap(), &[1; 20]).unwrap(),
            &bech32::encode::<Bech32>(Hrp::parse("cosmos").unwrap(), &[1; 32]).unwrap(),
            &validator.to_text().unwrap(),
        ] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}
