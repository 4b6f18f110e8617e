//! What only an account's chain knows is asked of nodes of that chain, several at once, and holds when enough of them agree.
//!
//! Two questions are asked: whether a contract takes a signature for its own (ERC-1271), and whether a
//! key may act for a name of NEAR. Nothing else of the server needs a node, and no key that is its own
//! account comes here: with every node down those sign in as before. What nodes answer is outside
//! bytes, of bounded size and time. A node that fails, or is of another chain, has said nothing; a
//! refusal needs as many agreeing nodes as a yes.
//!
//! Specs: JSON-RPC 2.0, ERC-1271, ERC-6492, NEP-413.

mod access_key;
mod answer;
mod contract;
mod deployment;
mod node;
mod quorum;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use countersign_sdk::account::{Account, ChainId};
use url::Url;

pub use access_key::{AccessKeyQuestion, KeyOfAccount, permission};
pub use answer::AnswerError;
pub use contract::{ApprovedSignature, ContractQuestion, MAX_CONTRACT_SIGNATURE, Verdict, verdict};
pub use deployment::{Deployment, SignatureParts, is_wrapped};
use quorum::Chain;

/// The block that a question is asked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockTag {
    /// The last one that the node knows.
    Latest,
    /// One that is unlikely to be undone.
    Safe,
    /// One that cannot be undone.
    Finalized,
}

impl BlockTag {
    /// The tag as JSON-RPC of Ethereum writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Safe => "safe",
            Self::Finalized => "finalized",
        }
    }
}

/// The nodes of one chain and how they are believed.
#[derive(Clone)]
pub struct ChainNodes {
    /// The chain.
    pub chain: ChainId,
    /// Where the nodes are; a URL often holds a key, and is shown nowhere.
    pub urls: Vec<Url>,
    /// How many of them must give the same answer; more than half.
    pub quorum: usize,
    /// Within what time a node must have answered.
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub max_answer: usize,
    /// The block that Ethereum nodes are asked at.
    pub block: BlockTag,
    /// The factories that an ERC-6492 signature may name.
    pub factories: Vec<[u8; 20]>,
}

impl fmt::Debug for ChainNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} nodes of {}", self.quorum, self.urls.len(), self.chain)
    }
}

/// Why a chain's answer is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No nodes of that chain are configured.
    #[error("no node of the chain is configured")]
    Unconfigured,
    /// The signature names a factory that is not one of those that may be called.
    #[error("the factory is not one that may be called")]
    Factory,
    /// Too few nodes gave the same answer in time.
    #[error("too few nodes of the chain gave the same answer")]
    Unavailable,
}

/// What a chain says of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<T> {
    /// Yes, with the witness.
    Yes(T),
    /// No.
    No,
    /// No, for there is no contract at the account.
    NoContract,
}

/// Why a client for nodes could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no connections to nodes can be made: {0}")]
pub struct NodesError(String);

/// The nodes of every chain that is asked.
pub struct Nodes(HashMap<ChainId, Chain>);

impl Nodes {
    /// No nodes: every question is [`AskError::Unconfigured`].
    pub fn none() -> Self {
        Self(HashMap::new())
    }

    /// Those of `chains`.
    ///
    /// # Errors
    /// [`NodesError`] when TLS cannot be set up.
    pub fn new(chains: Vec<ChainNodes>) -> Result<Self, NodesError> {
        let made = chains.into_iter().map(|chain| Ok((chain.chain.clone(), Chain::new(chain)?)));
        Ok(Self(made.collect::<Result<_, NodesError>>()?))
    }

    /// Whether `account` is of a chain that is asked.
    pub fn serve(&self, account: &Account) -> bool {
        self.chain_of(account).is_some()
    }

    /// Whether the contract of a question takes its signature.
    ///
    /// # Errors
    /// [`AskError`]; a factory that may not be called is refused before anything is sent.
    pub async fn contract(
        &self,
        question: ContractQuestion,
    ) -> Result<Said<ApprovedSignature>, AskError> {
        let chain = self.chain_of(question.account()).ok_or(AskError::Unconfigured)?;
        contract::ask(chain, question).await
    }

    /// Whether the key of a question may do everything for its account.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn access_key(
        &self,
        question: &AccessKeyQuestion,
    ) -> Result<Said<KeyOfAccount>, AskError> {
        let chain = self.chain_of(question.account()).ok_or(AskError::Unconfigured)?;
        access_key::ask(chain, question).await
    }

    fn chain_of(&self, account: &Account) -> Option<&Chain> {
        match account {
            Account::Chain(account) => self.0.get(account.chain()),
            Account::Key(_) => None,
        }
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.values()).finish()
    }
}
