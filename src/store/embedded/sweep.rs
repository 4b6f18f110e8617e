//! Clean-up walks the tables a step at a time, so that no sign-in waits for it long.
//!
//! A step reads some neighbours from a snapshot, beside the writer, and has the writer remove what is
//! over, a few hundred in a transaction that it shares with whatever else is asked. The next step goes
//! on behind, and after the last record from the beginning. What is over decides nothing meanwhile:
//! every verb looks at the clock itself.

use countersign_sdk::time::Timestamp;
use redb::ReadableTable as _;

use super::EmbeddedStore;
use super::failed::Failed;
use super::record;
use super::tables::ReadTables;
use super::verbs::Over;
use super::writer::Verb;
use crate::model::session::SessionId;
use crate::store::SessionError;

/// Records of each table that a step reads at most.
const READ: usize = 10_000;
/// Of each table, how many it removes at most.
const REMOVED: usize = 250;
/// Steps of one sweep that are made whether something is found or not.
const STEPS: usize = 8;

/// Where the next step begins.
#[derive(Debug, Default)]
pub(super) struct Walk {
    sessions: [u8; 16],
    revoked: Vec<u8>,
}

/// What a step found, and where it stopped; None at the end of a table.
struct Step {
    over: Over,
    sessions: Option<[u8; 16]>,
    revoked: Option<Vec<u8>>,
}

/// Some steps, and as many more as find plenty.
pub(super) async fn sweep(store: &EmbeddedStore, walk: &mut Walk, now: Timestamp) {
    for done in 1.. {
        let (step, from) = (look(store, walk, now), (walk.sessions, walk.revoked.clone()));
        let Ok(step) = step else { return };
        let found = [step.over.sessions.len(), step.over.revoked.len(), step.over.feed.len()];
        let plenty = found.contains(&REMOVED);
        let at_end = step.sessions.is_none() && step.revoked.is_none();
        if found.iter().any(|found| *found > 0)
            && store.write(Verb::Forget(step.over), now).await.is_err()
        {
            (walk.sessions, walk.revoked) = from;
            return;
        }
        walk.sessions = step.sessions.unwrap_or_default();
        walk.revoked = step.revoked.unwrap_or_default();
        if !plenty && (at_end || done >= STEPS) {
            return;
        }
    }
}

fn look(store: &EmbeddedStore, walk: &Walk, now: Timestamp) -> Result<Step, SessionError> {
    store.reader().read(|tables| {
        let (sessions, next_session) = sessions(tables, &walk.sessions, now)?;
        let (revoked, next_revoked) = revoked(tables, &walk.revoked, now)?;
        let feed = feed(tables, now)?;
        let over = Over { sessions, revoked, feed };
        Ok(Step { over, sessions: next_session, revoked: next_revoked })
    })
}

type Found<T, N> = (Vec<T>, Option<N>);

fn sessions(
    tables: &ReadTables,
    from: &[u8; 16],
    now: Timestamp,
) -> Result<Found<SessionId, [u8; 16]>, Failed> {
    let mut over = Vec::new();
    for (read, found) in tables.sessions.range::<&[u8; 16]>(from..)?.enumerate() {
        let (key, record) = found?;
        if read == READ || over.len() == REMOVED {
            return Ok((over, Some(*key.value())));
        }
        let id = SessionId::from_bytes(*key.value());
        // One that cannot be read is left to `store check`.
        let Ok(session) = record::session(id, record.value()) else { continue };
        if session.is_over(now) {
            over.push(id);
        }
    }
    Ok((over, None))
}

fn revoked(
    tables: &ReadTables,
    from: &[u8],
    now: Timestamp,
) -> Result<Found<Vec<u8>, Vec<u8>>, Failed> {
    let mut over = Vec::new();
    for (read, found) in tables.revoked.range::<&[u8]>(from..)?.enumerate() {
        let (key, placed) = found?;
        if read == READ || over.len() == REMOVED {
            return Ok((over, Some(key.value().to_vec())));
        }
        if record::entry(placed.value().1).is_ok_and(|entry| !entry.is_live(now)) {
            over.push(key.value().to_vec());
        }
    }
    Ok((over, None))
}

/// The feed is in the order of time: what need not be published any more stands first.
fn feed(tables: &ReadTables, now: Timestamp) -> Result<Vec<u64>, Failed> {
    let mut over = Vec::new();
    for found in tables.feed.iter()?.take(READ) {
        let (place, key) = found?;
        if over.len() == REMOVED {
            break;
        }
        let entry = tables.entry_at(key.value())?;
        if entry.is_none_or(|(at, entry)| at != place.value() || !entry.is_live(now)) {
            over.push(place.value());
        }
    }
    Ok(over)
}
