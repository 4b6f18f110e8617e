//! When the audit log is signed, what a checkpoint says, and whether one that is shown was signed by a known key.
//!
//! A checkpoint covers every record up to its own place by one hash. Whoever has it can tell whether the
//! log was changed since, also by whoever runs the server: unless they have the signing key as well.

use countersign_sdk::key::Algorithm;
use countersign_sdk::resource::{IssuerKeys, verify_jws};
use countersign_sdk::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::context::{Context, audit_refusal};
use crate::audit::Event;
use crate::audit::event::Checkpoint;
use crate::audit::record::Hash;
use crate::audit::verify::Covered;
use crate::model::reason::{Reason, Refusal};
use crate::token::jws;

/// The `typ` of a checkpoint's header.
const TYPE: &str = "countersign-checkpoint+jwt";

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// After so many records.
    pub records: u64,
    /// After so many seconds, if there is a new record.
    pub seconds: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    iat: Timestamp,
    seq: u64,
    hash: Hash,
    /// What the checkpoint before this one covers.
    after: Place,
    /// The hash of the log's first record.
    begins: Hash,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    seq: u64,
    hash: Hash,
}

/// What a checkpoint says whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The issuer.
    pub issuer: String,
    /// When it was signed.
    pub at: Timestamp,
    /// What it covers.
    pub covers: Covered,
    /// What the checkpoint before it covers.
    pub after: Covered,
    /// The hash of the log's first record.
    pub begins: Hash,
    /// The key, by its name in the header.
    pub kid: String,
}

/// Signs the log if that is due.
///
/// # Errors
/// [`Refusal`] when the key does not sign or the log cannot be written.
pub async fn when_due(context: &Context, due: Due) -> Result<(), Refusal> {
    let (head, now) = (context.audit.head(), context.now());
    // A checkpoint is a record too; alone it makes no other one due.
    if head.seq == head.checkpoint {
        return Ok(());
    }
    let many = head.seq.saturating_sub(head.covered) >= due.records;
    // A clock that was set back waits for nothing.
    let long = now.since(head.checkpoint_at) >= due.seconds || now < head.checkpoint_at;
    if many || long { make(context).await } else { Ok(()) }
}

/// Signs the log as it is now.
///
/// # Errors
/// As [`when_due`].
pub async fn make(context: &Context) -> Result<(), Refusal> {
    let (head, now) = (context.audit.head(), context.now());
    let iss = context.issuer.url.clone();
    let after = Place { seq: head.covered, hash: head.covered_hash };
    let (seq, hash, begins) = (head.seq, head.hash, head.begins);
    let claims = Claims { iss, iat: now, seq, hash, after, begins };
    let key = context.keyring.active(now);
    let jws = jws::sign(&key, TYPE, &claims)?;
    let public = serde_json::to_value(key.public().to_jwk())
        .map_err(|error| Refusal::new(Reason::ServerError, error.to_string()))?;
    let event = Event::Checkpoint(Checkpoint { upto: head.seq, hash, jws, key: public });
    context.audit.keep(event, now).await.map_err(audit_refusal)
}

/// Reads a checkpoint and verifies it with `keys`.
///
/// # Errors
/// A sentence that says why it does not hold.
pub fn read(jws: &str, keys: &IssuerKeys) -> Result<Signed, String> {
    let algorithms = [Algorithm::EdDsa, Algorithm::Es256];
    let payload = verify_jws(jws, keys, &algorithms).map_err(|error| error.to_string())?;
    let header = jws.split('.').next().unwrap_or_default();
    let header: Header = decoded(header)
        .and_then(|header| serde_json::from_slice(&header).ok())
        .ok_or("its header cannot be read")?;
    if header.typ != TYPE {
        return Err("it is a signed document of another kind".to_owned());
    }
    let claims: Claims =
        serde_json::from_slice(&payload).map_err(|_| "it does not say what a checkpoint says")?;
    let covers = Covered { seq: claims.seq, hash: claims.hash };
    let after = Covered { seq: claims.after.seq, hash: claims.after.hash };
    let (issuer, at, begins) = (claims.iss, claims.iat, claims.begins);
    Ok(Signed { issuer, at, covers, after, begins, kid: header.kid })
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    kid: String,
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok()
}
