//! A session is what a signed message opened: whose it is, for what, until when, and what it means to present one of its refresh tokens.
//!
//! Everything but its use is fixed when it is opened. Its refresh tokens are counted: one
//! generation is current, and what the others mean is decided here, once for every store
//! (protocol.md §6).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::{Entropy, EntropyError};
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds after a rotation within which the predecessor of an unbound session's refresh token
/// still gets the same successor. For bound sessions there is no such limit.
pub const BEARER_RETRY_WINDOW: u64 = 10;

/// A session's name: 16 bytes, 22 characters of base64url. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

/// The text is not 22 characters of base64url that decode to 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session's name is 22 characters of base64url without padding")]
pub struct SessionIdError;

impl SessionId {
    /// A new name: the second, and 96 random bits. Names that are made one after the other lie beside
    /// each other, so that a store on disk writes few pages for many of them.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        let seconds = u32::try_from(now.as_unix()).unwrap_or(u32::MAX).to_be_bytes();
        bytes.iter_mut().zip(seconds).for_each(|(byte, second)| *byte = second);
        Ok(Self(bytes))
    }

    /// The name of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        if text.len() != 22 {
            return Err(SessionIdError);
        }
        match URL_SAFE_NO_PAD.decode_slice_unchecked(text, &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(SessionIdError),
        }
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a contract account signed by, so that its chain can be asked about it again.
#[derive(Clone, PartialEq, Eq)]
pub struct ContractProof {
    /// The digest of the message.
    pub digest: [u8; 32],
    /// The signature as it was sent, with what ERC-6492 wraps around it.
    pub signature: Vec<u8>,
}

impl fmt::Debug for ContractProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContractProof")
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Whose it is: `sub`, a `did:pkh` or `did:key`.
    pub subject: String,
    /// The account that was signed for, CAIP-10 or `did:key`.
    pub account: String,
    /// The client: the message's domain.
    pub client_id: String,
    /// How the key was proven: the message format's name.
    pub method: String,
    /// The key that was proven; `None` for an account that is no key of its own.
    pub proven: Option<Thumbprint>,
    /// The same key as a `did:key`, from which its other names follow.
    pub proven_did: Option<String>,
    /// What was proven where a contract signed and no key.
    pub contract: Option<ContractProof>,
    /// The session key; `None` for a session that whoever holds its tokens can use.
    pub bound_to: Option<Thumbprint>,
    /// The resource that it opens.
    pub resource: String,
    /// The scopes that were signed for, with spaces between.
    pub scope: String,
    /// What the client calls the device.
    pub label: Option<String>,
    /// When the message was redeemed.
    pub created_at: Timestamp,
    /// The first second at which it is over.
    pub ends_at: Timestamp,
    /// What its use has made of it.
    pub usage: Usage,
}

/// What the use of a session changes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The number of its current refresh token; the first is 0.
    pub generation: u32,
    /// When that one became current.
    pub rotated_at: Timestamp,
    /// When it last gave a token.
    pub last_used_at: Timestamp,
}

/// What it means to present the refresh token of some generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is current: its successor becomes current.
    Advance {
        /// The successor's generation.
        to: u32,
    },
    /// It is the direct predecessor of the current one, whose answer was lost: the same successor again.
    Repeat,
    /// The request was made before the session moved on and held up on its way: nothing changes.
    Late,
    /// Somebody kept an old one: the session ends.
    Reuse,
}

impl Session {
    /// Whether it is over by itself.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends_at
    }
}

impl Usage {
    /// Of a session whose generation `generation` becomes current now; the first is 0.
    pub const fn begun(generation: u32, now: Timestamp) -> Self {
        Self { generation, rotated_at: now, last_used_at: now }
    }

    /// What presenting the refresh token of `generation` means now, of a session that is bound to
    /// a key or not, by a proof that was made at `proven_at`; `None` without a proof.
    pub fn turn(
        &self,
        is_bound: bool,
        generation: u32,
        proven_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Turn {
        let ahead = generation > self.generation && is_bound;
        if generation == self.generation || ahead {
            // A genuine token that is ahead of the record: the store was put back to an earlier state.
            // Its holder has proven the session key, and goes on.
            return match generation.checked_add(1) {
                Some(to) => Turn::Advance { to },
                None => Turn::Reuse,
            };
        }
        let direct = generation < self.generation && self.generation - generation == 1;
        let in_time = is_bound || now.since(self.rotated_at) <= BEARER_RETRY_WINDOW;
        if direct && in_time {
            Turn::Repeat
        } else if proven_at.is_some_and(|proven_at| proven_at < self.rotated_at) {
            Turn::Late
        } else {
            Turn::Reuse
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use countersign_sdk::entropy::OsEntropy;
    use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};

    use super::*;

    /// A session of `subject` that is opened at `now` and lasts an hour.
    pub(crate) fn session(subject: &str, bound: bool, now: Timestamp) -> Session {
        let key = || {
            let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
            signer.public_key().thumbprint()
        };
        Session {
            id: SessionId::generate(now, &OsEntropy).unwrap(),
            subject: subject.to_owned(),
            account: "eip155:1:0x1".to_owned(),
            client_id: "app.example".to_owned(),
            method: "siwe".to_owned(),
            proven: Some(key()),
            proven_did: Some(format!("did:key:{subject}")),
            contract: None,
            bound_to: bound.then(key),
            resource: "https://escrow.example".to_owned(),
            scope: "escrow:read".to_owned(),
            label: None,
            created_at: now,
            ends_at: now.plus(3600),
            usage: Usage::begun(0, now),
        }
    }

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    #[test]
    fn names_are_written_and_read_back() {
        let id = SessionId::generate(NOW, &OsEntropy).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in
            ["", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAA="]
        {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bound_session_repeats_at_any_time_and_knows_reuse() {
        let turn = |usage: Usage, generation, after| {
            let now = NOW.plus(after);
            usage.turn(true, generation, Some(now), now)
        };
        assert_eq!(turn(Usage::begun(0, NOW), 0, 0), Turn::Advance { to: 1 });
        let once = Usage::begun(1, NOW);
        assert_eq!(turn(once, 1, 0), Turn::Advance { to: 2 });
        assert_eq!(turn(once, 0, 100_000), Turn::Repeat);
        let twice = Usage::begun(2, NOW);
        assert_eq!(turn(twice, 0, 0), Turn::Reuse);
        assert_eq!(turn(twice, 7, 0), Turn::Advance { to: 8 }, "the store was put back");
        assert_eq!(turn(twice, u32::MAX, 0), Turn::Reuse);
        // A request of before the last rotation that arrives after it: its sender has moved on.
        assert_eq!(twice.turn(true, 0, Some(NOW.minus(1)), NOW.plus(5)), Turn::Late);
    }

    #[test]
    fn an_unbound_session_repeats_for_ten_seconds() {
        let once = Usage::begun(1, NOW);
        assert_eq!(once.turn(false, 0, None, NOW.plus(10)), Turn::Repeat);
        assert_eq!(once.turn(false, 0, None, NOW.plus(11)), Turn::Reuse);
        assert_eq!(once.turn(false, 2, None, NOW), Turn::Reuse);
    }
}
