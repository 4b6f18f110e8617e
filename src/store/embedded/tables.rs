//! The tables of the file: what is kept under which key, and how it is looked up in a transaction of either kind.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | a name | [`SCHEMA`], [`LIFE`], [`SECRET`], [`SEQUENCE`] |
//! | `sessions` | session id, which begins with the second of its making | its record, with its usage when that was written |
//! | `usage` | session id | its generation, when that began, when it was last used: in place of what the record says, once it was used |
//! | `revoked` | what is revoked | its place in the sequence, its record |
//! | `feed` | place in the sequence | the key in `revoked`, for as long as it must be published |

use aws_lc_rs::digest::{SHA256, digest};
use countersign_sdk::time::Timestamp;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition};

use super::failed::Failed;
use super::record;
use crate::model::revocation::{Entry, Target};
use crate::model::session::{Session, SessionId, Usage};

type Id = &'static [u8; 16];
type Bytes = &'static [u8];
type PlacedBytes = (u64, Bytes);
/// Generation, `rotated_at`, `last_used_at`.
type Used = (u32, u64, u64);

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const SESSIONS: TableDefinition<'_, Id, Bytes> = TableDefinition::new("sessions");
/// Short rows, so that those of many sessions lie in one page: they are all that a rotation writes.
pub(super) const USAGE: TableDefinition<'_, Id, Used> = TableDefinition::new("usage");
pub(super) const REVOKED: TableDefinition<'_, Bytes, PlacedBytes> = TableDefinition::new("revoked");
pub(super) const FEED: TableDefinition<'_, u64, Bytes> = TableDefinition::new("feed");

/// In `meta`: the version of this layout, `u32`, big-endian as all numbers there.
pub(super) const SCHEMA: &str = "schema";
/// In `meta`: the name of this sequence of revocations, 8 bytes.
pub(super) const LIFE: &str = "life";
/// In `meta`: what refresh tokens are derived from, 32 bytes.
pub(super) const SECRET: &str = "session_secret";
/// In `meta`: the place of the last revocation, `u64`.
pub(super) const SEQUENCE: &str = "sequence";

/// The tables of the verbs, of one transaction.
pub(super) struct Tables<S, U, R, F> {
    pub(super) sessions: S,
    pub(super) usage: U,
    pub(super) revoked: R,
    pub(super) feed: F,
}

/// As a snapshot has them.
pub(super) type ReadTables = Tables<
    ReadOnlyTable<Id, Bytes>,
    ReadOnlyTable<Id, Used>,
    ReadOnlyTable<Bytes, PlacedBytes>,
    ReadOnlyTable<u64, Bytes>,
>;

/// As they are written.
pub(super) type WriteTables<'t> = Tables<
    Table<'t, Id, Bytes>,
    Table<'t, Id, Used>,
    Table<'t, Bytes, PlacedBytes>,
    Table<'t, u64, Bytes>,
>;

impl ReadTables {
    pub(super) fn of(snapshot: &ReadTransaction) -> Result<Self, Failed> {
        Ok(Self {
            sessions: snapshot.open_table(SESSIONS)?,
            usage: snapshot.open_table(USAGE)?,
            revoked: snapshot.open_table(REVOKED)?,
            feed: snapshot.open_table(FEED)?,
        })
    }
}

impl<'t> WriteTables<'t> {
    /// The tables, made where they are missing.
    pub(super) fn of(transaction: &'t redb::WriteTransaction) -> Result<Self, Failed> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            usage: transaction.open_table(USAGE)?,
            revoked: transaction.open_table(REVOKED)?,
            feed: transaction.open_table(FEED)?,
        })
    }
}

/// The key in `revoked`: its kind, and its name or what stands for it.
pub(super) fn key_of(target: &Target) -> Vec<u8> {
    let (kind, name) = match target {
        Target::Token(jti) => (b't', digest(&SHA256, jti.as_bytes()).as_ref().to_vec()),
        Target::Session(id) => (b's', id.as_bytes().to_vec()),
        Target::Key(jkt) => (b'k', jkt.as_bytes().to_vec()),
        Target::Subject(subject) => (b'u', digest(&SHA256, subject.as_bytes()).as_ref().to_vec()),
        Target::Everything => (b'e', Vec::new()),
    };
    [&[kind], &name[..]].concat()
}

/// The session as it is kept, whether it is over or not.
pub(super) fn kept(
    sessions: &impl ReadableTable<Id, Bytes>,
    usage: &impl ReadableTable<Id, Used>,
    id: SessionId,
) -> Result<Option<Session>, Failed> {
    let Some(record) = sessions.get(id.as_bytes())? else { return Ok(None) };
    let opened = record::session(id, record.value())?;
    let usage = used(usage, id)?.unwrap_or(opened.usage);
    Ok(Some(Session { usage, ..opened }))
}

/// What the use of a session has made of it, where that is not what its record says.
pub(super) fn used(
    usage: &impl ReadableTable<Id, Used>,
    id: SessionId,
) -> Result<Option<Usage>, Failed> {
    let found = usage.get(id.as_bytes())?;
    Ok(found.map(|found| {
        let (generation, rotated_at, last_used_at) = found.value();
        let [rotated_at, last_used_at] = [rotated_at, last_used_at].map(Timestamp::from_unix);
        Usage { generation, rotated_at, last_used_at }
    }))
}

impl<S, U, R, F> Tables<S, U, R, F>
where
    S: ReadableTable<Id, Bytes>,
    U: ReadableTable<Id, Used>,
    R: ReadableTable<Bytes, PlacedBytes>,
    F: ReadableTable<u64, Bytes>,
{
    /// The session as it is kept, whether it is over or not.
    pub(super) fn kept(&self, id: SessionId) -> Result<Option<Session>, Failed> {
        kept(&self.sessions, &self.usage, id)
    }

    /// Whether what began at `beginning` is revoked by the entry of one of `targets`.
    pub(super) fn touches(&self, targets: &[Target], beginning: Timestamp) -> Result<bool, Failed> {
        for target in targets {
            if self.entry(target)?.is_some_and(|(_, entry)| entry.touches(beginning)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The entry of a target, with its place.
    pub(super) fn entry(&self, target: &Target) -> Result<Option<(u64, Entry)>, Failed> {
        self.entry_at(&key_of(target))
    }

    pub(super) fn entry_at(&self, key: &[u8]) -> Result<Option<(u64, Entry)>, Failed> {
        let Some(found) = self.revoked.get(key)? else { return Ok(None) };
        let (place, record) = found.value();
        Ok(Some((place, record::entry(record)?)))
    }

    /// Those of `names` that are sessions of the owner meant and not over.
    pub(super) fn live_among(
        &self,
        is_owned: impl Fn(&Session) -> bool,
        names: Vec<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<Session>, Failed> {
        let mut live = Vec::with_capacity(names.len());
        for id in names {
            if let Some(session) = self.kept(id)?
                // The index knows an owner by its hash, and names more than there are.
                && is_owned(&session)
                && !session.is_over(now)
            {
                live.push(session);
            }
        }
        Ok(live)
    }
}
