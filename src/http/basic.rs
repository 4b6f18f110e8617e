//! The user and the secret of `Authorization: Basic`, each form-encoded within (RFC 7617, RFC 6749 §2.3.1).

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::extract::{decoded, single};
use crate::model::reason::{Reason, Refusal};

/// The longest credentials read, in bytes of base64.
const MAX_BYTES: usize = 2048;

/// A user and its secret, as the client meant them. Prints nothing, and is wiped when dropped.
pub struct Basic {
    user: Zeroizing<String>,
    secret: Zeroizing<String>,
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic")
    }
}

impl Basic {
    /// Reads the `Authorization` header, if there is one.
    ///
    /// # Errors
    /// [`Reason::ParameterRepeated`], or [`Reason::ClientNotAuthenticated`] for another scheme and for
    /// what is not well formed.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let field = single(headers, &header::AUTHORIZATION)?;
        let read = field.map(|field| Self::read(field).ok_or_else(malformed));
        read.transpose()
    }

    /// Reads the field's value: `Basic`, and in base64 the user, a colon and the secret. The last colon
    /// counts, since the secret has none: a URI that was not encoded is understood as well.
    pub fn read(field: &str) -> Option<Self> {
        let (scheme, rest) = field.split_once(' ')?;
        let encoded = rest.trim_matches(' ');
        if !scheme.eq_ignore_ascii_case("Basic") || encoded.len() > MAX_BYTES {
            return None;
        }
        let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
        let place = bytes.iter().rposition(|byte| *byte == b':')?;
        let (user, secret) = bytes.split_at_checked(place)?;
        Some(Self {
            user: Zeroizing::new(decoded(user).ok()?),
            secret: Zeroizing::new(decoded(secret.get(1..)?).ok()?),
        })
    }

    /// The user and the secret.
    pub fn parts(&self) -> (&str, &str) {
        (&self.user, &self.secret)
    }
}

fn malformed() -> Refusal {
    let detail = "Authorization is Basic, with base64 of the form-encoded resource URI, a colon and the \
                  secret";
    Refusal::new(Reason::ClientNotAuthenticated, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(plain: &str) -> Option<(String, String)> {
        let basic = Basic::read(&format!("Basic {}", STANDARD.encode(plain)))?;
        let (user, secret) = basic.parts();
        Some((user.to_owned(), secret.to_owned()))
    }

    #[test]
    fn reads_encoded_and_plain_users() {
        let meant = Some(("https://escrow.example".to_owned(), "s-_1".to_owned()));
        assert_eq!(read("https%3A%2F%2Fescrow.example:s-_1"), meant);
        assert_eq!(read("https://escrow.example:s-_1"), meant);
        assert_eq!(read("a+b:%2b"), Some(("a b".to_owned(), "+".to_owned())));
        assert_eq!(read(":"), Some((String::new(), String::new())));
    }

    #[test]
    fn refuses_what_is_not_basic() {
        for field in
            ["", "Basic", "Basic ", "Bearer YTpi", "Basic YWI=", "Basic YTpi!", "Basic YTpi YTpi"]
        {
            assert!(Basic::read(field).is_none(), "{field}");
        }
        assert!(read("%zz:a").is_none() && read("a:%f").is_none());
        assert!(read(&format!("{}:a", "u".repeat(2048))).is_none());
        assert_eq!(format!("{:?}", Basic::read("bAsIc YTpi").unwrap()), "Basic");
    }
}
