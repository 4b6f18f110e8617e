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
mod notices;
mod places;
mod quorum;
mod turns;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::entropy::{Entropy, EntropyError};
use countersign_sdk::proof::replay::ReplayKey;
use countersign_sdk::time::Timestamp;
use url::Url;

pub use access_key::{AccessKeyQuestion, KeyOfAccount, permission};
pub use answer::AnswerError;
pub use contract::{
    ApprovedSignature, Asked, ContractQuestion, MAX_CONTRACT_SIGNATURE, Verdict, verdict,
};
pub use deployment::{Deployment, SignatureParts, is_wrapped};
use quorum::Chain;
use turns::NoTurn;

use crate::model::session::SessionId;

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

/// The block that something was said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Its number as code on the chain sees it, which on some chains (those of Arbitrum) is one of the chain below.
    pub number: u64,
    /// When it was made; nodes of NEAR do not say it.
    pub time: Option<Timestamp>,
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
    /// How many seconds ago the block of an Ethereum node's answer may have been made.
    pub max_block_age: u64,
    /// Whether code that a key has delegated to (EIP-7702) is taken for a contract.
    pub delegated: bool,
    /// The factories that an ERC-6492 signature may name.
    pub factories: Vec<[u8; 20]>,
}

/// For whom a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Somebody who signs in with this message, which holds until then.
    SignIn {
        /// The message, by its nonce, its text and whose it says it is.
        message: ReplayKey,
        /// Until when it could be used.
        until: Timestamp,
    },
    /// The holder of this session.
    Session(SessionId),
}

impl Asker {
    /// For the log.
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn { .. } => "sign-in",
            Self::Session(_) => "session",
        }
    }
}

/// For whom a question is asked, when, and what tells it from others.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    asker: Asker,
    now: Timestamp,
    id: u64,
    from: [u8; 20],
}

impl Asking {
    /// A question that is asked now.
    ///
    /// # Errors
    /// [`EntropyError`]: a question that can be foreseen is not asked.
    pub fn new(asker: Asker, now: Timestamp, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let (mut id, mut from) = ([0; 8], [0; 20]);
        entropy.fill(&mut id)?;
        entropy.fill(&mut from)?;
        // 53 bits: what every JSON parser keeps of a number.
        Ok(Self { asker, now, id: u64::from_be_bytes(id) >> 11, from })
    }
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
    /// The message had its questions.
    #[error("nodes were asked too often for this message")]
    TooOften,
    /// As many questions about the chain, or about sessions of the account, are under way as may be; nobody was asked.
    #[error("too many questions about the chain or the account are under way")]
    Crowded,
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
pub struct Nodes {
    chains: HashMap<ChainId, Chain>,
}

impl Nodes {
    /// No nodes: every question is [`AskError::Unconfigured`].
    pub fn none() -> Self {
        Self { chains: HashMap::new() }
    }

    /// Those of `chains`.
    ///
    /// # Errors
    /// [`NodesError`] when TLS cannot be set up.
    pub fn new(chains: Vec<ChainNodes>) -> Result<Self, NodesError> {
        let made = chains.into_iter().map(|chain| Ok((chain.chain.clone(), Chain::new(chain)?)));
        let chains = made.collect::<Result<_, NodesError>>()?;
        Ok(Self { chains })
    }

    /// The chains that are asked, in no order.
    pub fn chains(&self) -> impl Iterator<Item = &ChainId> {
        self.chains.keys()
    }

    /// Whether `account` is of a chain that is asked.
    pub fn serve(&self, account: &Account) -> bool {
        self.chain_of(account).is_some()
    }

    /// Whether the contract of a question takes its signature.
    ///
    /// # Errors
    /// [`AskError`]; a factory that may not be called is refused before anything is sent. A session that was
    /// opened with one that no longer may is asked about without it: its account is deployed by now, or is none.
    pub async fn contract(
        &self,
        question: ContractQuestion,
        asking: &Asking,
    ) -> Result<Said<ApprovedSignature>, AskError> {
        let chain = self.chain_of(question.account()).ok_or(AskError::Unconfigured)?;
        // Before a turn is taken: strangers can name as many factories as they like.
        match asking.asker {
            Asker::SignIn { .. } if question.names_a_factory_beside(&chain.settings.factories) => {
                return Err(AskError::Factory);
            }
            Asker::SignIn { .. } | Asker::Session(_) => {}
        }
        take_turn(chain, asking)?;
        count(chain, asking, contract::ask(chain, question, asking).await)
    }

    /// Whether the key of a question may do everything for its account.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn access_key(
        &self,
        question: &AccessKeyQuestion,
        asking: &Asking,
    ) -> Result<Said<KeyOfAccount>, AskError> {
        let chain = self.chain_of(question.account()).ok_or(AskError::Unconfigured)?;
        take_turn(chain, asking)?;
        count(chain, asking, access_key::ask(chain, question, asking).await)
    }

    fn chain_of(&self, account: &Account) -> Option<&Chain> {
        match account {
            Account::Chain(account) => self.chains.get(account.chain()),
            Account::Key(_) => None,
        }
    }
}

fn take_turn(chain: &Chain, asking: &Asking) -> Result<(), AskError> {
    let Asker::SignIn { message, until } = asking.asker else { return Ok(()) };
    chain.counted.take(message, until, asking.now).map_err(|none| match none {
        NoTurn::Spent => AskError::TooOften,
        NoTurn::Full => AskError::Crowded,
    })
}

fn count<T>(
    chain: &Chain,
    asking: &Asking,
    said: Result<Said<T>, AskError>,
) -> Result<Said<T>, AskError> {
    if let Asker::SignIn { message, .. } = asking.asker {
        match said {
            Ok(Said::No | Said::NoContract) | Err(AskError::TooOften) => {}
            Ok(Said::Yes(_)) | Err(AskError::Unavailable) => chain.counted.was_no_refusal(message),
            Err(AskError::Unconfigured | AskError::Factory | AskError::Crowded) => {
                chain.counted.was_not_asked(message);
            }
        }
    }
    said
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.chains.values()).finish()
    }
}
