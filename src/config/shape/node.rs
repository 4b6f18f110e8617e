//! A node is an https URL that may hold a key, of a chain whose accounts it can be asked about.

use ::url::Url;
use countersign_sdk::account::ChainId;

use super::super::settings::SecretUrl;
use super::url::absolute;
use super::{ChainName, TextShape};
use crate::wallet::siwe;

/// The namespaces whose chains are asked anything.
const ASKED: [&str; 2] = ["eip155", "near"];

/// A chain that can be asked about accounts.
pub(crate) struct AskedChain;

impl TextShape for AskedChain {
    type Value = ChainId;

    fn accepted(&self) -> String {
        "a CAIP-2 chain of Ethereum or NEAR, such as eip155:1 or near:mainnet".to_owned()
    }

    fn parse(&self, text: &str) -> Result<ChainId, String> {
        let chain: ChainId =
            ChainName.parse(text)?.parse().map_err(|_| "is not a CAIP-2 chain".to_owned())?;
        match ASKED.contains(&chain.namespace()) {
            true => Ok(chain),
            false => Err("is of a namespace whose chains are not asked anything".to_owned()),
        }
    }
}

/// Where a node is asked.
pub(crate) struct NodeUrl;

impl TextShape for NodeUrl {
    type Value = SecretUrl;

    fn accepted(&self) -> String {
        "an https URL (http for loopback)".to_owned()
    }

    fn parse(&self, text: &str) -> Result<SecretUrl, String> {
        let url: Url = absolute(text)?;
        Ok(SecretUrl(url))
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// The address of a contract.
pub(crate) struct EthereumAddress;

impl TextShape for EthereumAddress {
    type Value = [u8; 20];

    fn accepted(&self) -> String {
        "an address in the case of its EIP-55 checksum, 0x…".to_owned()
    }

    fn parse(&self, text: &str) -> Result<[u8; 20], String> {
        let bytes = siwe::address_bytes(text).filter(|bytes| *bytes != [0; 20]);
        match bytes {
            Some(bytes) if siwe::checksummed(&bytes) == text => Ok(bytes),
            Some(_) => Err("is not in the case of its checksum, and may be mistyped".to_owned()),
            None => Err("is no address".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_those_that_can_be_asked() {
        for written in ["eip155:1", "eip155:8453", "near:mainnet", "near:testnet"] {
            assert_eq!(AskedChain.parse(written).unwrap().to_string(), written);
        }
        for written in ["solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "near:other", "eip155", "1"] {
            assert!(AskedChain.parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn nodes_are_reached_by_https_or_on_this_machine() {
        for written in
            ["https://node.example/v2/key?x=1", "http://127.0.0.1:8545", "https://node.example"]
        {
            let url = NodeUrl.parse(written).unwrap();
            assert_eq!(format!("{url:?}"), "SecretUrl");
        }
        for written in [
            "http://node.example",
            "ws://127.0.0.1",
            "https://me:x@node.example",
            "node.example",
            "https://node.example/#a",
        ] {
            assert!(NodeUrl.parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn factories_have_their_checksum() {
        let right = "0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed";
        assert!(EthereumAddress.parse(right).is_ok());
        for written in [&right.to_lowercase(), &right[..41], "0x", &format!("0x{}", "0".repeat(40))]
        {
            assert!(EthereumAddress.parse(written).is_err(), "{written}");
        }
    }
}
