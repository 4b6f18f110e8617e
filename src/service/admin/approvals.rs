//! What waits until enough operators agree: asked for once, approved by others, run once, or forgotten.
//!
//! A request never changes: what runs is what was asked for. It is taken out in the same step in
//! which the last approval comes in, so of any number of approvals at once one runs it. All of it is
//! in memory and bounded; a restart forgets it, and it is asked for again.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::action::Action;
use super::operator::Voice;
use crate::model::reason::{Reason, Refusal};

/// The most requests that wait at once.
const MOST: usize = 64;
/// The most of one operator.
const MOST_OF_ONE: usize = 8;

/// An operation on the signing keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOperation {
    /// The next key signs.
    Rotate,
    /// A key signs no more, and stays published while its tokens live.
    Retire(Thumbprint),
    /// A key ends, and everything that it signed.
    Revoke(Thumbprint),
}

impl KeyOperation {
    /// The action that it is.
    pub const fn action(self) -> Action {
        match self {
            Self::Rotate => Action::RotateKeys,
            Self::Retire(_) => Action::RetireKey,
            Self::Revoke(_) => Action::RevokeKey,
        }
    }

    /// The key that it is about.
    pub const fn kid(self) -> Option<Thumbprint> {
        match self {
            Self::Rotate => None,
            Self::Retire(kid) | Self::Revoke(kid) => Some(kid),
        }
    }
}

/// A request's name: 16 random bytes, 22 characters of base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApprovalId([u8; 16]);

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for ApprovalId {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = Some(text).filter(|text| text.len() == 22);
        let bytes = bytes.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(unknown)
    }
}

/// The operation, as answers write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownOperation {
    /// The action's name, such as `keys.revoke`.
    pub action: &'static str,
    /// The key, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// A request that waits, as answers write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its name.
    pub id: String,
    /// What will run.
    pub operation: ShownOperation,
    /// Who asked for it.
    pub requested_by: String,
    /// Who else approved it so far.
    pub approved_by: Vec<String>,
    /// When it was asked for, RFC 3339.
    pub requested_at: String,
    /// The first second at which it is forgotten.
    pub expires_at: String,
    /// How many more have to approve.
    pub needed: usize,
}

#[derive(Clone, Debug)]
struct Pending {
    operation: KeyOperation,
    by: Voice,
    others: Vec<Voice>,
    requested_at: Timestamp,
    expires_at: Timestamp,
    /// How many operators it takes, the first among them.
    takes: usize,
}

impl Pending {
    fn shown(&self, id: ApprovalId) -> Waiting {
        Waiting {
            id: id.to_string(),
            operation: ShownOperation {
                action: self.operation.action().name(),
                kid: self.operation.kid().map(|kid| kid.to_string()),
            },
            requested_by: self.by.subject().to_owned(),
            approved_by: self.others.iter().map(|voice| voice.subject().to_owned()).collect(),
            requested_at: self.requested_at.to_string(),
            expires_at: self.expires_at.to_string(),
            needed: self.takes.saturating_sub(1 + self.others.len()),
        }
    }

    fn is_of(&self, operation: KeyOperation, by: &Voice) -> bool {
        self.operation == operation && self.by.subject() == by.subject()
    }

    fn voices(&self) -> impl Iterator<Item = &Voice> {
        std::iter::once(&self.by).chain(&self.others)
    }
}

/// What became of an approval.
#[derive(Debug)]
pub(super) enum Approved {
    /// More are needed.
    StillWaits(Waiting),
    /// It was the last: the operation is taken out, and must be run now if everybody who spoke for it
    /// still counts.
    Complete(KeyOperation, Vec<Voice>),
}

/// Everything that waits.
#[derive(Debug, Default)]
pub struct Approvals(Mutex<HashMap<ApprovalId, Pending>>);

impl Approvals {
    /// The name of the request for `operation` by whoever speaks: of the one that waits, else a new one.
    ///
    /// # Errors
    /// [`Reason::ServerError`] without randomness.
    pub(super) fn name(
        &self,
        operation: KeyOperation,
        by: &Voice,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<ApprovalId, Refusal> {
        let waiting = self.lock(now);
        if let Some((id, _)) = waiting.iter().find(|(_, pending)| pending.is_of(operation, by)) {
            return Ok(*id);
        }
        let mut bytes = [0; 16];
        let filled = entropy.fill(&mut bytes);
        filled.map_err(|_| Refusal::new(Reason::ServerError, "no random bytes to be had"))?;
        Ok(ApprovalId(bytes))
    }

    /// Asks, under that name, for an operation that takes `takes` operators within `window` seconds.
    /// Whoever asks for the same again while it waits gets the same request.
    ///
    /// # Errors
    /// [`Reason::ApprovalsFull`].
    pub(super) fn ask(
        &self,
        id: ApprovalId,
        operation: KeyOperation,
        by: &Voice,
        (takes, window): (usize, u64),
        now: Timestamp,
    ) -> Result<Waiting, Refusal> {
        let mut waiting = self.lock(now);
        let same = waiting.iter_mut().find(|(_, pending)| pending.is_of(operation, by));
        if let Some((id, pending)) = same {
            // What was asked with may have been revoked since; as long as nobody has agreed to it, what
            // is asked with now counts.
            if pending.others.is_empty() {
                pending.by = by.clone();
            }
            return Ok(pending.shown(*id));
        }
        let own = waiting.values().filter(|pending| pending.by.subject() == by.subject()).count();
        if waiting.len() >= MOST || own >= MOST_OF_ONE {
            let detail = "as much waits for approval as may; approve or withdraw something first";
            return Err(Refusal::new(Reason::ApprovalsFull, detail));
        }
        let pending = Pending {
            operation,
            by: by.clone(),
            others: Vec::new(),
            requested_at: now,
            expires_at: now.plus(window),
            takes,
        };
        let shown = pending.shown(id);
        waiting.insert(id, pending);
        Ok(shown)
    }

    /// Everything that waits, the oldest first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<Waiting> {
        let waiting = self.lock(now);
        let mut list: Vec<_> = waiting.iter().collect();
        list.sort_by_key(|(id, pending)| (pending.requested_at, id.0));
        list.into_iter().map(|(id, pending)| pending.shown(*id)).collect()
    }

    /// What waits under `id`, and who has spoken for it, for whoever is about to approve it.
    ///
    /// # Errors
    /// [`Reason::ApprovalUnknown`]; [`Reason::ApprovalNotDistinct`] for whoever has spoken already.
    pub(super) fn look(
        &self,
        id: ApprovalId,
        by: &Voice,
        now: Timestamp,
    ) -> Result<(KeyOperation, Vec<Voice>), Refusal> {
        let waiting = self.lock(now);
        let pending = waiting.get(&id).ok_or_else(unknown)?;
        check_distinct(pending, by)?;
        Ok((pending.operation, pending.voices().cloned().collect()))
    }

    /// Adds an approval; with the last one the request is gone and its operation is the caller's to run.
    ///
    /// # Errors
    /// As [`Approvals::look`].
    pub(super) fn approve(
        &self,
        id: ApprovalId,
        by: &Voice,
        now: Timestamp,
    ) -> Result<Approved, Refusal> {
        let mut waiting = self.lock(now);
        let pending = waiting.get_mut(&id).ok_or_else(unknown)?;
        check_distinct(pending, by)?;
        pending.others.push(by.clone());
        if pending.voices().count() < pending.takes {
            return Ok(Approved::StillWaits(pending.shown(id)));
        }
        let (operation, voices) = (pending.operation, pending.voices().cloned().collect());
        waiting.remove(&id);
        Ok(Approved::Complete(operation, voices))
    }

    /// Everything that waits, with everybody who has spoken for it.
    pub(super) fn spoken_for(&self, now: Timestamp) -> Vec<(ApprovalId, KeyOperation, Vec<Voice>)> {
        let waiting = self.lock(now);
        let spoken = waiting.iter().map(|(id, pending)| {
            (*id, pending.operation, pending.voices().cloned().collect::<Vec<_>>())
        });
        spoken.collect()
    }

    /// Takes a request back; gives the operation that will not run.
    ///
    /// # Errors
    /// [`Reason::ApprovalUnknown`].
    pub(super) fn withdraw(&self, id: ApprovalId, now: Timestamp) -> Result<KeyOperation, Refusal> {
        let withdrawn = self.lock(now).remove(&id);
        withdrawn.map(|pending| pending.operation).ok_or_else(unknown)
    }

    /// The requests whose time has not passed; the others are forgotten here.
    fn lock(&self, now: Timestamp) -> MutexGuard<'_, HashMap<ApprovalId, Pending>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, pending| now < pending.expires_at);
        waiting
    }
}

fn check_distinct(pending: &Pending, by: &Voice) -> Result<(), Refusal> {
    if pending.voices().all(|voice| by.is_distinct_from(voice)) {
        return Ok(());
    }
    let detail = "who asked or approved does not count twice: it takes another operator's account, \
                  with keys of its own";
    Err(Refusal::new(Reason::ApprovalNotDistinct, detail))
}

fn unknown() -> Refusal {
    let detail = "nothing of that name waits for approval; it may have run, or its time has passed";
    Refusal::new(Reason::ApprovalUnknown, detail)
}

#[cfg(test)]
#[path = "approvals_tests.rs"]
mod tests;
