//! What a chain says is what enough of its nodes say alike; anything less is no answer.
//!
//! All nodes are asked at once, and the answer is there as soon as enough agree. Since the quorum is more
//! than half of the nodes, no two answers can both have it. Nodes that are behind differ for a moment
//! from those that are not: then nothing is known, and the client asks again.

use std::fmt;
use std::future::Future;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::node::{Node, NodeError};
use super::{AskError, ChainNodes, NodesError};

/// How many questions about one chain may be under way; one more is not asked.
const MAX_UNDER_WAY: usize = 64;

/// The nodes of a chain.
pub(super) struct Chain {
    pub(super) settings: ChainNodes,
    nodes: Vec<Node>,
    under_way: Semaphore,
}

/// What one node said, and the block that it said it of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading<T> {
    pub(super) said: T,
    pub(super) block: u64,
}

impl Chain {
    pub(super) fn new(settings: ChainNodes) -> Result<Self, NodesError> {
        let (timeout, max_answer) = (settings.timeout, settings.max_answer);
        let nodes = settings.urls.iter().map(|url| Node::new(url.clone(), timeout, max_answer));
        Ok(Self {
            nodes: nodes.collect::<Result<_, _>>()?,
            under_way: Semaphore::new(MAX_UNDER_WAY),
            settings,
        })
    }

    /// Asks every node by `ask`, until enough have said the same; the block is the lowest of theirs.
    ///
    /// # Errors
    /// [`AskError::Unavailable`].
    pub(super) async fn agree<T, F, Fut>(&self, ask: F) -> Result<Reading<T>, AskError>
    where
        T: Copy + Eq + fmt::Debug + Send + 'static,
        F: Fn(Node) -> Fut,
        Fut: Future<Output = Result<Reading<T>, NodeError>> + Send + 'static,
    {
        let chain = &self.settings.chain;
        let Ok(_place) = self.under_way.try_acquire() else {
            tracing::warn!(%chain, "too many questions about this chain are under way");
            return Err(AskError::Unavailable);
        };
        let mut asked = JoinSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let answer = ask(node.clone());
            asked.spawn(async move { (index, answer.await) });
        }
        let mut readings: Vec<Reading<T>> = Vec::with_capacity(self.nodes.len());
        while let Some(joined) = asked.join_next().await {
            match joined {
                Ok((index, Ok(reading))) => {
                    tracing::debug!(%chain, index, ?reading, "a node answered");
                    readings.push(reading);
                    let alike = readings.iter().filter(|other| other.said == reading.said);
                    if alike.clone().count() >= self.settings.quorum {
                        let block = alike.map(|other| other.block).min().unwrap_or_default();
                        return Ok(Reading { said: reading.said, block });
                    }
                }
                Ok((index, Err(error))) => {
                    tracing::warn!(%chain, index, %error, "a node gave no answer");
                }
                Err(error) => tracing::error!(%chain, %error, "a question ended badly"),
            }
        }
        tracing::warn!(%chain, answers = readings.len(), "too few nodes gave the same answer");
        Err(AskError::Unavailable)
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
