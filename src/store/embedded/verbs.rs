//! What each verb does to the tables, inside the one write transaction that it shares with others.
//!
//! A verb looks before it writes: what it refuses has changed nothing but what the refusal says, the
//! end of sessions, so that it never disturbs its neighbours in the transaction. What is decided is
//! decided in `model`.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use countersign_sdk::time::Timestamp;
use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::failed::Failed;
use super::owners::{Changes, Owners};
use super::record;
use super::tables::{WriteTables, key_of, used};
use super::writer::Rotation;
use crate::model::revocation::{Entry, Revocation, Target};
use crate::model::session::{Session, SessionId, Turn, Usage};
use crate::store::{SessionBounds, SessionError};

/// The tables and their index, and how far the sequence of revocations has come.
pub(super) struct Writing<'t> {
    pub(super) tables: WriteTables<'t>,
    pub(super) owners: &'t RwLock<Owners>,
    pub(super) changes: Changes,
    pub(super) sequence: u64,
    pub(super) bounds: SessionBounds,
}

/// What clean-up has found to be over, by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Over {
    pub(super) sessions: Vec<SessionId>,
    pub(super) revoked: Vec<Vec<u8>>,
    pub(super) feed: Vec<u64>,
}

impl Writing<'_> {
    pub(super) fn open(
        &mut self,
        session: &Session,
        signed_from: Timestamp,
        now: Timestamp,
    ) -> Result<(), Failed> {
        let record = record::of_session(session);
        check_length(&record)?;
        if self.tables.touches(&session.targets(), signed_from)? {
            return Err(SessionError::Ended.into());
        }
        match self.displaced_by_one_more(&session.subject, now)? {
            Some(other) if other.end(now).is_some() && self.is_full_of_revocations()? => {
                return Err(SessionError::Full.into());
            }
            Some(other) => self.end(other.id, now)?,
            None if self.tables.sessions.len()? >= self.bounds.total as u64 => {
                return Err(SessionError::Full.into());
            }
            None => {}
        }
        write(self.owners).add(session, &mut self.changes);
        self.tables.sessions.insert(session.id.as_bytes(), &record[..])?;
        Ok(())
    }

    fn is_full_of_revocations(&self) -> Result<bool, Failed> {
        Ok(self.tables.revoked.len()? >= self.bounds.revocations as u64)
    }

    /// The session that ends if `subject` opens another.
    fn displaced_by_one_more(
        &self,
        subject: &str,
        now: Timestamp,
    ) -> Result<Option<Session>, Failed> {
        let names = read(self.owners).names_of(&Target::Subject(subject.to_owned()));
        if names.len() < self.bounds.per_subject {
            return Ok(None);
        }
        let others = self.tables.live_among(|session| session.subject == subject, names, now)?;
        let longest_unused = others.iter().min_by_key(|other| (other.usage.last_used_at, other.id));
        let full = others.len() >= self.bounds.per_subject;
        Ok(longest_unused.filter(|_| full).cloned())
    }

    /// The usage of the session as it is then.
    pub(super) fn rotate(&mut self, rotation: &Rotation, now: Timestamp) -> Result<Usage, Failed> {
        let Rotation { id, is_bound, generation, proven_at } = *rotation;
        let opened = match self.tables.sessions.get(id.as_bytes())? {
            Some(record) => record::usage(record.value())?,
            None => return Err(SessionError::Ended.into()),
        };
        let usage = used(&self.tables.usage, id)?.unwrap_or(opened);
        match usage.turn(is_bound, generation, proven_at, now) {
            // It gets a token again, whose end must be told with the session's.
            Turn::Repeat if usage.last_used_at < now => {
                self.write_usage(id, Usage { last_used_at: now, ..usage })
            }
            Turn::Repeat => Ok(usage),
            Turn::Late => Err(SessionError::Late.into()),
            Turn::Advance { to } => self.write_usage(id, Usage::begun(to, now)),
            Turn::Reuse => {
                let most = self.bounds.most_revocations() as u64;
                if self.tables.revoked.len()? < most {
                    self.end(id, now)?;
                } else {
                    // Its last tokens go on until they expire.
                    self.remove(id)?;
                }
                Err(SessionError::Reused.into())
            }
        }
    }

    /// The sessions end whether there is room for the entry or not.
    pub(super) fn revoke(&mut self, revocation: &Revocation, now: Timestamp) -> Result<(), Failed> {
        let entry = revocation.entry(now);
        check_length(&record::of_entry(&entry))?;
        // Of everything there is one entry at most, and there is always room for it.
        let has_room = entry.target == Target::Everything
            || self.tables.entry(&entry.target)?.is_some()
            || !self.is_full_of_revocations()?;
        let mut unpublished = SessionError::Full;
        match revocation {
            Revocation::Token { .. } | Revocation::TokensBefore(_) => {}
            Revocation::Session(id) => {
                if self.remove(*id)?.is_some() {
                    unpublished = SessionError::Unpublished;
                }
            }
            Revocation::Everything => {
                self.tables.sessions.retain(|_, _| false)?;
                self.tables.usage.retain(|_, _| false)?;
                read(self.owners).remove_all(&mut self.changes);
            }
            Revocation::Key(_) | Revocation::Subject(_) => {
                let names = read(self.owners).names_of(&entry.target);
                if !names.is_empty() {
                    unpublished = SessionError::Unpublished;
                }
                for id in names {
                    self.remove_of(&entry.target, id)?;
                }
            }
        }
        if has_room { self.note(entry, now) } else { Err(unpublished.into()) }
    }

    /// Removes what is over, and looks again whether it is: it was found in an earlier state.
    pub(super) fn forget(&mut self, over: &Over, now: Timestamp) -> Result<(), Failed> {
        for id in &over.sessions {
            if let Some(session) = self.tables.kept(*id)?
                && session.is_over(now)
            {
                self.remove(*id)?;
            }
        }
        for place in &over.feed {
            let key = self.tables.feed.get(place)?.map(|key| key.value().to_vec());
            let Some(key) = key else { continue };
            let entry = self.tables.entry_at(&key)?;
            if entry.is_none_or(|(at, entry)| at != *place || !entry.is_live(now)) {
                self.tables.feed.remove(place)?;
            }
        }
        for key in &over.revoked {
            if let Some((place, entry)) = self.tables.entry_at(key)?
                && !entry.is_live(now)
            {
                self.tables.revoked.remove(&key[..])?;
                self.tables.feed.remove(place)?;
            }
        }
        Ok(())
    }

    fn write_usage(&mut self, id: SessionId, usage: Usage) -> Result<Usage, Failed> {
        let Usage { generation, rotated_at, last_used_at } = usage;
        let row = (generation, rotated_at.as_unix(), last_used_at.as_unix());
        self.tables.usage.insert(id.as_bytes(), row)?;
        Ok(usage)
    }

    /// Removes a session that the index has under `owner`, whom it knows by a hash, if it is one of theirs.
    fn remove_of(&mut self, owner: &Target, id: SessionId) -> Result<(), Failed> {
        match self.tables.kept(id) {
            Ok(Some(session)) if !session.targets().contains(owner) => Ok(()),
            _ => self.remove(id).map(drop),
        }
    }

    fn remove(&mut self, id: SessionId) -> Result<Option<Session>, Failed> {
        let session = match self.tables.kept(id) {
            Ok(Some(session)) => session,
            // Whatever stands there ends.
            Err(Failed::Unreadable(_)) => {
                self.remove_rows(id)?;
                return Ok(None);
            }
            Ok(None) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        read(self.owners).remove(&session, &mut self.changes);
        self.remove_rows(id)?;
        Ok(Some(session))
    }

    fn remove_rows(&mut self, id: SessionId) -> Result<(), Failed> {
        self.tables.sessions.remove(id.as_bytes())?;
        self.tables.usage.remove(id.as_bytes())?;
        Ok(())
    }

    fn end(&mut self, id: SessionId, now: Timestamp) -> Result<(), Failed> {
        match self.remove(id)?.and_then(|session| session.end(now)) {
            Some(entry) => self.note(entry, now),
            None => Ok(()),
        }
    }

    /// Writes an entry, in place of an earlier one of its target.
    fn note(&mut self, entry: Entry, now: Timestamp) -> Result<(), Failed> {
        let key = key_of(&entry.target);
        let entry = match self.tables.entry_at(&key)? {
            Some((place, earlier)) => {
                self.tables.feed.remove(place)?;
                entry.and(&earlier, now)
            }
            None => entry,
        };
        self.sequence += 1;
        let record = record::of_entry(&entry);
        self.tables.feed.insert(self.sequence, &key[..])?;
        self.tables.revoked.insert(&key[..], (self.sequence, &record[..]))?;
        Ok(())
    }
}

/// Refuses what could not be read back, and would stop whoever reads its neighbours.
fn check_length(record: &[u8]) -> Result<(), Failed> {
    if record.len() <= record::LONGEST { Ok(()) } else { Err(SessionError::Full.into()) }
}

/// The index, to look.
pub(super) fn read(owners: &RwLock<Owners>) -> RwLockReadGuard<'_, Owners> {
    owners.read().unwrap_or_else(PoisonError::into_inner)
}

/// The index, to change it.
pub(super) fn write(owners: &RwLock<Owners>) -> RwLockWriteGuard<'_, Owners> {
    owners.write().unwrap_or_else(PoisonError::into_inner)
}
