//! Who may run the server from afar, and what each of them may do: accounts with scopes on the issuer itself.
//!
//! There is no password, no shared token and no operator by default (protocol.md §8). An operator
//! signs in as anybody does, for the resource that the issuer itself is. What its token says is one
//! thing and what the configuration says today is another: both have to allow what it asks for.

use std::collections::HashMap;

use super::reason::{Reason, Refusal};
use super::resource::{Binding, KnownScopes, Resource, ResourceRules, Target};
use super::scope::{Scope, ScopeSet};

/// Lifetime of an operator's access token in seconds.
const TOKEN_TTL: u64 = 300;

/// What an operator may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdminScope {
    /// To see keys, sessions, revocations and what waits for approval.
    Read,
    /// To rotate, retire and revoke signing keys, and to approve that another one does.
    Keys,
    /// To end sessions and tokens of anybody.
    Sessions,
    /// To read what was recorded.
    Audit,
}

impl AdminScope {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Read, Self::Keys, Self::Sessions, Self::Audit];

    /// The scope as requests, tokens and the configuration write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "admin:read",
            Self::Keys => "admin:keys",
            Self::Sessions => "admin:sessions",
            Self::Audit => "admin:audit",
        }
    }

    fn scope(self) -> Result<Scope, Refusal> {
        self.name().parse()
    }
}

/// How careful operators have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// How many operators a key operation takes, the one who asks for it among them; at least 1.
    pub approvals: usize,
    /// Seconds within which the others have to approve.
    pub approval_window: u64,
    /// Seconds that the sign-in behind a key operation or an approval may be old.
    pub step_up: u64,
}

/// The operators of an issuer, at least one.
#[derive(Clone, Debug)]
pub struct Operators {
    scopes: HashMap<String, Vec<AdminScope>>,
    resource: Resource,
    /// How careful they have to be.
    pub care: Care,
}

impl Operators {
    /// Those of `issuer`: each a subject (`did:pkh` or `did:key`) with what it may do. `formats` are
    /// the message formats by which they may sign in.
    ///
    /// # Errors
    /// [`Reason::ScopeUnknown`]: never, for the names above are scopes.
    pub fn new(
        issuer: &str,
        list: impl IntoIterator<Item = (String, Vec<AdminScope>)>,
        formats: Vec<String>,
        care: Care,
    ) -> Result<Self, Refusal> {
        let scopes: HashMap<String, Vec<AdminScope>> = list.into_iter().collect();
        let every = AdminScope::ALL.into_iter().map(AdminScope::scope);
        let rules = ResourceRules {
            scopes: KnownScopes::Listed(every.collect::<Result<ScopeSet, _>>()?),
            // Whoever asks for nothing gets a token that opens nothing.
            default_scopes: ScopeSet::default(),
            token_ttl: TOKEN_TTL,
            binding: Binding::Required,
            bearer_sessions: false,
            formats: Some(formats),
            allow: scopes.keys().cloned().collect(),
            deny: Default::default(),
            // Operators are keys: what a chain says of an account lets nobody in here.
            on_chain: Default::default(),
            callers: Default::default(),
        };
        Ok(Self { scopes, resource: Resource { uri: issuer.to_owned(), rules }, care })
    }

    /// The issuer as the resource that operators sign in for.
    pub fn target(&self) -> Target<'_> {
        self.resource.target()
    }

    /// Whether messages of `format` sign an operator in.
    ///
    /// # Errors
    /// [`Reason::FormatUnsupported`].
    pub fn check_format(&self, format: &str) -> Result<(), Refusal> {
        self.resource.rules.check_format(format)
    }

    /// What `subject` may do; `None` for whoever is no operator.
    pub fn allowed(&self, subject: &str) -> Option<&[AdminScope]> {
        self.scopes.get(subject).map(Vec::as_slice)
    }

    /// Whether `subject` may have a token with `asked`.
    ///
    /// # Errors
    /// [`Reason::ScopeNotAllowed`] naming the first that it may not have.
    pub fn check_scopes(&self, subject: &str, asked: &ScopeSet) -> Result<(), Refusal> {
        match asked.iter().find(|scope| !self.may_have(subject, scope)) {
            None => Ok(()),
            Some(scope) => Err(Refusal::new(
                Reason::ScopeNotAllowed,
                format!("this operator may not have the scope {scope}"),
            )),
        }
    }

    /// Those of `set` that `subject` may still have.
    pub fn scopes_left(&self, subject: &str, set: ScopeSet) -> ScopeSet {
        set.filtered(|scope| self.may_have(subject, scope))
    }

    fn may_have(&self, subject: &str, scope: &Scope) -> bool {
        let allowed = self.allowed(subject).unwrap_or_default();
        allowed.iter().any(|allowed| allowed.name() == scope.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "did:key:alice";

    fn operators() -> Operators {
        let care = Care { approvals: 1, approval_window: 600, step_up: 300 };
        let list = [(ALICE.to_owned(), vec![AdminScope::Read, AdminScope::Keys])];
        Operators::new("https://auth.example", list, vec!["key".to_owned()], care).unwrap()
    }

    #[test]
    fn an_operator_has_its_own_scopes_and_nobody_else_has_any() {
        let operators = operators();
        let reason = |subject: &str, asked: &str| {
            let asked = asked.parse().unwrap();
            operators.check_scopes(subject, &asked).err().map(|refusal| refusal.reason())
        };
        assert_eq!(reason(ALICE, "admin:read admin:keys"), None);
        assert_eq!(reason(ALICE, "admin:keys admin:audit"), Some(Reason::ScopeNotAllowed));
        assert_eq!(reason("did:key:mallory", "admin:read"), Some(Reason::ScopeNotAllowed));
        let left = operators.scopes_left(ALICE, "admin:audit admin:keys".parse().unwrap());
        assert_eq!(left.to_string(), "admin:keys");
        assert!(operators.target().rules.check_subject("did:key:mallory").is_err());
        assert!(operators.allowed("did:key:mallory").is_none());
    }

    #[test]
    fn the_issuer_is_a_resource_that_gives_no_bearer_token() {
        let operators = operators();
        let target = operators.target();
        assert_eq!(
            (&*target.uri, target.rules.binding),
            ("https://auth.example", Binding::Required)
        );
        assert!(target.rules.default_scopes.is_empty() && !target.rules.bearer_sessions);
        assert!(target.rules.check_format("siwe").is_err());
        for scope in AdminScope::ALL {
            assert!(target.rules.scopes_for(Some(scope.name())).is_ok());
        }
        assert!(target.rules.scopes_for(Some("admin:*")).is_err());
    }
}
