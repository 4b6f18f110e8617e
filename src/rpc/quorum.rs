//! What a chain says is what enough of its nodes say alike; anything less is no answer.
//!
//! All nodes are asked at once, and the answer is there as soon as enough agree. Since the quorum is more
//! than half of the nodes, no two answers can both have it. Nodes that are behind differ for a moment
//! from those that are not: then nothing is known, and the client asks again.
//!
//! The others are heard to their end by a task of its own, whether or not somebody still waits, so that a
//! node that lies is noticed, and so that a place is taken for as long as anything is under way.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::node::{Node, NodeError};
use super::notices::Notice;
use super::places::{NoPlace, Places};
use super::turns::Counted;
use super::{AskError, Asking, Block, ChainNodes, NodesError};

/// How far a block of NEAR may lie below one that was believed before: about ten minutes.
const MAX_BEHIND: u64 = 600;

/// The nodes of a chain.
pub(super) struct Chain {
    pub(super) settings: ChainNodes,
    pub(super) counted: Counted,
    nodes: Vec<Node>,
    places: Places,
    notices: Arc<Notices>,
    highest: AtomicU64,
}

/// What is logged of a chain, each kind once in a while.
#[derive(Debug)]
struct Notices {
    crowded: Notice,
    too_few: Notice,
    different: Notice,
    /// By the node.
    failed: Vec<Notice>,
}

/// What one node said, and the block that it said it of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading<T> {
    pub(super) said: T,
    pub(super) block: Block,
}

impl Chain {
    pub(super) fn new(settings: ChainNodes) -> Result<Self, NodesError> {
        let (timeout, max_answer) = (settings.timeout, settings.max_answer);
        let nodes = settings.urls.iter().map(|url| Node::new(url.clone(), timeout, max_answer));
        for (index, url) in settings.urls.iter().enumerate() {
            let twin =
                settings.urls.iter().take(index).position(|other| other.host() == url.host());
            if let Some(twin) = twin {
                let chain = &settings.chain;
                tracing::warn!(%chain, index, twin, "two nodes of a chain have the same host: who runs it counts twice");
            }
        }
        Ok(Self {
            nodes: nodes.collect::<Result<_, _>>()?,
            counted: Counted::default(),
            places: Places::new(),
            notices: Arc::new(Notices {
                crowded: Notice::default(),
                too_few: Notice::default(),
                different: Notice::default(),
                failed: settings.urls.iter().map(|_| Notice::default()).collect(),
            }),
            highest: AtomicU64::new(0),
            settings,
        })
    }

    /// The lowest block that is believed: not far below the highest of before. A start forgets it.
    pub(super) fn lowest(&self) -> u64 {
        self.highest.load(Ordering::Relaxed).saturating_sub(MAX_BEHIND)
    }

    /// A quorum has told of this block.
    pub(super) fn has_reached(&self, block: u64) {
        self.highest.fetch_max(block, Ordering::Relaxed);
    }

    /// Asks every node about `account` by `ask`, until enough have said the same; the block is the lowest of
    /// theirs.
    ///
    /// # Errors
    /// [`AskError::Crowded`], [`AskError::Unavailable`].
    pub(super) async fn agree<T, F, Fut>(
        &self,
        asking: &Asking,
        account: &Account,
        ask: F,
    ) -> Result<Reading<T>, AskError>
    where
        T: Copy + Eq + fmt::Debug + Send + 'static,
        F: Fn(Node) -> Fut,
        Fut: Future<Output = Result<Reading<T>, NodeError>> + Send + 'static,
    {
        let chain = &self.settings.chain;
        let place = self.places.take(asking.asker, account).map_err(|none| {
            self.is_crowded(none, asking, account);
            AskError::Crowded
        })?;
        let mut asked = JoinSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let answer = ask(node.clone());
            asked.spawn(async move { (index, answer.await) });
        }
        let hearing = Hearing {
            chain: chain.clone(),
            quorum: self.settings.quorum,
            notices: Arc::clone(&self.notices),
            now: asking.now,
        };
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            hearing.hear(asked, tell).await;
            drop(place);
        });
        told.await.map_err(|_| AskError::Unavailable)
    }

    fn is_crowded(&self, none: NoPlace, asking: &Asking, account: &Account) {
        let chain = &self.settings.chain;
        match none {
            NoPlace::Chain => {
                if let Some(left_out) = self.notices.crowded.due(asking.now) {
                    let asker = asking.asker.name();
                    tracing::warn!(%chain, asker, left_out, "too many questions about this chain are under way");
                }
            }
            NoPlace::Account => {
                tracing::debug!(%account, "too many questions about sessions of this account are under way");
            }
        }
    }
}

/// The hearing of every node about one question.
struct Hearing {
    chain: ChainId,
    quorum: usize,
    notices: Arc<Notices>,
    now: Timestamp,
}

impl Hearing {
    /// Hears every node to its end, and tells what enough of them say as soon as they do; drops
    /// `tell` where they do not.
    async fn hear<T: Copy + Eq + fmt::Debug + Send + 'static>(
        self,
        mut asked: JoinSet<(usize, Result<Reading<T>, NodeError>)>,
        tell: oneshot::Sender<Reading<T>>,
    ) {
        let chain = &self.chain;
        let (mut tell, mut agreed) = (Some(tell), None);
        let mut readings: Vec<(usize, Reading<T>)> = Vec::new();
        while let Some(joined) = asked.join_next().await {
            match joined {
                Ok((index, Ok(reading))) => {
                    tracing::debug!(%chain, index, ?reading, "a node answered");
                    readings.push((index, reading));
                    let alike = readings.iter().filter(|(_, other)| other.said == reading.said);
                    if tell.is_some() && alike.clone().count() >= self.quorum {
                        let block =
                            alike.map(|(_, other)| other.block).fold(reading.block, Block::min);
                        agreed = Some(reading.said);
                        // Who asked may have gone; the nodes are heard all the same.
                        let _gone = tell.take().map(|tell| tell.send(Reading { block, ..reading }));
                    }
                }
                Ok((index, Err(error))) => self.failed(index, error),
                Err(error) => tracing::error!(%chain, %error, "a question ended badly"),
            }
        }
        let Some(agreed) = agreed else {
            if let Some(left_out) = self.notices.too_few.due(self.now) {
                let answers = readings.len();
                tracing::warn!(%chain, answers, left_out, "too few nodes gave the same answer");
            }
            return;
        };
        if let Some((index, _)) = readings.iter().find(|(_, reading)| reading.said != agreed)
            && let Some(left_out) = self.notices.different.due(self.now)
        {
            tracing::warn!(%chain, index, left_out, "a node said something else than the quorum");
        }
    }

    fn failed(&self, index: usize, error: NodeError) {
        let chain = &self.chain;
        let due = self.notices.failed.get(index).and_then(|notice| notice.due(self.now));
        if let Some(left_out) = due {
            tracing::warn!(%chain, index, %error, left_out, "a node gave no answer");
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

#[cfg(test)]
#[path = "quorum_tests.rs"]
mod tests;
