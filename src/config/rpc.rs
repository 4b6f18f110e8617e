//! The nodes of a chain are accepted when the chain is named once and more than half of them must agree.
//!
//! With less than half, two answers could both have their quorum, and the faster node would decide.

use std::collections::HashMap;

use super::fault::Fault;
use super::keys::{
    RPC_BLOCK, RPC_CHAIN, RPC_DELEGATED, RPC_FACTORIES, RPC_MAX_ANSWER_BYTES, RPC_MAX_BLOCK_AGE,
    RPC_QUORUM, RPC_TIMEOUT, RPC_URLS,
};
use super::raw::RawTable;
use super::reader::{Reader, plain};
use super::settings::RpcSettings;
use crate::rpc::BlockTag;

/// The chain on which keys have their subjects.
const CHAIN_OF_KEYS: &str = "eip155:1";

/// Every chain's nodes; nothing when one is faulty.
pub(crate) fn all(written: &[RawTable], faults: &mut Vec<Fault>) -> Option<Vec<RpcSettings>> {
    let before = faults.len();
    let read: Vec<Option<RpcSettings>> = written.iter().map(|raw| one(raw, faults)).collect();
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (raw, rpc) in written.iter().zip(&read) {
        let Some(rpc) = rpc else { continue };
        let twin = *seen.entry(rpc.chain.to_string()).or_insert(raw.key.as_str());
        if let Some(chain) = raw.values.get(RPC_CHAIN.name).filter(|_| twin != raw.key) {
            faults.push(chain.fault(format!("has its nodes in {twin} already"), None));
        }
    }
    (faults.len() == before).then(|| read.into_iter().flatten().collect())
}

fn one(raw: &RawTable, faults: &mut Vec<Fault>) -> Option<RpcSettings> {
    let mut reader = Reader {
        values: &raw.values,
        place: raw.source.clone(),
        prefix: format!("{}.", raw.key),
        faults,
    };
    let chain = reader.read(&RPC_CHAIN);
    let urls = reader.read(&RPC_URLS).map(plain);
    let quorum = reader.read(&RPC_QUORUM);
    let timeout = reader.read(&RPC_TIMEOUT);
    let max_answer_bytes = reader.read(&RPC_MAX_ANSWER_BYTES);
    let block = reader.read(&RPC_BLOCK);
    let max_block_age = reader.read(&RPC_MAX_BLOCK_AGE);
    let delegated = reader.read(&RPC_DELEGATED);
    let factories = reader.read(&RPC_FACTORIES).map(plain);
    if let (Some(urls), Some(quorum)) = (&urls, quorum) {
        if quorum > urls.len() {
            reader.fault(&RPC_QUORUM, format!("is more than the {} of urls", urls.len()));
        } else if quorum <= urls.len() / 2 {
            let problem = format!("must be more than half of the {} of urls", urls.len());
            reader.fault(&RPC_QUORUM, problem);
        }
    }
    if chain.as_ref().is_some_and(|chain| chain.namespace() == "near") {
        let keys = [
            (RPC_BLOCK.name, block.is_some()),
            (RPC_MAX_BLOCK_AGE.name, max_block_age.is_some()),
            (RPC_DELEGATED.name, delegated.is_some()),
            (RPC_FACTORIES.name, true),
        ];
        for (key, written) in keys {
            if let Some(value) = raw.values.get(key).filter(|_| written) {
                let problem = "is of no use to NEAR: leave it out";
                reader.faults.push(value.fault(problem, None));
            }
        }
    }
    if chain.as_ref().is_some_and(|chain| chain.to_string() == CHAIN_OF_KEYS)
        && delegated == Some(true)
    {
        let problem =
            "is not taken on eip155:1, where delegated code would have the subject of its key";
        reader.fault(&RPC_DELEGATED, problem);
    }
    let urls = urls?;
    let block = block.unwrap_or(BlockTag::Latest);
    let default_age = match block {
        BlockTag::Latest => 300,
        BlockTag::Safe | BlockTag::Finalized => 1800,
    };
    Some(RpcSettings {
        chain: chain?,
        quorum: quorum.unwrap_or(urls.len() / 2 + 1),
        urls,
        timeout: timeout?,
        max_answer_bytes: max_answer_bytes?,
        block,
        max_block_age: max_block_age.unwrap_or(default_age),
        delegated: delegated?,
        factories: factories?,
    })
}
