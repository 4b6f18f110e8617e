//! Accounts and chains are named as CAIP-10 and CAIP-2 say, and only where a message format can sign for them.
//!
//! A misspelt account in a list would let nobody in, or keep nobody out, without a word; so the format of its namespace
//! checks it. What comes out is the subject, as `sub` has it: the same key has one spelling, whatever chain it was
//! written with.

use countersign_sdk::account::{Account, ChainId};

use super::super::written::{Value, Written};
use super::TextShape;
use crate::wallet::registry;

/// A CAIP-2 chain of a namespace that some format signs for.
pub(crate) struct ChainName;

impl TextShape for ChainName {
    type Value = String;

    fn accepted(&self) -> String {
        "a CAIP-2 chain such as eip155:1 or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let chain: ChainId = text.parse().map_err(|_| "is not a CAIP-2 chain".to_owned())?;
        let format = registry::by_namespace(chain.namespace())
            .ok_or_else(|| "is of a namespace without a message format".to_owned())?;
        let canonical = format.accounts().canonical_chain(&chain);
        canonical
            .map(|chain| chain.to_string())
            .ok_or_else(|| "is no chain that an account of its namespace can be on".to_owned())
    }
}

/// An account: CAIP-10, or the `did:key` of a raw key. Its value is the subject.
pub(crate) struct AccountName;

impl TextShape for AccountName {
    type Value = String;

    fn accepted(&self) -> String {
        "a CAIP-10 account such as eip155:1:0x… or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:…, \
         or a did:key:z…"
            .to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let account: Account = text.parse().map_err(|error| format!("is no account: {error}"))?;
        let format = registry::by_account(&account)
            .ok_or_else(|| "is of a namespace without a message format".to_owned())?;
        format
            .accounts()
            .canonical_account(&account)
            .and_then(|account| format.accounts().subject_of(&account))
            .map_err(|refusal| format!("is no account: {}", refusal.detail()))
    }
}

/// An account that `AccountName` has taken, as a `did:pkh` on the chain that it was written with; its subject
/// may be on another, and a contract's is not.
pub(crate) fn on_its_chain(written: &Written) -> Option<String> {
    let (Value::Plain(text) | Value::Text(text)) = &written.value else { return None };
    let account: Account = text.parse().ok()?;
    let canonical = registry::by_account(&account)?.accounts().canonical_account(&account);
    canonical.ok().map(|account| account.to_did())
}

/// The `did:key` of a raw key that signs assertions.
pub(crate) struct RawKeyName;

impl TextShape for RawKeyName {
    type Value = String;

    fn accepted(&self) -> String {
        "a did:key:z… of an Ed25519 or secp256k1 key".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.starts_with("did:key:") {
            AccountName.parse(text)
        } else {
            Err("is no did:key".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_of_supported_namespaces() {
        for written in ["eip155:1", "eip155:8453", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"] {
            assert_eq!(ChainName.parse(written).as_deref(), Ok(written));
        }
        for written in [
            "1",
            "eip155",
            "eip155:",
            "eip155:0x1",
            "eip155:01",
            "eip155:99999999999999999999",
            "solana:nowhere",
            "polkadot:91b171bb158e2d3848fa23a9f1c25182",
        ] {
            assert!(ChainName.parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn accounts_are_read_as_their_subject() {
        for (written, account) in [
            (
                "eip155:137:0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
                "did:pkh:eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            ),
            (
                "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv",
                "did:pkh:solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv",
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
    fn callers_are_raw_keys() {
        let did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        assert_eq!(RawKeyName.parse(did).as_deref(), Ok(did));
        // The last is a P-256 key, by which no assertion is taken.
        for written in [
            "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "did:key:zabc",
            "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169",
        ] {
            assert!(RawKeyName.parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn what_no_format_could_prove_is_refused() {
        for written in [
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "eip155:1:0xf39F",
            "eip155:1:0xF39fd6e51aad88F6F4ce6aB8827279cffFb92266",
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
