//! How a record is written and chained: every byte of a line counts, and each line continues the one before.
//!
//! `leaf = SHA-256(0x00 ‖ seq ‖ time ‖ body)`, `hash = SHA-256(0x01 ‖ prev ‖ leaf)`; `seq` and `time` are 8
//! bytes, big-endian, `body` the bytes of the event's JSON as they stand in the line. So whoever has a
//! record, and of the records after it their leaves alone, can follow the chain to a signed hash.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::event::Event;

/// The longest line of a log, in bytes: a sign-in with the longest message and structure, escaped.
pub const MAX_LINE: usize = 256 * 1024;

/// A SHA-256 hash; base64url without padding in texts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first record continues.
    pub const BEGINNING: Self = Self([0; 32]);

    /// Of parts in a row.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        let mut hash = [0; 32];
        // A SHA-256 has 32 bytes, so both have one length.
        for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(hash)
    }

    /// The hash of a record that continues `self` and has this leaf.
    #[must_use]
    pub fn then(self, leaf: Self) -> Self {
        Self::of(&[&[1], &self.0, &leaf.0])
    }

    /// In hexadecimal.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 43 characters of base64url")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        if text.len() != 43 {
            return Err(NotAHash);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAHash)?;
        bytes.try_into().map(Self).map_err(|_| NotAHash)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The leaf of a record.
pub fn leaf(seq: u64, time: Timestamp, body: &str) -> Hash {
    let time = time.as_unix();
    Hash::of(&[&[0], &seq.to_be_bytes(), &time.to_be_bytes(), body.as_bytes()])
}

/// One record, as it stands in a line of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its place, from 1.
    pub seq: u64,
    /// When, by the server's clock.
    pub time: Timestamp,
    /// The hash of the record before.
    pub prev: Hash,
    /// The event, in the bytes that were hashed.
    pub body: Box<RawValue>,
    /// The hash of this record.
    pub hash: Hash,
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARecord {
    /// It is longer than any.
    #[error("the line is longer than a record can be")]
    TooLong,
    /// It is not the JSON of a record.
    #[error("the line is not a record")]
    Malformed,
    /// It says the same in other bytes than the server writes.
    #[error("the line is not written as the server writes it")]
    Spelling,
    /// Its hash is another one than it says.
    #[error("the record was changed: its hash is another one")]
    Changed,
}

impl Record {
    /// The record of an event that follows the record `seq - 1` with the hash `prev`.
    ///
    /// # Errors
    /// Of the JSON encoder.
    pub fn of(
        seq: u64,
        time: Timestamp,
        prev: Hash,
        event: &Event,
    ) -> Result<Self, serde_json::Error> {
        let body = serde_json::value::to_raw_value(event)?;
        let hash = prev.then(leaf(seq, time, body.get()));
        Ok(Self { seq, time, prev, body, hash })
    }

    /// Its line, without the line's end.
    pub fn line(&self) -> String {
        let Self { seq, time, prev, body, hash } = self;
        let time = time.as_unix();
        format!(
            r#"{{"seq":{seq},"time":{time},"prev":"{prev}","body":{body},"hash":"{hash}"}}"#,
            body = body.get()
        )
    }

    /// Reads a line, which must be written as [`line`](Self::line) writes it, and compares its hash.
    ///
    /// # Errors
    /// [`NotARecord`].
    pub fn read(line: &str) -> Result<Self, NotARecord> {
        if line.len() > MAX_LINE {
            return Err(NotARecord::TooLong);
        }
        let record: Self = serde_json::from_str(line).map_err(|_| NotARecord::Malformed)?;
        if record.line() != line {
            return Err(NotARecord::Spelling);
        }
        if record.prev.then(record.leaf()) != record.hash {
            return Err(NotARecord::Changed);
        }
        Ok(record)
    }

    /// Its leaf.
    pub fn leaf(&self) -> Hash {
        leaf(self.seq, self.time, self.body.get())
    }

    /// The event; `None` for one that a later version of this program wrote.
    pub fn event(&self) -> Option<Event> {
        serde_json::from_str(self.body.get()).ok()
    }
}
