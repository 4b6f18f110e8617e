//! The keys of accounts that are no key of their own, and of the nodes that are asked about them.

use super::super::shape::{AskedChain, Choice, EthereumAddress, ListOf, NodeUrl, Switch, Whole};
use super::{Absent, Key, SECOND};
use crate::rpc::BlockTag;

pub(crate) static CONTRACT_SESSION_LIFETIME: Key<Whole<u64>> = Key {
    name: "contract.session_lifetime",
    shape: Whole { min: 300, max: 2_592_000, unit: SECOND },
    absent: Absent::Default("3600"),
    meaning: "How long the session of an account lasts at most that its chain is asked about (`[[rpc]]`): a contract, or \
              a name of NEAR. Whoever owned it may have lost it since.",
};

pub(crate) static RPC_CHAIN: Key<AskedChain> = Key {
    name: "chain",
    shape: AskedChain,
    absent: Absent::Required,
    meaning: "The chain that these nodes are of. Of Ethereum chains contract accounts are taken then, of NEAR named \
              accounts.",
};

pub(crate) static RPC_URLS: Key<ListOf<NodeUrl>> = Key {
    name: "urls",
    shape: ListOf { item: NodeUrl, empty: Some("asks nobody: name at least one node") },
    absent: Absent::Required,
    meaning: "Where its nodes are asked by JSON-RPC. What they say together is believed; see SECURITY.md. The URLs are \
              shown nowhere, since they often hold a key.",
};

pub(crate) static RPC_QUORUM: Key<Whole<usize>> = Key {
    name: "quorum",
    shape: Whole { min: 1, max: 16, unit: "nodes" },
    absent: Absent::Means("more than half of `urls`"),
    meaning: "How many of the nodes must say the same; more than half of them.",
};

pub(crate) static RPC_TIMEOUT: Key<Whole<u64>> = Key {
    name: "timeout",
    shape: Whole { min: 1, max: 30, unit: SECOND },
    absent: Absent::Default("5"),
    meaning: "Within what time a node must have answered.",
};

pub(crate) static RPC_MAX_ANSWER_BYTES: Key<Whole<usize>> = Key {
    name: "max_answer_bytes",
    shape: Whole { min: 1024, max: 1_048_576, unit: "bytes" },
    absent: Absent::Default("65536"),
    meaning: "The largest answer of a node that is read.",
};

pub(crate) static RPC_BLOCK: Key<Choice<BlockTag>> = Key {
    name: "block",
    shape: Choice(&[
        ("latest", BlockTag::Latest),
        ("safe", BlockTag::Safe),
        ("finalized", BlockTag::Finalized),
    ]),
    absent: Absent::Means("`latest`; of NEAR always the final one"),
    meaning: "The block that an Ethereum node is asked at. `latest` knows at once of a new owner, and of one that a \
              reorganisation takes back.",
};

pub(crate) static RPC_FACTORIES: Key<ListOf<EthereumAddress>> = Key {
    name: "factories",
    shape: ListOf { item: EthereumAddress, empty: None },
    absent: Absent::Default(""),
    meaning: "The contracts that may be called, in a simulation, to deploy an account that is not there yet (ERC-6492). \
              Without any, such accounts are refused.",
};

pub(crate) static RPC_MAX_BLOCK_AGE: Key<Whole<u64>> = Key {
    name: "max_block_age",
    shape: Whole { min: 30, max: 86_400, unit: SECOND },
    absent: Absent::Means("300 with `latest`, else 1800"),
    meaning: "How long ago an Ethereum node's block may have been made for its answer to count: a node that is behind \
              does not know of a new owner. Chains that make blocks only now and then need more.",
};

pub(crate) static RPC_DELEGATED: Key<Switch> = Key {
    name: "delegated",
    shape: Switch,
    absent: Absent::Default("false"),
    meaning: "Whether code that a key has delegated to (EIP-7702) is asked like a contract, as an account of its own \
              beside the key's. Not on eip155:1, where the two would have one subject.",
};
