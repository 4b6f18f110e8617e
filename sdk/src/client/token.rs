//! The token as the client keeps it: secrets that print nothing, and when it has to be renewed.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::ClientError;
use crate::time::Timestamp;

/// The longest access token taken, in bytes.
const MAX_TOKEN_BYTES: usize = 8192;
/// Seconds before its end at which a token is renewed, at most.
const MARGIN: u64 = 30;
/// The shortest life of a token that is of use, in seconds: a shorter one would be renewed at
/// every call.
const MIN_LIFE: u64 = 10;
/// The longest life that is believed, in seconds. A token that lives longer is renewed earlier.
const MAX_LIFE: u64 = 24 * 3600;
/// The longest `scope` and `sub` taken, in bytes.
const MAX_TEXT_BYTES: usize = 4096;
/// The longest name of a session taken, in bytes.
const MAX_SESSION_ID_BYTES: usize = 128;

/// An access token's text. Prints nothing, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// A token's text; `None` when it could not stand in a header (RFC 6750 §2.1) or is longer
    /// than 8192 bytes.
    pub fn new(text: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        let whole = !text.is_empty() && text.len() <= MAX_TOKEN_BYTES && text.bytes().all(fits);
        whole.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text, for the header or the file that is to hold it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

/// A refresh token's text, opaque to the client. Prints nothing, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// A token's text; `None` when it is not printable ASCII without spaces (RFC 6749 appendix
    /// A.17, of which no issuer uses the space) or is longer than 8192 bytes.
    pub fn new(text: &str) -> Option<Self> {
        let whole = !text.is_empty() && text.len() <= MAX_TOKEN_BYTES;
        let fits = whole && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text, for the form or the file that is to hold it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

/// Whether a text can name a session in a path: 1 to 128 letters, digits, `-`, `_`.
pub(super) fn is_session_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=MAX_SESSION_ID_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

/// A key-bound access token and what the issuer said of it.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself.
    pub access_token: AccessToken,
    /// When it was issued, by the issuer's clock.
    pub issued_at: Timestamp,
    /// When it ends, by the issuer's clock.
    pub expires_at: Timestamp,
    /// The scopes it has, with spaces between.
    pub scope: String,
    /// Whom it speaks for: `did:pkh:…` or `did:key:…`; empty from servers that do not say.
    pub sub: String,
    /// The resource that was asked for, if one was named.
    pub resource: Option<String>,
    /// What the next access token is had for, where the issuer opened a session.
    pub refresh_token: Option<RefreshToken>,
    /// The session's name at the issuer, of 1 to 128 letters, digits, `-` and `_`.
    pub session_id: Option<String>,
}

impl Token {
    /// Whether a token is still good enough to begin a call with: more than 30 seconds, or a fifth
    /// of its life, lie ahead.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let life = self.expires_at.since(self.issued_at);
        self.expires_at.since(now) > MARGIN.min(life / 5)
    }

    /// Whether the last third of its life has begun, in which it is renewed while it is used.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let life = self.expires_at.since(self.issued_at);
        self.expires_at.since(now) <= life / 3
    }
}

/// A token endpoint's answer (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    access_token: String,
    token_type: String,
    expires_in: u64,
    scope: Option<String>,
    sub: Option<String>,
    refresh_token: Option<String>,
    session_id: Option<String>,
}

impl TokenAnswer {
    /// The token, if it is bound to our key; `asked_at` is the issuer's time when it was asked.
    pub(super) fn accept(
        self,
        server: &str,
        asked_at: Timestamp,
        scope: Option<&str>,
        resource: Option<&str>,
    ) -> Result<Token, ClientError> {
        let text = Zeroizing::new(self.access_token);
        let refresh_text = self.refresh_token.map(Zeroizing::new);
        let refused = |fault: &str| ClientError::Protocol {
            server: server.to_owned(),
            fault: fault.to_owned(),
        };
        // We proved a key; a bearer token would be one that anybody can use.
        if !self.token_type.eq_ignore_ascii_case("DPoP") {
            return Err(refused("the token is not bound to our key (token_type)"));
        }
        if self.expires_in < MIN_LIFE {
            return Err(refused("the token ends before it can be used (expires_in)"));
        }
        if self.scope.as_deref().is_some_and(|scope| !is_scope(scope)) {
            return Err(refused("its scope is none of RFC 6749"));
        }
        if self.sub.as_deref().is_some_and(|sub| !is_printable_ascii(sub)) {
            return Err(refused("its sub is no identifier"));
        }
        if self.session_id.as_deref().is_some_and(|id| !is_session_id(id)) {
            return Err(refused("its session_id is no identifier"));
        }
        let refresh_token = refresh_text
            .map(|text| RefreshToken::new(&text).ok_or_else(|| refused("it gave no refresh token")))
            .transpose()?;
        Ok(Token {
            access_token: AccessToken::new(&text).ok_or_else(|| refused("it gave no token"))?,
            issued_at: asked_at,
            expires_at: asked_at.plus(self.expires_in.min(MAX_LIFE)),
            // RFC 6749 §5.1: absent when it is what was asked for.
            scope: self.scope.unwrap_or_else(|| scope.unwrap_or_default().to_owned()),
            sub: self.sub.unwrap_or_default(),
            resource: resource.map(str::to_owned),
            refresh_token,
            session_id: self.session_id,
        })
    }
}

/// Texts that end in files, in logs and on terminals hold nothing that could steer those.
fn is_printable_ascii(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Scope tokens with single spaces between them (RFC 6749 §3.3), or nothing.
fn is_scope(text: &str) -> bool {
    let fits = |one: &str| !one.is_empty() && is_printable_ascii(one) && !one.contains(['"', '\\']);
    text.is_empty() || (text.len() <= MAX_TEXT_BYTES && text.split(' ').all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1000);

    fn answer(token_type: &str) -> TokenAnswer {
        TokenAnswer {
            access_token: "secret.token.text".to_owned(),
            token_type: token_type.to_owned(),
            expires_in: 300,
            scope: None,
            sub: None,
            refresh_token: Some("cs_rt_secret".to_owned()),
            session_id: Some("s-1_A".to_owned()),
        }
    }

    #[test]
    fn prints_nothing_of_the_token() {
        let token = answer("DPoP").accept("s", NOW, Some("read"), None).unwrap();
        assert!(!format!("{token:?}").contains("secret"));
        assert_eq!(token.scope, "read");
        assert_eq!(token.refresh_token.unwrap().expose(), "cs_rt_secret");
        assert!(answer("Bearer").accept("s", NOW, None, None).is_err());
    }

    #[test]
    fn hostile_answers_are_bounded() {
        let accept = |alter: &dyn Fn(&mut TokenAnswer)| {
            let mut answer = answer("DPoP");
            alter(&mut answer);
            answer.accept("s", NOW, None, None)
        };
        let endless = accept(&|answer| answer.expires_in = 1_000_000_000_000_000).unwrap();
        assert_eq!(endless.expires_at, NOW.plus(86_400));
        assert_eq!(
            accept(&|answer| answer.expires_in = u64::MAX).unwrap().expires_at.to_string(),
            "1970-01-02T00:16:40Z"
        );
        assert!(accept(&|answer| answer.expires_in = 9).is_err());
        for scope in ["read\nsub x", "a  b", " ", "a\u{1b}[2J", "a\"b", "é"] {
            assert!(accept(&|answer| answer.scope = Some(scope.to_owned())).is_err(), "{scope}");
        }
        assert!(accept(&|answer| answer.scope = Some("read escrow:read".to_owned())).is_ok());
        for sub in ["\u{1b}]0;x\u{7}did:key:z", "did:key:z\n", "a b"] {
            assert!(accept(&|answer| answer.sub = Some(sub.to_owned())).is_err(), "{sub}");
        }
        for id in ["", "a/b", "../x", "a b", "a?b", "a%2f", &"a".repeat(129)] {
            assert!(accept(&|answer| answer.session_id = Some(id.to_owned())).is_err(), "{id}");
        }
        for text in ["", "a b", "a\r\nb", "é", &"a".repeat(8193)] {
            let refused = accept(&|answer| answer.refresh_token = Some(text.to_owned()));
            assert!(refused.is_err(), "{text}");
        }
    }

    #[test]
    fn is_renewed_before_it_ends() {
        let mut token = answer("dpop").accept("s", NOW, None, None).unwrap();
        assert!(token.is_fresh(NOW.plus(269)));
        assert!(!token.is_fresh(NOW.plus(270)));
        assert!(!token.is_due(NOW.plus(199)));
        assert!(token.is_due(NOW.plus(200)));
        token.expires_at = NOW.plus(60);
        assert!(token.is_fresh(NOW.plus(47)));
        assert!(!token.is_fresh(NOW.plus(48)));
    }

    #[test]
    fn a_token_fits_into_a_header() {
        assert!(AccessToken::new("a.b-c_d~e+f/g==").is_some());
        for text in ["", "a b", "a\r\nb", "a\"b", &"a".repeat(8193)] {
            assert!(AccessToken::new(text).is_none());
        }
    }
}
