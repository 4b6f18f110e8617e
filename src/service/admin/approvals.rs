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
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::operator::Voice;
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::Revocation;

/// The most requests that wait at once.
const MOST: usize = 64;
/// The most of one operator.
const MOST_OF_ONE: usize = 8;

/// What takes several operators, where the configuration says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The next key signs.
    Rotate,
    /// A key signs no more, and stays published while its tokens live.
    Retire(Thumbprint),
    /// A key ends, and everything that it signed.
    Revoke(Thumbprint),
    /// Sessions and tokens end that can be those of operators.
    End(Revocation),
}

impl Operation {
    /// The action that it is.
    pub const fn action(&self) -> Action {
        match self {
            Self::Rotate => Action::RotateKeys,
            Self::Retire(_) => Action::RetireKey,
            Self::Revoke(_) => Action::RevokeKey,
            Self::End(Revocation::Everything) => Action::RevokeEverything,
            Self::End(_) => Action::Revoke,
        }
    }

    /// The signing key that it is about.
    pub const fn kid(&self) -> Option<Thumbprint> {
        match self {
            Self::Rotate | Self::End(_) => None,
            Self::Retire(kid) | Self::Revoke(kid) => Some(*kid),
        }
    }

    /// What it is done to, for the record.
    pub fn target(&self) -> Option<String> {
        match self {
            Self::Rotate | Self::End(Revocation::Everything | Revocation::TokensBefore(_)) => None,
            Self::Retire(kid) | Self::Revoke(kid) => Some(kid.to_string()),
            Self::End(Revocation::Token { jti, .. }) => Some(jti.clone()),
            Self::End(Revocation::Session(id)) => Some(id.to_string()),
            Self::End(Revocation::Key(key)) => Some(key.to_string()),
            Self::End(Revocation::Subject(subject)) => Some(subject.clone()),
        }
    }

    /// As answers write it.
    pub fn shown(&self) -> ShownOperation {
        let (kid, target) = match self.kid() {
            Some(kid) => (Some(kid.to_string()), None),
            None => (None, self.target()),
        };
        ShownOperation { action: self.action().name().to_owned(), kid, target }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownOperation {
    /// The action's name, such as `keys.revoke`.
    pub action: String,
    /// The signing key, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// What is revoked where it is about sessions and tokens: a session, a key, a subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
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
    operation: Operation,
    by: Voice,
    others: Vec<Voice>,
    requested_at: Timestamp,
    expires_at: Timestamp,
    /// How many operators it takes, the first among them.
    takes: usize,
    /// Whether it is on record that it was asked for: until then it has its place and nobody sees it.
    is_recorded: bool,
}

impl Pending {
    fn shown(&self, id: ApprovalId) -> Waiting {
        Waiting {
            id: id.to_string(),
            operation: self.operation.shown(),
            requested_by: self.by.subject().to_owned(),
            approved_by: self.others.iter().map(|voice| voice.subject().to_owned()).collect(),
            requested_at: self.requested_at.to_string(),
            expires_at: self.expires_at.to_string(),
            needed: self.takes.saturating_sub(1 + self.others.len()),
        }
    }

    fn is_of(&self, operation: &Operation, by: &Voice) -> bool {
        self.operation == *operation && self.by.subject() == by.subject()
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
    Complete(Operation, Vec<Voice>),
}

/// Everything that waits.
#[derive(Debug, Default)]
pub struct Approvals(Mutex<HashMap<ApprovalId, Pending>>);

impl Approvals {
    /// Takes a place for `operation`, which takes `takes` operators within `window` seconds, and gives its
    /// name: that of the same request where one waits already. Nobody sees it until it is on record.
    ///
    /// # Errors
    /// [`Reason::ApprovalsFull`]; [`Reason::ServerError`] without randomness.
    pub(super) fn reserve(
        &self,
        operation: &Operation,
        by: &Voice,
        (takes, window): (usize, u64),
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<ApprovalId, Refusal> {
        let mut waiting = self.lock(now);
        if let Some((id, _)) = waiting.iter().find(|(_, pending)| pending.is_of(operation, by)) {
            return Ok(*id);
        }
        let own = waiting.values().filter(|pending| pending.by.subject() == by.subject()).count();
        if waiting.len() >= MOST || own >= MOST_OF_ONE {
            let detail = "as much waits for approval as may; approve or withdraw something first";
            return Err(Refusal::new(Reason::ApprovalsFull, detail));
        }
        let mut bytes = [0; 16];
        let filled = entropy.fill(&mut bytes);
        filled.map_err(|_| Refusal::new(Reason::ServerError, "no random bytes to be had"))?;
        let pending = Pending {
            operation: operation.clone(),
            by: by.clone(),
            others: Vec::new(),
            requested_at: now,
            expires_at: now.plus(window).min(by.counts_until()),
            takes,
            is_recorded: false,
        };
        waiting.insert(ApprovalId(bytes), pending);
        Ok(ApprovalId(bytes))
    }

    /// Lets it be seen and approved: it is on record.
    ///
    /// # Errors
    /// [`Reason::ApprovalUnknown`] when it has run or was withdrawn since.
    pub(super) fn confirm(
        &self,
        id: ApprovalId,
        by: &Voice,
        now: Timestamp,
    ) -> Result<Waiting, Refusal> {
        let mut waiting = self.lock(now);
        let pending = waiting.get_mut(&id).ok_or_else(unknown)?;
        // What was asked with may have been revoked since; as long as nobody has agreed to it, what
        // is asked with now counts.
        if pending.others.is_empty() {
            pending.by = by.clone();
        }
        pending.is_recorded = true;
        Ok(pending.shown(id))
    }

    /// Gives its place back: it could not be recorded.
    pub(super) fn give_back(&self, id: ApprovalId, now: Timestamp) {
        let mut waiting = self.lock(now);
        if waiting.get(&id).is_some_and(|pending| !pending.is_recorded) {
            waiting.remove(&id);
        }
    }

    /// Everything that waits, the oldest first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<Waiting> {
        let waiting = self.lock(now);
        let mut list: Vec<_> = waiting.iter().filter(|(_, pending)| pending.is_recorded).collect();
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
    ) -> Result<(Operation, Vec<Voice>), Refusal> {
        let waiting = self.lock(now);
        let recorded = waiting.get(&id).filter(|pending| pending.is_recorded);
        let pending = recorded.ok_or_else(unknown)?;
        check_distinct(pending, by)?;
        Ok((pending.operation.clone(), pending.voices().cloned().collect()))
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
        let recorded = waiting.get_mut(&id).filter(|pending| pending.is_recorded);
        let pending = recorded.ok_or_else(unknown)?;
        check_distinct(pending, by)?;
        pending.others.push(by.clone());
        pending.expires_at = pending.expires_at.min(by.counts_until());
        if pending.voices().count() < pending.takes {
            return Ok(Approved::StillWaits(pending.shown(id)));
        }
        let (operation, voices) = (pending.operation.clone(), pending.voices().cloned().collect());
        waiting.remove(&id);
        Ok(Approved::Complete(operation, voices))
    }

    /// Everything that waits, with everybody who has spoken for it.
    pub(super) fn spoken_for(&self, now: Timestamp) -> Vec<(ApprovalId, Operation, Vec<Voice>)> {
        let waiting = self.lock(now);
        let spoken = waiting.iter().map(|(id, pending)| {
            (*id, pending.operation.clone(), pending.voices().cloned().collect::<Vec<_>>())
        });
        spoken.collect()
    }

    /// Takes a request back; gives the operation that will not run.
    ///
    /// # Errors
    /// [`Reason::ApprovalUnknown`].
    pub(super) fn withdraw(&self, id: ApprovalId, now: Timestamp) -> Result<Operation, Refusal> {
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
