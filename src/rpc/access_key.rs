//! Whether a key may do everything for a name of NEAR stands in the name's list of keys, and is asked at a final block.
//!
//! A name such as `alice.near` is no key; which keys it has stands on the chain alone. A key that may
//! only call some functions (as applications get) does not sign in: it was given for less. A name or a
//! key that the chain does not know is a no; anything else that is not a permission is no answer. Nodes
//! tell neither their network nor the time beside it: the network is asked once, and an answer of a block
//! far below one that was believed before is none.
//!
//! Specs: NEP-413, the JSON-RPC of NEAR (`query`, `view_access_key`; `status`).

use std::borrow::Cow;

use bytes::Bytes;
use countersign_sdk::account::Account;
use countersign_sdk::key::PublicKey;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer, AnswerError};
use super::node::{Node, NodeError};
use super::quorum::{Chain, Reading};
use super::{AskError, Asking, Block, Said};

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
    block: Block,
}

impl KeyOfAccount {
    /// Whether it is about this account and this key.
    pub fn is_of(&self, account: &Account, key: &PublicKey) -> bool {
        self.account == *account && self.key == *key
    }

    /// The lowest block at which a node of the quorum was asked.
    pub const fn block(&self) -> Block {
        self.block
    }
}

/// Asks the nodes of a chain.
pub(super) async fn ask(
    chain: &Chain,
    question: &AccessKeyQuestion,
    asking: &Asking,
) -> Result<Said<KeyOfAccount>, AskError> {
    let id = asking.id;
    let request = json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "query",
        "params": {
            "request_type": "view_access_key",
            "finality": "final",
            "account_id": question.name,
            "public_key": format!("ed25519:{}", bs58::encode(question.key.as_bytes()).into_string()),
        },
    });
    let request = Bytes::from(request.to_string());
    let (network, lowest) = (chain.settings.chain.reference().to_owned(), chain.lowest());
    let agreed = chain.agree(asking, question.account(), |node| {
        let (request, network) = (request.clone(), network.clone());
        async move {
            check_network(&node, &network, id).await?;
            let body = node.exchange(request).await?;
            let (said, number) = permission(&body, id).map_err(NodeError::from)?;
            if number < lowest {
                return Err(AnswerError::Behind.into());
            }
            Ok(Reading { said, block: Block { number, time: None } })
        }
    });
    let Reading { said, block } = agreed.await?;
    chain.has_reached(block.number);
    let (account, key) = (question.account.clone(), question.key.clone());
    Ok(if said { Said::Yes(KeyOfAccount { account, key, block }) } else { Said::No })
}

/// The longest `status` that is read, in bytes: it lists every validator.
const MAX_STATUS: usize = 1 << 20;

/// Asks a node which network it is of, once: what it says of a name does not tell.
async fn check_network(node: &Node, network: &str, id: u64) -> Result<(), NodeError> {
    if node.is_of_the_network() {
        return Ok(());
    }
    let request = json!({"jsonrpc": "2.0", "id": id, "method": "status", "params": []});
    let body = node.exchange_up_to(Bytes::from(request.to_string()), MAX_STATUS).await?;
    check_status(&body, network, id)?;
    node.set_of_the_network();
    Ok(())
}

fn check_status(body: &[u8], network: &str, id: u64) -> Result<(), AnswerError> {
    let Answer::Result(result) = answer::read(body, id)? else {
        return Err(AnswerError::Refused);
    };
    let status: Status<'_> = serde_json::from_str(result.get()).map_err(|_| AnswerError::Result)?;
    if status.chain_id != network {
        return Err(AnswerError::OtherChain);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    chain_id: Cow<'a, str>,
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
pub fn permission(body: &[u8], id: u64) -> Result<(bool, u64), AnswerError> {
    match answer::read(body, id)? {
        Answer::Result(result) => {
            let viewed: Viewed<'_> =
                serde_json::from_str(result.get()).map_err(|_| AnswerError::Result)?;
            let full = match (viewed.permission, viewed.error) {
                (Some(Value::String(permission)), None) => permission == "FullAccess",
                // Calls of some functions, with an allowance; whatever else there may be is less than all.
                (Some(Value::Object(_)), None) => false,
                (None, Some(error)) if is_unknown(&error) => false,
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

/// Whether an error in a result says that there is no such name or key. Others say that a block or a shard
/// does not exist: those are no answers.
fn is_unknown(error: &str) -> bool {
    ["access key ", "account "].iter().any(|thing| error.starts_with(thing))
        && error.contains("does not exist")
}

#[cfg(test)]
#[path = "access_key_tests.rs"]
mod tests;
