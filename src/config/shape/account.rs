//! Accounts and chains are named as CAIP-10 and CAIP-2 say, and only where a message format can sign for them.
//!
//! A misspelt account in a list would let nobody in, or keep nobody out, without a word; so addresses are checked as
//! far as they can be without their wallet format. The same account has one spelling in the settings.

use countersign_sdk::account::{Account, ChainId};

use super::super::keys::NAMESPACES;
use super::TextShape;

/// A CAIP-2 chain of a namespace that some format signs for.
pub(crate) struct ChainName;

impl TextShape for ChainName {
    type Value = String;

    fn accepted(&self) -> String {
        "a CAIP-2 chain such as eip155:1 or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let chain: ChainId = text
            .parse()
            .map_err(|_| "is not a CAIP-2 chain".to_owned())?;
        check_chain(&chain)?;
        Ok(chain.to_string())
    }
}

/// An account: CAIP-10, or the `did:key` of a raw key.
pub(crate) struct AccountName;

impl TextShape for AccountName {
    type Value = String;

    fn accepted(&self) -> String {
        "a CAIP-10 account such as eip155:1:0x… or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:…, \
         or a did:key:z…"
            .to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let account: Account = text
            .parse()
            .map_err(|error| format!("is no account: {error}"))?;
        let Account::Chain(named) = &account else {
            return Ok(account.to_string());
        };
        check_chain(named.chain())?;
        match named.chain().namespace() {
            "eip155" if is_evm_address(named.address()) => {
                // Case is a checksum (EIP-55), not a part of the account.
                Ok(format!(
                    "{}:{}",
                    named.chain(),
                    named.address().to_ascii_lowercase()
                ))
            }
            "eip155" => Err("must have an address of 0x and 40 hexadecimal digits".to_owned()),
            "solana" if !is_solana_address(named.address()) => {
                Err("must have an address of 32 bytes in base58".to_owned())
            }
            _ => Ok(account.to_string()),
        }
    }
}

fn check_chain(chain: &ChainId) -> Result<(), String> {
    if !NAMESPACES.contains(&chain.namespace()) {
        let known = NAMESPACES.join(" and ");
        return Err(format!(
            "is of a namespace without a message format; there are {known}"
        ));
    }
    let reference = chain.reference();
    let decimal = reference.bytes().all(|b| b.is_ascii_digit()) && !reference.starts_with('0');
    if chain.namespace() == "eip155" && !decimal {
        return Err("must name its chain by a decimal number, such as eip155:1".to_owned());
    }
    Ok(())
}

fn is_evm_address(address: &str) -> bool {
    let digits = address.strip_prefix("0x").unwrap_or_default();
    digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_solana_address(address: &str) -> bool {
    // 32 bytes are at most 44 characters; decoding takes quadratic time, so length comes first.
    address.len() <= 44
        && bs58::decode(address)
            .into_vec()
            .is_ok_and(|key| key.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_of_supported_namespaces() {
        for written in [
            "eip155:1",
            "eip155:8453",
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        ] {
            assert_eq!(ChainName.parse(written).as_deref(), Ok(written));
        }
        for written in [
            "1",
            "eip155",
            "eip155:",
            "eip155:0x1",
            "eip155:01",
            "cosmos:hub-4",
        ] {
            assert!(ChainName.parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn accounts_have_one_spelling() {
        for (written, account) in [
            (
                "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                "eip155:1:0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            ),
            (
                "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv",
                "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv",
            ),
            (
                "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
                "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
            ),
        ] {
            assert_eq!(AccountName.parse(written).as_deref(), Ok(account));
        }
    }

    #[test]
    fn what_no_format_could_prove_is_refused() {
        for written in [
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "eip155:1:0xf39F",
            "eip155:1:f39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "eip155:01:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:0OIl",
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4H",
            "cosmos:hub-4:cosmos1abc",
            "did:key:6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
            "did:key:zabc",
            "did:web:agent.example",
        ] {
            assert!(AccountName.parse(written).is_err(), "{written}");
        }
    }
}
