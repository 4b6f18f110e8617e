//! Scopes: the text between spaces, one grammar for configuration, requests and signed texts.
//!
//! A scope is `name` or `namespace:name`. Both parts are of the characters that EIP-5573 allows in
//! an ability, so that each scope has exactly one ability and back: `escrow:release` is
//! `escrow/release`, `read` is `oauth/read`.

use std::fmt;
use std::str::FromStr;

use super::reason::{Reason, Refusal};

/// The namespace in which scopes without a colon stand in a ReCap.
const PLAIN_NAMESPACE: &str = "oauth";
/// The longest scope, in bytes.
const MAX_SCOPE_BYTES: usize = 64;
/// The most scopes in one request.
const MAX_SCOPES: usize = 32;

/// One scope (RFC 6749 §3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(String);

impl Scope {
    /// The scope as requests and tokens write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Namespace and name of the scope's ability in a ReCap (EIP-5573).
    pub fn ability(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or((PLAIN_NAMESPACE, &self.0))
    }

    /// The scope of an ability `namespace/name`.
    ///
    /// # Errors
    /// [`Reason::ScopeUnknown`] when it is none of this grammar.
    pub fn from_ability(ability: &str) -> Result<Self, Refusal> {
        let scope: Self = match ability.split_once('/') {
            Some((PLAIN_NAMESPACE, name)) => name.parse()?,
            Some((namespace, name)) => format!("{namespace}:{name}").parse()?,
            None => return Err(malformed()),
        };
        // `oauth/a:b` would be the scope `a:b`, whose own ability is `a/b`.
        let (namespace, name) = scope.ability();
        if ability.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')) == Some(name) {
            Ok(scope)
        } else {
            Err(malformed())
        }
    }
}

fn malformed() -> Refusal {
    Refusal::new(
        Reason::ScopeUnknown,
        "a scope is name or namespace:name in letters, digits and . _ - * +, at most 64 characters",
    )
}

impl FromStr for Scope {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |part: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-*+".contains(&b);
            !part.is_empty() && part.bytes().all(allowed)
        };
        let whole = match text.split_once(':') {
            // `oauth:x` would be the same ability as `x`.
            Some((namespace, name)) => {
                namespace != PLAIN_NAMESPACE && fits(namespace) && fits(name)
            }
            None => fits(text),
        };
        if whole && text.len() <= MAX_SCOPE_BYTES {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed())
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes in the order in which they were first named, none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `scope` is among them.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Those of these scopes that `known` holds too.
    #[must_use]
    pub fn among(self, known: &Self) -> Self {
        Self(self.0.into_iter().filter(|scope| known.contains(scope)).collect())
    }

    /// Those of these scopes that `keep` says.
    #[must_use]
    pub fn filtered(self, keep: impl FnMut(&Scope) -> bool) -> Self {
        Self(self.0.into_iter().filter(keep).collect())
    }

    /// The first of these scopes that `granted` does not hold, if any.
    pub fn first_outside(&self, granted: &Self) -> Option<&Scope> {
        self.0.iter().find(|scope| !granted.contains(scope))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Vec::new();
        for scope in scopes {
            if !set.contains(&scope) {
                set.push(scope);
            }
        }
        Self(set)
    }
}

impl FromStr for ScopeSet {
    type Err = Refusal;

    /// Reads the `scope` parameter: scopes with single spaces between them, 32 at most.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.split(' ').count() > MAX_SCOPES {
            return Err(Refusal::new(Reason::ScopeUnknown, "at most 32 scopes can be asked for"));
        }
        text.split(' ').map(str::parse).collect()
    }
}

/// The scopes with single spaces between them, as `scope` members have it.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_to_abilities_and_back() {
        for (text, ability) in [("escrow:release", "escrow/release"), ("read", "oauth/read")] {
            let scope: Scope = text.parse().unwrap();
            let (namespace, name) = scope.ability();
            assert_eq!(format!("{namespace}/{name}"), ability);
            assert_eq!(Scope::from_ability(ability).unwrap(), scope);
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for text in ["", "a b", "a:b:c", "oauth:read", ":a", "a:", "a/b", "ä", "a\"b"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
        assert!("a  b".parse::<ScopeSet>().is_err());
        assert!(Scope::from_ability("a/b/c").is_err());
        assert!(Scope::from_ability("oauth/a:b").is_err());
    }
}
