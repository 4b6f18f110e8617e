//! A backup is a store file of its own, copied from one snapshot; what is restored is checked first and never merged.
//!
//! A restored store begins another life: places in its sequence of revocations mean something else
//! than before, so that whoever follows them starts over. Revocations that were made after the backup
//! are not in it. Whoever restores says whether everything of before shall end, or lives again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use countersign_sdk::entropy::Entropy;
use countersign_sdk::time::Timestamp;
use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::check::{self, Report};
use super::failed::Failed;
use super::file::{self, Folder, OpenError};
use super::owners::Changes;
use super::schema::{self, Identity};
use super::tables::{FEED, META, REVOKED, ReadTables, SESSIONS, USAGE, WriteTables};
use super::verbs::Writing;
use super::writer::begin;
use crate::model::revocation::Revocation;
use crate::store::{SessionBounds, SessionError};

/// Rows of a table that one transaction copies.
const CHUNK: usize = 20_000;

/// What restoring did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What is in the store now.
    pub report: Report,
    /// Where the store that was there lies now.
    pub kept_beside: Option<PathBuf>,
}

/// How to restore.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Whether a store that is there may be put aside.
    pub replace: bool,
    /// Whether sessions and tokens of before go on, those among them that were revoked since the backup.
    pub keep_sessions: bool,
}

/// Whether the file that is read for long is still one to read.
pub(super) type Believed<'a> = &'a dyn Fn() -> bool;

/// Writes the state of `database` as it is now to a new file.
///
/// # Errors
/// [`OpenError`]; nothing of the name `out` was written then.
pub(super) fn backup(
    database: &Database,
    out: &Path,
    believed: Believed<'_>,
) -> Result<(), OpenError> {
    let reach = |error| OpenError::Reach { path: out.to_owned(), error };
    if fs::symlink_metadata(out).is_ok() {
        return Err(OpenError::Exists(out.to_owned()));
    }
    let snapshot = database.begin_read().map_err(Failed::from)?;
    let unfinished = beside(out, "unfinished");
    let made = file::make(&unfinished, |copy| Ok(copy_all(&snapshot, copy, believed)?))
        // A link, since a rename would replace what came there meanwhile.
        .and_then(|()| fs::hard_link(&unfinished, out).map_err(reach));
    if matches!(made, Err(OpenError::Exists(_))) {
        // That one is not ours to remove.
        return made;
    }
    let removed = fs::remove_file(&unfinished);
    made?;
    removed.map_err(reach)?;
    file::sync_folder(file::folder_of(out))
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}"));
    PathBuf::from(name)
}

fn copy_all(
    snapshot: &ReadTransaction,
    copy: &Database,
    believed: Believed<'_>,
) -> Result<(), Failed> {
    copy_table(snapshot, copy, SESSIONS, believed)?;
    copy_table(snapshot, copy, USAGE, believed)?;
    copy_table(snapshot, copy, REVOKED, believed)?;
    copy_table(snapshot, copy, FEED, believed)?;
    // Last: a copy that ends early is no store.
    copy_table(snapshot, copy, META, believed)
}

fn copy_table<K: redb::Key, V: redb::Value>(
    snapshot: &ReadTransaction,
    copy: &Database,
    table: TableDefinition<'_, K, V>,
    believed: Believed<'_>,
) -> Result<(), Failed> {
    let from = snapshot.open_table(table)?;
    let mut rows = from.iter()?;
    let mut at_end = false;
    while !at_end {
        if !believed() {
            return Err(SessionError::Unavailable.into());
        }
        let transaction = begin(copy)?;
        let mut to = transaction.open_table(table)?;
        at_end = true;
        for row in rows.by_ref().take(CHUNK) {
            let (key, value) = row?;
            to.insert(key.value(), value.value())?;
            at_end = false;
        }
        drop(to);
        transaction.commit()?;
    }
    Ok(())
}

/// Checks what is in a store's tables.
pub(super) fn report(
    database: &Database,
    path: &Path,
    now: Timestamp,
    believed: Believed<'_>,
) -> Result<Report, OpenError> {
    let bytes = fs::metadata(path)
        .map_err(|error| OpenError::Reach { path: path.to_owned(), error })?
        .len();
    let snapshot = database.begin_read().map_err(Failed::from)?;
    let sequence = schema::sequence(&snapshot)?;
    Ok(check::check(&ReadTables::of(&snapshot)?, (sequence, bytes), now, believed)?)
}

/// Makes the backup `from` the store of `folder`. `from` itself is only read.
///
/// # Errors
/// [`OpenError`]; the folder is then as it was.
pub fn restore(
    folder: &Folder,
    from: &Path,
    terms: Terms,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Restored, OpenError> {
    let there = folder.has_store()?;
    if there && !terms.replace {
        return Err(OpenError::Occupied(folder.file()));
    }
    let unfinished = folder.unfinished()?;
    copy_file(from, &unfinished)?;
    let prepared = prepare(&unfinished, terms, now, entropy);
    let report = match prepared {
        Ok(report) => report,
        Err(error) => {
            let _ = fs::remove_file(&unfinished);
            return Err(error.about(&unfinished, from));
        }
    };
    let reach = |error| OpenError::Reach { path: folder.file(), error };
    let kept_beside = there.then(|| put_aside(&folder.file(), now)).transpose().map_err(reach)?;
    fs::rename(&unfinished, folder.file()).map_err(reach)?;
    file::sync_folder(folder.path())?;
    Ok(Restored { report, kept_beside })
}

/// Gives a file a second name: at no moment is there no store, in whose place a new one would be made.
fn put_aside(file: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let name = match number {
            0 => format!("replaced-{}", now.as_unix()),
            again => format!("replaced-{}-{again}", now.as_unix()),
        };
        let aside = beside(file, &name);
        match fs::hard_link(file, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<(), OpenError> {
    let reach = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Reach { path, error }
    };
    let mut source = File::open(from).map_err(reach(from))?;
    let mut options = OpenOptions::new();
    let mut target =
        options.write(true).create_new(true).mode(0o600).open(to).map_err(reach(to))?;
    io::copy(&mut source, &mut target).map_err(reach(to))?;
    target.sync_all().map_err(reach(to))
}

/// Checks the copy of a backup, and makes it a store of its own.
fn prepare(
    path: &Path,
    terms: Terms,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Report, OpenError> {
    let database = file::open(path)?;
    schema::migrate(&database)?;
    let (identity, sequence) = schema::identity(&database)?;
    let found = report(&database, path, now, &|| true)?;
    if found.faults > 0 {
        let problem = format!("has {} faults ({})", found.faults, found.first_faults.join("; "));
        return Err(OpenError::Damaged { path: path.to_owned(), problem });
    }
    let mut life = [0; 8];
    entropy.fill(&mut life)?;
    let transaction = begin(&database)?;
    schema::write_identity(&transaction, &Identity { life, ..identity })?;
    if !terms.keep_sessions {
        let tables = WriteTables::of(&transaction)?;
        // The bound is for requests; this one entry comes from whoever runs the server.
        let bounds =
            SessionBounds { total: usize::MAX, per_subject: usize::MAX, revocations: usize::MAX };
        let owners = RwLock::default();
        let changes = Changes::default();
        let mut writing = Writing { tables, owners: &owners, changes, sequence, bounds };
        writing.revoke(&Revocation::Everything, now)?;
        let sequence = writing.sequence;
        drop(writing);
        schema::write_sequence(&transaction, sequence)?;
    }
    transaction.commit().map_err(Failed::from)?;
    let report = report(&database, path, now, &|| true)?;
    database.close().map_err(Failed::from)?;
    Ok(report)
}
