//! The proof of one sign-in: its record, the leaves after it up to a checkpoint, and the checkpoint's key.
//!
//! One JSON file that needs no server and no log. Of the other records it shows nothing but hashes.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chain::{Fault, Walk};
use super::event::{Checkpoint, Event};
use super::evidence::SignIn;
use super::folder::{self, OpenError};
use super::record::{Hash, Record};

/// What the file says that it is.
pub const KIND: &str = "countersign-proof-1";
/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 16 * 1024 * 1024;
/// The most leaves of one proof: each takes 46 bytes of the file, beside a record and a checkpoint.
const MOST_LEAVES: usize = 350_000;

/// A proof file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// [`KIND`].
    pub kind: String,
    /// The record of the sign-in.
    pub record: Record,
    /// The leaves of the records after it, up to the one that the checkpoint covers.
    pub leaves: Vec<Hash>,
    /// The checkpoint, a JWS.
    pub checkpoint: String,
    /// The public key (RFC 7517) that signed the checkpoint.
    pub key: Value,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The log is not what was written.
    #[error("{0}")]
    Fault(Fault),
    /// No sign-in gave this token.
    #[error("the log has no sign-in of this jti")]
    Unknown,
    /// It is not covered yet.
    #[error(
        "no checkpoint covers the sign-in yet; the server makes one within audit.checkpoint_seconds"
    )]
    Uncovered,
    /// A proof of it would be larger than any that is read.
    #[error(
        "more than {MOST_LEAVES} records stand between the sign-in and the first checkpoint that covers it: too many \
         for a proof"
    )]
    TooFar,
    /// The file is no proof.
    #[error("the file is not a proof: {0}")]
    Malformed(&'static str),
    /// The chain does not lead to the checkpoint.
    #[error("the record does not lead to the checkpoint: it was changed, or is of another log")]
    Chain,
}

/// A sign-in found in a log, with what leads to its checkpoint.
#[derive(Clone, Debug)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// The leaves after it.
    pub leaves: Vec<Hash>,
    /// The checkpoint, with the key that signed it.
    pub checkpoint: Checkpoint,
}

/// Finds the sign-in that gave the token `jti`, and the first checkpoint that covers it.
///
/// # Errors
/// [`ProofError`].
pub fn find(folder: &Path, jti: &str) -> Result<Found, ProofError> {
    let segments = folder::segments(folder)?;
    let (mut walk, mut search) = (Walk::default(), Search { jti, found: None, checkpoint: None });
    for (place, segment) in segments.iter().enumerate() {
        let is_last = place + 1 == segments.len();
        walk.over(segment, is_last, &mut |record| {
            search.see(record);
            Ok(())
        })
        .map_err(ProofError::Fault)?;
        if search.checkpoint.is_some() {
            break;
        }
    }
    match (search.found, search.checkpoint) {
        (None, _) => Err(ProofError::Unknown),
        (Some(_), None) => Err(ProofError::Uncovered),
        (Some((_, leaves)), Some(_)) if leaves.len() > MOST_LEAVES => Err(ProofError::TooFar),
        (Some((record, leaves)), Some(checkpoint)) => Ok(Found { record, leaves, checkpoint }),
    }
}

struct Search<'a> {
    jti: &'a str,
    found: Option<(Record, Vec<Hash>)>,
    checkpoint: Option<Checkpoint>,
}

impl Search<'_> {
    fn see(&mut self, record: &Record) {
        if self.checkpoint.is_some() {
            return;
        }
        let Some((found, leaves)) = &mut self.found else {
            if sign_in_of(record).is_some_and(|sign_in| sign_in.token.jti == self.jti) {
                self.found = Some((record.clone(), Vec::new()));
            }
            return;
        };
        if let Some(Event::Checkpoint(checkpoint)) = record.event()
            && checkpoint.upto >= found.seq
        {
            // Records that came between the signature and its record are not covered by it.
            let after = usize::try_from(checkpoint.upto.saturating_sub(found.seq));
            leaves.truncate(after.unwrap_or(usize::MAX));
            self.checkpoint = Some(checkpoint);
            return;
        }
        leaves.push(record.leaf());
    }
}

/// The sign-in that a record tells of.
pub fn sign_in_of(record: &Record) -> Option<SignIn> {
    match record.event() {
        Some(Event::SignIn(sign_in)) => Some(*sign_in),
        Some(_) | None => None,
    }
}

impl Proof {
    /// Of what was found.
    pub fn of(found: Found) -> Self {
        let Found { record, leaves, checkpoint } = found;
        let (checkpoint, key) = (checkpoint.jws, checkpoint.key);
        Self { kind: KIND.to_owned(), record, leaves, checkpoint, key }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > MAX_FILE {
            return Err(ProofError::Malformed("it is too large"));
        }
        let proof: Self = serde_json::from_slice(bytes)
            .map_err(|_| ProofError::Malformed("it is not the JSON of one"))?;
        if proof.kind != KIND {
            return Err(ProofError::Malformed("its kind is another one"));
        }
        if proof.leaves.len() > MOST_LEAVES {
            return Err(ProofError::Malformed("it has too many leaves"));
        }
        Ok(proof)
    }

    /// The place and hash that the checkpoint must have, computed from the record and the leaves.
    ///
    /// # Errors
    /// [`ProofError::Chain`] when the record's own hash is another one.
    pub fn leads_to(&self) -> Result<(u64, Hash), ProofError> {
        let hash = self.record.prev.then(self.record.leaf());
        if hash != self.record.hash {
            return Err(ProofError::Chain);
        }
        let end = self.leaves.iter().fold(hash, |hash, leaf| hash.then(*leaf));
        Ok((self.record.seq.saturating_add(self.leaves.len() as u64), end))
    }
}

#[cfg(test)]
mod tests {
    use countersign_sdk::time::Timestamp;

    use super::super::record::MAX_LINE;
    use super::super::tests::refused;
    use super::*;

    #[test]
    fn the_longest_proof_that_is_written_is_read() {
        let record = Record::of(1, Timestamp::default(), Hash::BEGINNING, &refused("a:b:c"));
        let proof = Proof {
            kind: KIND.to_owned(),
            record: record.unwrap(),
            leaves: vec![Hash::BEGINNING; MOST_LEAVES],
            checkpoint: "x".repeat(16 * 1024),
            key: Value::Null,
        };
        let text = serde_json::to_vec(&proof).unwrap();
        assert!(text.len() + MAX_LINE < MAX_FILE, "{}", text.len());
        assert!(Proof::read(&text).is_ok());
    }
}
