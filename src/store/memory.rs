//! The store of one process that forgets everything when it ends: for development and for tests.
//!
//! Sessions and revocations stand behind one lock, which no await is reached under: each verb is a
//! few lookups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use countersign_sdk::chain::lnurl::Answer;
use countersign_sdk::entropy::{Entropy, EntropyError};
use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::replay::{ClaimError, Claimed, ReplayKey, ReplayStore};
use countersign_sdk::time::Timestamp;
use tokio::sync::watch;

use super::nonces::UsedOnce;
use super::{
    Bounds, KeptSession, LiveSession, Page, Place, ProvenKey, SessionBounds, SessionError,
    SessionSecret, SpentNonce, Store, StoreError,
};
use crate::model::revocation::{Entry, Revocation, Target, TokenNames};
use crate::model::session::{Session, SessionId, Turn, Usage};
use crate::wallet::policy::OpenedNonce;

/// Everything in memory.
#[derive(Debug)]
pub struct MemoryStore {
    used: UsedOnce,
    state: Mutex<State>,
    latest: watch::Sender<u64>,
    bounds: SessionBounds,
    secret: SessionSecret,
    life: [u8; 8],
}

/// Sessions and revocations, with what finds them.
#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, Session>,
    /// The sessions of each subject and of each key.
    of_owner: HashMap<Target, BTreeSet<SessionId>>,
    /// Each target's entry, and its place in `order`.
    entries: HashMap<Target, (u64, Entry)>,
    order: BTreeMap<u64, Target>,
    sequence: u64,
}

impl MemoryStore {
    /// A store that holds at most as many of each kind as `bounds` says.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn new(bounds: &Bounds, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut life = [0; 8];
        entropy.fill(&mut life)?;
        Ok(Self {
            used: UsedOnce::new(bounds),
            state: Mutex::default(),
            latest: watch::Sender::new(0),
            bounds: bounds.sessions,
            secret: SessionSecret::generate(entropy)?,
            life,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&self, id: SessionId, now: Timestamp) -> Result<&Session, SessionError> {
        let session = self.sessions.get(&id).ok_or(SessionError::Ended)?;
        if session.is_over(now) { Err(SessionError::Ended) } else { Ok(session) }
    }

    fn live_mut(&mut self, id: SessionId, now: Timestamp) -> Result<&mut Session, SessionError> {
        let session = self.sessions.get_mut(&id).ok_or(SessionError::Ended)?;
        if session.is_over(now) { Err(SessionError::Ended) } else { Ok(session) }
    }

    fn touches(&self, targets: &[Target], beginning: Timestamp) -> bool {
        let mut entries = targets.iter().filter_map(|target| self.entries.get(target));
        entries.any(|(_, entry)| entry.touches(beginning))
    }

    fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        for owner in session.targets() {
            if let Some(ids) = self.of_owner.get_mut(&owner) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.of_owner.remove(&owner);
                }
            }
        }
        Some(session)
    }

    /// Writes an entry, in place of an earlier one of its target.
    fn note(&mut self, entry: Entry, now: Timestamp) {
        let entry = match self.entries.get(&entry.target) {
            Some((place, earlier)) => {
                self.order.remove(place);
                entry.and(earlier, now)
            }
            None => entry,
        };
        self.sequence += 1;
        self.order.insert(self.sequence, entry.target.clone());
        self.entries.insert(entry.target.clone(), (self.sequence, entry));
    }

    fn end(&mut self, id: SessionId, now: Timestamp) {
        if let Some(entry) = self.remove(id).and_then(|session| session.end(now)) {
            self.note(entry, now);
        }
    }

    /// The sessions of a subject or key that are not over.
    fn of(&self, owner: &Target, now: Timestamp) -> Vec<&Session> {
        let ids = self.of_owner.get(owner).into_iter().flatten();
        ids.filter_map(|id| self.live(*id, now).ok()).collect()
    }

    fn open(
        &mut self,
        session: Session,
        signed_from: Timestamp,
        bounds: SessionBounds,
        now: Timestamp,
    ) -> Result<Session, SessionError> {
        if self.touches(&session.targets(), signed_from) {
            return Err(SessionError::Ended);
        }
        let others = self.of(&Target::Subject(session.subject.clone()), now);
        let longest_unused = others.iter().min_by_key(|other| (other.usage.last_used_at, other.id));
        let displaced = (others.len() >= bounds.per_subject).then_some(longest_unused).flatten();
        let is_full = self.entries.len() >= bounds.revocations;
        match displaced.map(|other| (other.id, other.end(now).is_some())) {
            Some((_, true)) if is_full => return Err(SessionError::Full),
            Some((id, _)) => self.end(id, now),
            None if self.sessions.len() >= bounds.total => return Err(SessionError::Full),
            None => {}
        }
        for owner in session.targets() {
            self.of_owner.entry(owner).or_default().insert(session.id);
        }
        self.sessions.insert(session.id, session.clone());
        Ok(session)
    }

    fn rotate(
        &mut self,
        id: SessionId,
        generation: u32,
        holder: Option<ProvenKey>,
        bounds: SessionBounds,
        now: Timestamp,
    ) -> Result<Usage, SessionError> {
        let session = self.live_mut(id, now)?;
        if session.bound_to != holder.map(|key| key.jkt) {
            return Err(SessionError::OtherKey);
        }
        match session.usage.turn(
            session.bound_to.is_some(),
            generation,
            holder.map(|key| key.at),
            now,
        ) {
            // It gets a token again, whose end must be told with the session's.
            Turn::Repeat => session.usage.last_used_at = session.usage.last_used_at.max(now),
            Turn::Late => return Err(SessionError::Late),
            Turn::Advance { to } => session.usage = Usage::begun(to, now),
            Turn::Reuse => {
                if self.entries.len() < bounds.most_revocations() {
                    self.end(id, now);
                } else {
                    // Its last tokens go on until they expire.
                    self.remove(id);
                }
                return Err(SessionError::Reused);
            }
        }
        Ok(session.usage)
    }

    /// The sessions end whether there is room for the entry or not.
    fn revoke(
        &mut self,
        revocation: &Revocation,
        bounds: SessionBounds,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let entry = revocation.entry(now);
        // Of everything there is one entry at most, and there is always room for it.
        let has_room = entry.target == Target::Everything
            || self.entries.contains_key(&entry.target)
            || self.entries.len() < bounds.revocations;
        let touched: Vec<SessionId> = match revocation {
            Revocation::Token { .. } | Revocation::TokensBefore(_) => Vec::new(),
            Revocation::Session(id) => {
                self.sessions.contains_key(id).then_some(*id).into_iter().collect()
            }
            Revocation::Everything => self.sessions.keys().copied().collect(),
            Revocation::Key(_) | Revocation::Subject(_) => {
                self.of_owner.get(&entry.target).into_iter().flatten().copied().collect()
            }
        };
        if !has_room && touched.is_empty() {
            return Err(SessionError::Full);
        }
        for id in touched {
            self.remove(id);
        }
        if !has_room {
            return Err(SessionError::Unpublished);
        }
        self.note(entry, now);
        Ok(())
    }

    fn sweep(&mut self, now: Timestamp) {
        let over = self.sessions.values().filter(|session| session.is_over(now));
        for id in over.map(|session| session.id).collect::<Vec<_>>() {
            self.remove(id);
        }
        let (entries, order) = (&mut self.entries, &mut self.order);
        entries.retain(|_, (place, entry)| {
            let live = entry.is_live(now);
            if !live {
                order.remove(place);
            }
            live
        });
    }
}

#[async_trait]
impl ReplayStore for MemoryStore {
    async fn claim(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, ClaimError> {
        self.used.claim(key, until, now)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn spend(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<SpentNonce, StoreError> {
        self.used.spend(nonce, now)
    }

    async fn unspend(&self, nonce: &OpenedNonce) {
        self.used.unspend(nonce);
    }

    async fn hold_answer(
        &self,
        digest: [u8; 32],
        answer: Answer,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.used.answers.hold(digest, answer, until, now)
    }

    async fn answer_to(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        Ok(self.used.answers.of(digest, now))
    }

    async fn is_spent(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.used.is_spent(nonce, now))
    }

    async fn forget_answer(&self, digest: &[u8; 32]) {
        self.used.answers.forget(digest);
    }

    async fn open(
        &self,
        session: Session,
        signed_from: Timestamp,
        now: Timestamp,
    ) -> Result<LiveSession, SessionError> {
        let mut state = self.lock();
        let opened = state.open(session, signed_from, self.bounds, now);
        self.tell(&state);
        opened.map(LiveSession::assertion)
    }

    async fn rotate(
        &self,
        kept: KeptSession,
        generation: u32,
        holder: Option<ProvenKey>,
        now: Timestamp,
    ) -> Result<LiveSession, SessionError> {
        let mut state = self.lock();
        let rotated = state.rotate(kept.id, generation, holder, self.bounds, now);
        self.tell(&state);
        rotated.map(|usage| LiveSession::assertion(Session { usage, ..kept.into_session() }))
    }

    async fn session(&self, id: SessionId, now: Timestamp) -> Result<KeptSession, SessionError> {
        self.lock().live(id, now).cloned().map(KeptSession::assertion)
    }

    async fn sessions_of(
        &self,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError> {
        let subject = Target::Subject(subject.to_owned());
        let mut sessions: Vec<_> = self.lock().of(&subject, now).into_iter().cloned().collect();
        sessions.sort_by_key(|session| session.id);
        Ok(sessions)
    }

    async fn sessions_by_key(
        &self,
        key: Thumbprint,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError> {
        let key = Target::Key(key);
        let mut sessions: Vec<_> = self.lock().of(&key, now).into_iter().cloned().collect();
        sessions.sort_by_key(|session| session.id);
        Ok(sessions)
    }

    async fn revoke(&self, revocation: &Revocation, now: Timestamp) -> Result<(), SessionError> {
        let now = self.used.not_before_any(now);
        let mut state = self.lock();
        let revoked = state.revoke(revocation, self.bounds, now);
        self.tell(&state);
        revoked
    }

    async fn is_revoked(
        &self,
        token: &TokenNames<'_>,
        _now: Timestamp,
    ) -> Result<bool, SessionError> {
        Ok(self.lock().touches(&token.targets(), token.issued_at))
    }

    async fn revocations(
        &self,
        after: Option<Place>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, SessionError> {
        let state = self.lock();
        let known =
            after.filter(|place| place.life == self.life && place.sequence <= state.sequence);
        let from = known.map_or(0, |place| place.sequence).saturating_add(1);
        let found = state.order.range(from..).filter_map(|(place, target)| {
            let (_, entry) = state.entries.get(target)?;
            entry.is_live(now).then_some((*place, entry))
        });
        let found: Vec<(u64, &Entry)> = found.take(limit.saturating_add(1)).collect();
        let more = found.len() > limit;
        let page: Vec<_> = found.into_iter().take(limit).collect();
        let last = if more { page.last().map_or(0, |(place, _)| *place) } else { state.sequence };
        Ok(Page {
            next: Place { life: self.life, sequence: last },
            entries: page.into_iter().map(|(_, entry)| entry.clone()).collect(),
            more,
        })
    }

    fn latest(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    fn session_secret(&self) -> SessionSecret {
        self.secret.clone()
    }

    fn has_forgotten_proofs(&self) -> bool {
        // The sessions of before are forgotten as well, and nothing is left for their proofs.
        false
    }

    fn is_available(&self) -> bool {
        true
    }

    async fn sweep(&self, now: Timestamp) {
        self.used.sweep(now);
        self.lock().sweep(now);
    }
}

impl MemoryStore {
    fn tell(&self, state: &State) {
        self.latest.send_if_modified(|latest| {
            let moved = *latest != state.sequence;
            *latest = state.sequence;
            moved
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_sdk::entropy::OsEntropy;

    use super::*;
    use crate::store::contract;

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract() {
        contract::check(&|capacity| {
            let bounds = SessionBounds { total: capacity, per_subject: 3, revocations: capacity };
            let bounds =
                Bounds { nonces: capacity, proofs: capacity, answers: capacity, sessions: bounds };
            Arc::new(MemoryStore::new(&bounds, &OsEntropy).unwrap())
        })
        .await;
    }
}
