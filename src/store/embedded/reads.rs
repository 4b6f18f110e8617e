//! What is read of the last flushed state, beside the writer and never waiting for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::failed::Failed;
use super::record;
use super::schema;
use super::tables::{REVOKED, ReadTables, SESSIONS, USAGE, kept, key_of};
use super::verbs;
use super::writer::Shared;
use crate::model::revocation::Target;
use crate::model::session::{Session, SessionId};
use crate::store::{KeptSession, Page, Place, SessionError};

/// Reads the store.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) life: [u8; 8],
}

impl Reader {
    pub(super) fn session(
        &self,
        id: SessionId,
        now: Timestamp,
    ) -> Result<KeptSession, SessionError> {
        // These tables alone: each that is opened is looked up first.
        self.read_from(|snapshot| {
            let (sessions, usage) = (snapshot.open_table(SESSIONS)?, snapshot.open_table(USAGE)?);
            match kept(&sessions, &usage, id)? {
                Some(session) if !session.is_over(now) => Ok(KeptSession::assertion(session)),
                Some(_) | None => Err(SessionError::Ended.into()),
            }
        })
    }

    pub(super) fn sessions_of(
        &self,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError> {
        let owner = Target::Subject(subject.to_owned());
        // Before the snapshot is taken: whoever comes into the index later was opened later.
        let names = verbs::read(&self.shared.owners).names_of(&owner);
        self.read(|tables| tables.live_among(|session| session.subject == subject, names, now))
    }

    pub(super) fn sessions_by_key(
        &self,
        key: Thumbprint,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError> {
        let names = verbs::read(&self.shared.owners).names_of(&Target::Key(key));
        self.read(|tables| tables.live_among(|session| session.is_of_key(key), names, now))
    }

    pub(super) fn touches(
        &self,
        targets: &[Target],
        beginning: Timestamp,
    ) -> Result<bool, SessionError> {
        self.read_from(|snapshot| {
            let revoked = snapshot.open_table(REVOKED)?;
            for target in targets {
                if let Some(placed) = revoked.get(&key_of(target)[..])?
                    && record::entry(placed.value().1)?.touches(beginning)
                {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    pub(super) fn revocations(
        &self,
        after: Option<Place>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, SessionError> {
        self.read_from(|snapshot| {
            // Of the same state as the entries: one that moved to the end since an earlier state would be
            // neither in its old place nor before that state's end.
            let last = schema::sequence(snapshot)?;
            let known = after.filter(|place| place.life == self.life && place.sequence <= last);
            let from = known.map_or(0, |place| place.sequence).saturating_add(1);
            let tables = ReadTables::of(snapshot)?;
            let (mut entries, mut reached) = (Vec::new(), last);
            let mut more = false;
            for found in tables.feed.range(from..=last)? {
                let (place, key) = found?;
                let Some((_, entry)) = tables.entry_at(key.value())? else { continue };
                if !entry.is_live(now) {
                    continue;
                }
                if entries.len() == limit {
                    more = true;
                    break;
                }
                entries.push(entry);
                reached = place.value();
            }
            let sequence = if more { reached } else { last };
            Ok(Page { entries, next: Place { life: self.life, sequence }, more })
        })
    }

    /// Reads from one snapshot.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&ReadTables) -> Result<T, Failed>,
    ) -> Result<T, SessionError> {
        self.read_from(|snapshot| look(&ReadTables::of(snapshot)?))
    }

    fn read_from<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, Failed>,
    ) -> Result<T, SessionError> {
        let database = self.shared.database().ok_or(SessionError::Unavailable)?;
        // As for the writer: a page that nobody wrote makes the library panic at worst.
        // Nor is it let go of elsewhere: this may be the last who has a handle that is broken.
        let read = catch_unwind(AssertUnwindSafe(move || snapshot(&database, look)));
        match read.unwrap_or(Err(Failed::Panicked)) {
            Ok(found) => Ok(found),
            Err(Failed::Refused(refusal)) => Err(refusal),
            Err(fault @ (Failed::Unreadable(_) | Failed::Broken(_) | Failed::Panicked)) => {
                tracing::error!(%fault, "the store cannot be read; run `countersign store check`");
                Err(SessionError::Unavailable)
            }
        }
    }
}

fn snapshot<T>(
    database: &Database,
    look: impl FnOnce(&ReadTransaction) -> Result<T, Failed>,
) -> Result<T, Failed> {
    look(&database.begin_read()?)
}
