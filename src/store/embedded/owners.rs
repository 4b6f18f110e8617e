//! Which sessions a subject or a key has: an index in memory, made of the file's sessions whenever it is opened.
//!
//! It names at least every session of the flushed state and of the transaction under way, and for a
//! moment it may name more: whoever looks a name up compares what the record says. So no reader
//! misses a session, and a transaction that comes to nothing takes nothing out.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::failed::Failed;
use super::record;
use super::tables::SESSIONS;
use crate::model::revocation::Target;
use crate::model::session::{Session, SessionId};

/// The keyed hash of an owner, and the session.
type Named = (u64, [u8; 16]);

/// The index.
#[derive(Debug, Default)]
pub(super) struct Owners {
    hashes: RandomState,
    names: BTreeSet<Named>,
}

/// What a transaction makes of the index: added at once, removed when it is flushed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    added: Vec<Named>,
    removed: Vec<Named>,
}

impl Owners {
    /// The index of what is in the file. A record that cannot be read is nobody's, and left to `store check`.
    pub(super) fn of(database: &Database) -> Result<Self, Failed> {
        let (hashes, mut names) = (RandomState::new(), Vec::new());
        for found in database.begin_read()?.open_table(SESSIONS)?.iter()? {
            let (id, record) = found?;
            let id = SessionId::from_bytes(*id.value());
            match record::session(id, record.value()) {
                Ok(session) => names.extend(named(&hashes, &session)),
                Err(unreadable) => {
                    tracing::error!(session = %id, %unreadable, "run `countersign store check`");
                }
            }
        }
        // Built at once from what is sorted, which is faster than one after the other.
        Ok(Self { hashes, names: names.into_iter().collect() })
    }

    /// The names that may be of sessions of `owner`, the oldest first.
    pub(super) fn names_of(&self, owner: &Target) -> Vec<SessionId> {
        let owner = self.hashes.hash_one(owner);
        let range = self.names.range((owner, [0; 16])..=(owner, [0xff; 16]));
        range.map(|(_, id)| SessionId::from_bytes(*id)).collect()
    }

    /// Names a session that the transaction opens.
    pub(super) fn add(&mut self, session: &Session, changes: &mut Changes) {
        for named in named(&self.hashes, session) {
            self.names.insert(named);
            changes.added.push(named);
        }
    }

    /// Notes that the transaction removes a session.
    pub(super) fn remove(&self, session: &Session, changes: &mut Changes) {
        changes.removed.extend(named(&self.hashes, session));
    }

    /// Notes that the transaction removes every session.
    pub(super) fn remove_all(&self, changes: &mut Changes) {
        changes.removed.extend(&self.names);
    }

    /// The transaction was flushed.
    pub(super) fn flushed(&mut self, changes: &Changes) {
        self.forget(&changes.removed);
    }

    /// The transaction came to nothing.
    pub(super) fn undo(&mut self, changes: &Changes) {
        self.forget(&changes.added);
    }

    fn forget(&mut self, gone: &[Named]) {
        for named in gone {
            self.names.remove(named);
        }
    }
}

/// A session's entries: of its subject, and of each of its keys.
fn named(hashes: &RandomState, session: &Session) -> impl Iterator<Item = Named> {
    let owners = session.targets().into_iter().filter(|owner| *owner != Target::Everything);
    owners.map(|owner| (hashes.hash_one(&owner), *session.id.as_bytes()))
}
