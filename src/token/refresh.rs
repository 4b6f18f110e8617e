//! Refresh tokens: derived from the session and a counter, so that a lost one can be written again.
//!
//! | bytes | |
//! |---|---|
//! | 16 | the session's name |
//! | 4 | the generation, big-endian |
//! | 24 | MAC (192 bits) over the bytes before: HMAC-SHA-256 under a secret that lives as long as the sessions |
//! | 4 | checksum over the prefix and the bytes before, by which a scanner knows a leaked one from noise |
//!
//! Written as `cs_rt_` and 64 characters of base64url. Nothing is stored for a token: the store
//! keeps which generation is current, and what the others mean ([`Usage::turn`]). protocol.md §6.
//!
//! [`Usage::turn`]: crate::model::session::Usage::turn

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::model::session::SessionId;
use crate::store::{LiveSession, SessionSecret};

/// By what people and scanners know one.
pub const PREFIX: &str = "cs_rt_";
const NAMED: usize = 20;
const AUTHENTICATED: usize = 44;
const WHOLE: usize = 48;
const TEXT: usize = PREFIX.len() + WHOLE / 3 * 4;
/// Keeps the MAC apart from any other that should ever be made under the same secret.
const DOMAIN: &[u8] = b"countersign refresh token 1";

/// A refresh token's text. Prints nothing, and is wiped when dropped.
#[derive(Clone)]
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The text, for the answer that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

/// A refresh token that this issuer wrote, at some time: what it names, which need not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenuineRefreshToken {
    session: SessionId,
    generation: u32,
}

impl GenuineRefreshToken {
    /// The session.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The generation.
    pub const fn generation(&self) -> u32 {
        self.generation
    }
}

/// The text is not a refresh token of this issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshTokenError {
    /// Another length, prefix, alphabet or checksum: it was cut or mistyped, or is something else.
    #[error("it is not a whole refresh token: cs_rt_ and 64 characters")]
    Malformed,
    /// The form is right and the MAC is not ours.
    #[error("it was not issued here")]
    Foreign,
}

/// Writes and reads refresh tokens under one secret. Prints nothing of it.
pub struct RefreshTokens(hmac::Key);

impl RefreshTokens {
    /// Under the secret that the store keeps beside the sessions.
    pub fn new(secret: &SessionSecret) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, secret.expose()))
    }

    /// The current token of a session that was opened or moved on just now.
    pub fn current(&self, live: &LiveSession) -> RefreshToken {
        let session = live.session();
        let mut bytes = Zeroizing::new(Vec::with_capacity(WHOLE));
        bytes.extend_from_slice(session.id.as_bytes());
        bytes.extend_from_slice(&session.usage.generation.to_be_bytes());
        let mac = self.mac(&bytes);
        bytes.extend(mac.as_ref().iter().take(AUTHENTICATED - NAMED));
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        let mut text = Zeroizing::new(String::with_capacity(TEXT));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        RefreshToken(text)
    }

    /// Reads a token; all of it is compared, the MAC in constant time.
    ///
    /// # Errors
    /// [`RefreshTokenError`].
    pub fn read(&self, text: &str) -> Result<GenuineRefreshToken, RefreshTokenError> {
        let malformed = RefreshTokenError::Malformed;
        if text.len() != TEXT {
            return Err(malformed);
        }
        let body = text.strip_prefix(PREFIX).ok_or(malformed)?;
        let mut bytes = Zeroizing::new([0; WHOLE]);
        let length = URL_SAFE_NO_PAD.decode_slice_unchecked(body, &mut *bytes);
        let (authenticated, sum) = bytes.split_at_checked(AUTHENTICATED).ok_or(malformed)?;
        let (named, mac) = authenticated.split_at_checked(NAMED).ok_or(malformed)?;
        if length != Ok(WHOLE) || checksum(authenticated) != sum {
            return Err(malformed);
        }
        let expected = self.mac(named);
        let expected = expected.as_ref().get(..AUTHENTICATED - NAMED).ok_or(malformed)?;
        if verify_slices_are_equal(expected, mac).is_err() {
            return Err(RefreshTokenError::Foreign);
        }
        let (session, generation) = named.split_first_chunk::<16>().ok_or(malformed)?;
        let generation: [u8; 4] = generation.try_into().map_err(|_| malformed)?;
        Ok(GenuineRefreshToken {
            session: SessionId::from_bytes(*session),
            generation: u32::from_be_bytes(generation),
        })
    }

    fn mac(&self, named: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(DOMAIN);
        context.update(named);
        context.sign()
    }
}

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshTokens")
    }
}

fn checksum(authenticated: &[u8]) -> [u8; WHOLE - AUTHENTICATED] {
    let mut context = digest::Context::new(&SHA256);
    context.update(PREFIX.as_bytes());
    context.update(authenticated);
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use countersign_sdk::entropy::OsEntropy;
    use countersign_sdk::time::Timestamp;

    use super::*;
    use crate::model::session::tests::session;
    use crate::store::memory::MemoryStore;
    use crate::store::{Bounds, SessionBounds, Store as _};

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    async fn live() -> LiveSession {
        let sessions = SessionBounds { total: 10, per_subject: 10, revocations: 10 };
        let bounds = Bounds { nonces: 10, proofs: 10, answers: 10, sessions };
        let store = MemoryStore::new(&bounds, &OsEntropy).unwrap();
        store.open(session("did:key:z", true, NOW), NOW, NOW).await.unwrap()
    }

    fn tokens() -> RefreshTokens {
        RefreshTokens::new(&SessionSecret::generate(&OsEntropy).unwrap())
    }

    #[tokio::test]
    async fn is_written_alike_each_time_and_read_back() {
        let (live, tokens) = (live().await, tokens());
        let token = tokens.current(&live);
        assert_eq!(token.expose(), tokens.current(&live).expose());
        assert_eq!((token.expose().len(), format!("{token:?}")), (70, "RefreshToken".to_owned()));
        let read = tokens.read(token.expose()).unwrap();
        assert_eq!((read.session(), read.generation()), (live.session().id, 0));
    }

    #[tokio::test]
    async fn not_one_character_may_differ() {
        let (live, tokens) = (live().await, tokens());
        let token = tokens.current(&live);
        let text = token.expose();
        assert_eq!(self::tokens().read(text), Err(RefreshTokenError::Foreign));
        for at in 0..text.len() {
            let mut altered = text.to_owned().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(tokens.read(&altered), Err(RefreshTokenError::Malformed), "{at}");
        }
        for other in
            [&text[..69], &format!("{text}A"), "", "cs_rt_", &text[6..], &text.to_uppercase()]
        {
            assert_eq!(tokens.read(other), Err(RefreshTokenError::Malformed), "{other}");
        }
    }

    /// Whoever knows how a checksum is made does not know the MAC.
    #[tokio::test]
    async fn another_generation_with_a_right_checksum_is_foreign() {
        let (live, tokens) = (live().await, tokens());
        let text = tokens.current(&live).expose()[PREFIX.len()..].to_owned();
        let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        for at in 0..AUTHENTICATED {
            bytes[at] ^= 1;
            let sum = checksum(&bytes[..AUTHENTICATED]);
            bytes[AUTHENTICATED..].copy_from_slice(&sum);
            let forged = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
            assert_eq!(tokens.read(&forged), Err(RefreshTokenError::Foreign), "{at}");
            bytes[at] ^= 1;
        }
    }
}
