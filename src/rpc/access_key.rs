//! Whether a key may do everything for a name of NEAR stands in the name's list of keys, and is asked at a final block.
//!
//! A name such as `alice.near` is no key; which keys it has stands on the chain alone. A key that may
//! only call some functions (as applications get) does not sign in: it was given for less. A name or a
//! key that the chain does not know is a no; anything else that is not a permission is no answer.
//!
//! Specs: NEP-413, the JSON-RPC of NEAR (`query`, `view_access_key`).

use std::borrow::Cow;

use bytes::Bytes;
use countersign_sdk::account::Account;
use countersign_sdk::key::PublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer, AnswerError, ID};
use super::node::NodeError;
use super::quorum::{Chain, Reading};
use super::{AskError, Said};

/// A name of NEAR and a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyQuestion {
    account: Account,
    name: String,
    key: PublicKey,
}

impl AccessKeyQuestion {
    /// Whether `key`, an Ed25519 key, may do everything for `account`, whose name on the chain is `name`.
    pub const fn new(account: Account, name: String, key: PublicKey) -> Self {
        Self { account, name, key }
    }

    /// The account.
    pub const fn account(&self) -> &Account {
        &self.account
    }
}

/// Witness that enough nodes of an account's chain said that a key may do everything for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOfAccount {
    account: Account,
    key: PublicKey,
    block: u64,
}

impl KeyOfAccount {
    /// Whether it is about this account and this key.
    pub fn is_of(&self, account: &Account, key: &PublicKey) -> bool {
        self.account == *account && self.key == *key
    }

    /// The lowest number of a block at which a node of the quorum was asked.
    pub const fn block(&self) -> u64 {
        self.block
    }
}

/// Asks the nodes of a chain.
pub(super) async fn ask(
    chain: &Chain,
    question: &AccessKeyQuestion,
) -> Result<Said<KeyOfAccount>, AskError> {
    let request = json!({
        "jsonrpc": "2.0",
        "id": ID,
        "method": "query",
        "params": {
            "request_type": "view_access_key",
            "finality": "final",
            "account_id": question.name,
            "public_key": format!("ed25519:{}", bs58::encode(question.key.as_bytes()).into_string()),
        },
    });
    let request = Bytes::from(request.to_string());
    let agreed = chain.agree(|node| {
        let request = request.clone();
        async move {
            let body = node.exchange(request).await?;
            let (said, block) = permission(&body).map_err(NodeError::from)?;
            Ok(Reading { said, block })
        }
    });
    let Reading { said, block } = agreed.await?;
    let (account, key) = (question.account.clone(), question.key.clone());
    Ok(if said { Said::Yes(KeyOfAccount { account, key, block }) } else { Said::No })
}

/// A permission, or why there is none: older nodes write it into the result.
#[derive(Deserialize)]
struct Viewed<'a> {
    #[serde(default)]
    permission: Option<Value>,
    #[serde(default, borrow)]
    error: Option<Cow<'a, str>>,
    block_height: u64,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    cause: Cause<'a>,
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    info: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(default)]
    block_height: u64,
}

/// What a body says: whether the key may do everything, and the block that it was said of.
///
/// # Errors
/// [`AnswerError`] for what is neither a permission nor the word that there is none.
pub fn permission(body: &[u8]) -> Result<(bool, u64), AnswerError> {
    match answer::read(body)? {
        Answer::Result(result) => {
            let viewed: Viewed<'_> =
                serde_json::from_str(result.get()).map_err(|_| AnswerError::Result)?;
            let full = match (viewed.permission, viewed.error) {
                (Some(Value::String(permission)), None) => permission == "FullAccess",
                // Calls of some functions, with an allowance; whatever else there may be is less than all.
                (Some(Value::Object(_)), None) => false,
                (None, Some(error)) if error.contains("does not exist") => false,
                _ => return Err(AnswerError::Result),
            };
            Ok((full, viewed.block_height))
        }
        Answer::Error(error) => {
            let failure: Failure<'_> =
                serde_json::from_str(error.get()).map_err(|_| AnswerError::Refused)?;
            match &*failure.cause.name {
                "UNKNOWN_ACCESS_KEY" | "UNKNOWN_ACCOUNT" => {
                    Ok((false, failure.cause.info.map_or(0, |place| place.block_height)))
                }
                _ => Err(AnswerError::Refused),
            }
        }
    }
}

#[cfg(test)]
#[path = "access_key_tests.rs"]
mod tests;
