//! Which layout a file has, how an older one becomes the present one, and which store it is.
//!
//! A layout that this program does not know is refused, never guessed. Each step from one version to
//! the next is a function in [`MIGRATIONS`], and all steps that a file needs are one transaction.

use countersign_sdk::entropy::Entropy;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable,
    TableDefinition, TableError, WriteTransaction,
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::failed::Failed;
use super::file::OpenError;
use super::tables::{LIFE, META, SCHEMA, SECRET, SEQUENCE, USAGE, WriteTables};
use super::writer::begin;
use crate::store::SessionSecret;

/// The layout that is written.
const PRESENT: u32 = 4;

/// Leads from a layout to the next.
type Step = fn(&WriteTransaction) -> Result<(), Failed>;

/// The first from 0 to 1, and so on. Layout 1 had an index of subjects and keys beside layout 0; in layout 3
/// a session may hold what a contract signed by, which programs before it cannot read; in layout 4 the usage
/// of a session lies beside its record, as far as it goes beyond what stands there.
const MIGRATIONS: &[Step] = &[|_| Ok(()), drop_owners, |_| Ok(()), add_usage];

/// What a store is, beside what lies in it.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The name of its sequence of revocations.
    pub(super) life: [u8; 8],
    /// What its refresh tokens are derived from.
    pub(super) secret: SessionSecret,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.life == other.life && bool::from(self.secret.expose().ct_eq(other.secret.expose()))
    }
}

/// Makes an empty file a store.
///
/// # Errors
/// [`OpenError`].
pub(super) fn found(database: &Database, entropy: &dyn Entropy) -> Result<(), OpenError> {
    let mut life = [0; 8];
    entropy.fill(&mut life)?;
    let secret = SessionSecret::generate(entropy)?;
    let transaction = begin(database)?;
    write_identity(&transaction, &Identity { life, secret })?;
    write_sequence(&transaction, 0)?;
    WriteTables::of(&transaction)?;
    Ok(transaction.commit().map_err(Failed::from)?)
}

/// Writes which store this is, and that it has the present layout.
pub(super) fn write_identity(
    transaction: &WriteTransaction,
    identity: &Identity,
) -> Result<(), Failed> {
    let mut meta = transaction.open_table(META)?;
    meta.insert(SCHEMA, &PRESENT.to_be_bytes()[..])?;
    meta.insert(LIFE, &identity.life[..])?;
    meta.insert(SECRET, &identity.secret.expose()[..])?;
    Ok(())
}

/// Writes how far the sequence of revocations has come.
pub(super) fn write_sequence(transaction: &WriteTransaction, sequence: u64) -> Result<(), Failed> {
    transaction.open_table(META)?.insert(SEQUENCE, &sequence.to_be_bytes()[..])?;
    Ok(())
}

/// Which store this is, and how far its revocations have come.
///
/// # Errors
/// [`OpenError::Foreign`] when it is none of ours.
pub(super) fn identity(database: &Database) -> Result<(Identity, u64), OpenError> {
    let snapshot = database.begin_read().map_err(Failed::from)?;
    let meta = meta(&snapshot)?;
    let secret = Zeroizing::new(value(&meta, SECRET)?);
    let identity =
        Identity { life: value(&meta, LIFE)?, secret: SessionSecret::from_bytes(secret) };
    Ok((identity, u64::from_be_bytes(value(&meta, SEQUENCE)?)))
}

/// How far the revocations of a snapshot of an open store have come.
pub(super) fn sequence(snapshot: &ReadTransaction) -> Result<u64, Failed> {
    let found = snapshot.open_table(META)?.get(SEQUENCE)?;
    let bytes = found.and_then(|value| value.value().try_into().ok());
    // It was there when the store was opened.
    bytes.map(u64::from_be_bytes).ok_or(Failed::Panicked)
}

fn meta(
    snapshot: &ReadTransaction,
) -> Result<ReadOnlyTable<&'static str, &'static [u8]>, OpenError> {
    match snapshot.open_table(META) {
        Ok(meta) => Ok(meta),
        Err(TableError::Storage(error)) => Err(Failed::from(error).into()),
        Err(_) => Err(OpenError::Foreign),
    }
}

fn value<const N: usize>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<[u8; N], OpenError> {
    let found = meta.get(name).map_err(Failed::from)?.ok_or(OpenError::Foreign)?;
    found.value().try_into().map_err(|_| OpenError::Foreign)
}

/// Brings a file to the present layout; gives the version that it had.
///
/// # Errors
/// [`OpenError::Newer`] for one that a later program wrote, [`OpenError::Foreign`] for what is no store.
pub(super) fn migrate(database: &Database) -> Result<u32, OpenError> {
    let snapshot = database.begin_read().map_err(Failed::from)?;
    let meta = meta(&snapshot)?;
    let version = u32::from_be_bytes(value(&meta, SCHEMA)?);
    drop((meta, snapshot));
    if version > PRESENT {
        return Err(OpenError::Newer { found: version, known: PRESENT });
    }
    let steps = MIGRATIONS.get(version as usize..).unwrap_or_default();
    if !steps.is_empty() {
        let transaction = begin(database)?;
        for step in steps {
            step(&transaction)?;
        }
        let mut meta = transaction.open_table(META).map_err(Failed::from)?;
        meta.insert(SCHEMA, &PRESENT.to_be_bytes()[..]).map_err(Failed::from)?;
        drop(meta);
        transaction.commit().map_err(Failed::from)?;
    }
    Ok(version)
}

/// From 1 to 2: the index of subjects and keys lies in memory.
fn drop_owners(transaction: &WriteTransaction) -> Result<(), Failed> {
    transaction.delete_table(TableDefinition::<&[u8; 32], ()>::new("by_owner"))?;
    Ok(())
}

/// From 3 to 4: the usage in the records is that of this moment, and no row says more.
fn add_usage(transaction: &WriteTransaction) -> Result<(), Failed> {
    transaction.open_table(USAGE)?;
    Ok(())
}
