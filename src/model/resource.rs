//! What the tokens of a resource may be: its scopes, lifetime, binding, and who may have them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::domain::is_loopback_authority;
use super::introspection::Callers;
use super::reason::{Reason, Refusal};
use super::scope::ScopeSet;

/// Whether tokens must be bound to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Every token is bound by a DPoP proof.
    Required,
    /// A client that sends no proof, and whose message names no session key, gets a bearer token.
    Optional,
}

/// Which scopes a resource knows.
#[derive(Clone, Debug)]
pub enum KnownScopes {
    /// Any that fits the grammar: development.
    Any,
    /// These.
    Listed(ScopeSet),
}

/// The rules of one resource.
#[derive(Clone, Debug)]
pub struct ResourceRules {
    /// The scopes that exist.
    pub scopes: KnownScopes,
    /// What a sign-in gets that asks for none.
    pub default_scopes: ScopeSet,
    /// Lifetime of an access token in seconds.
    pub token_ttl: u64,
    /// Whether a token may be without a key.
    pub binding: Binding,
    /// Whether a message opens a session for a client that sends no proof.
    pub bearer_sessions: bool,
    /// The message formats that open it; `None` means each.
    pub formats: Option<Vec<String>>,
    /// The subjects (`did:pkh`, `did:key`) that may sign in; empty means everyone.
    pub allow: HashSet<String>,
    /// The subjects that may not, whatever `allow` says.
    pub deny: HashSet<String>,
    /// Which accounts may sign in that their chain has to be asked about.
    pub on_chain: OnChain,
    /// Who may ask about its tokens.
    pub callers: Callers,
}

/// Which accounts a resource takes that are no key of their own: contracts, and names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnChain {
    /// Whether it takes any.
    pub taken: bool,
    /// The accounts of `allow` on the very chains that they were written with (`did:pkh`). A key has one
    /// name for all chains; at a contract's address on another chain there may be somebody else's.
    pub allow: HashSet<String>,
}

impl ResourceRules {
    /// The scopes for a request: those asked for, or the defaults when none is.
    ///
    /// # Errors
    /// [`Reason::ScopeUnknown`] naming the first that the resource does not know.
    pub fn scopes_for(&self, asked: Option<&str>) -> Result<ScopeSet, Refusal> {
        let Some(asked) = asked.filter(|text| !text.is_empty()) else {
            return Ok(self.default_scopes.clone());
        };
        let asked: ScopeSet = asked.parse()?;
        self.check_known(&asked)?;
        Ok(asked)
    }

    /// Whether there is a scope at all: what names none opens nothing, and is told so.
    ///
    /// # Errors
    /// [`Reason::ScopeNotGranted`].
    pub fn check_some(set: &ScopeSet) -> Result<(), Refusal> {
        if !set.is_empty() {
            return Ok(());
        }
        let detail = "no scope was asked for, and this resource gives none by default";
        Err(Refusal::new(Reason::ScopeNotGranted, detail))
    }

    /// Whether every scope of `set` exists here.
    ///
    /// # Errors
    /// [`Reason::ScopeUnknown`] naming the first that does not.
    pub fn check_known(&self, set: &ScopeSet) -> Result<(), Refusal> {
        let KnownScopes::Listed(known) = &self.scopes else {
            return Ok(());
        };
        match set.first_outside(known) {
            None => Ok(()),
            Some(scope) => Err(Refusal::new(
                Reason::ScopeUnknown,
                format!("the scope {scope} is none of this resource's: {known}"),
            )),
        }
    }

    /// Those of `set` that exist here.
    pub fn known_of(&self, set: ScopeSet) -> ScopeSet {
        match &self.scopes {
            KnownScopes::Any => set,
            KnownScopes::Listed(known) => set.among(known),
        }
    }

    /// Whether messages of `format` open this resource.
    ///
    /// # Errors
    /// [`Reason::FormatUnsupported`].
    pub fn check_format(&self, format: &str) -> Result<(), Refusal> {
        match &self.formats {
            Some(formats) if !formats.iter().any(|name| name == format) => Err(Refusal::new(
                Reason::FormatUnsupported,
                format!("this resource takes the formats {}", formats.join(", ")),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether `subject` may have tokens here.
    ///
    /// # Errors
    /// [`Reason::AccountNotAllowed`].
    pub fn check_subject(&self, subject: &str) -> Result<(), Refusal> {
        let admitted = self.allow.is_empty() || self.allow.contains(subject);
        if admitted && !self.deny.contains(subject) {
            return Ok(());
        }
        Err(not_allowed())
    }
}

impl ResourceRules {
    /// Whether accounts that their chain has to be asked about may have tokens here.
    ///
    /// # Errors
    /// [`Reason::AccountNotAllowed`].
    pub fn check_on_chain(&self) -> Result<(), Refusal> {
        if self.on_chain.taken {
            return Ok(());
        }
        let detail =
            "this resource takes no contract accounts and no named ones; sign with a key's own";
        Err(Refusal::new(Reason::AccountNotAllowed, detail))
    }

    /// Whether the contract `subject` may have tokens here. `address` is what a key of the same address
    /// is called: who is denied under that name is denied on every chain.
    ///
    /// # Errors
    /// [`Reason::AccountNotAllowed`].
    pub fn check_contract(&self, subject: &str, address: &str) -> Result<(), Refusal> {
        self.check_on_chain()?;
        let admitted = self.allow.is_empty() || self.on_chain.allow.contains(subject);
        if admitted && !self.deny.contains(subject) && !self.deny.contains(address) {
            return Ok(());
        }
        Err(not_allowed())
    }

    /// Whether none of the names that one key goes by is denied: whoever is kept out as an account
    /// does not come in as the raw key of that account.
    ///
    /// # Errors
    /// [`Reason::AccountNotAllowed`].
    pub fn check_names(&self, names: impl IntoIterator<Item = String>) -> Result<(), Refusal> {
        if !self.deny.is_empty() && names.into_iter().any(|name| self.deny.contains(&name)) {
            return Err(not_allowed());
        }
        Ok(())
    }
}

fn not_allowed() -> Refusal {
    Refusal::new(Reason::AccountNotAllowed, "this account may not use this resource")
}

/// A configured resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its identifier (RFC 8707 §2), the `aud` of its tokens.
    pub uri: String,
    /// Its rules.
    pub rules: ResourceRules,
}

/// Every resource that tokens are issued for.
#[derive(Clone, Debug)]
pub enum Resources {
    /// Any on this machine, all under the same rules: development.
    AnyLoopback(Box<ResourceRules>),
    /// These.
    Listed(Vec<Resource>),
}

/// The resource that a request is about.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// Its identifier.
    pub uri: Cow<'a, str>,
    /// Its rules.
    pub rules: &'a ResourceRules,
}

impl Resources {
    /// The resource of that identifier, compared exactly; without one, the only one there is.
    ///
    /// # Errors
    /// [`Reason::ResourceRequired`] or [`Reason::ResourceNotAllowed`].
    pub fn find<'a>(&'a self, uri: Option<&str>) -> Result<Target<'a>, Refusal> {
        match (self, uri) {
            (Self::Listed(list), Some(uri)) => list
                .iter()
                .find(|resource| resource.uri == uri)
                .map(Resource::target)
                .ok_or_else(|| unknown("no resource of this issuer has that URI")),
            (Self::Listed(list), None) => match list.as_slice() {
                [only] => Ok(only.target()),
                _ => Err(required()),
            },
            (Self::AnyLoopback(rules), Some(uri)) => {
                check_loopback(uri)?;
                Ok(Target { uri: Cow::Owned(uri.to_owned()), rules })
            }
            (Self::AnyLoopback(_), None) => Err(required()),
        }
    }
}

/// Whose tokens an authenticated caller may ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspected<'a> {
    /// Those of any resource on this machine: development.
    AnyLoopback,
    /// Those of these resources.
    Of(Vec<&'a str>),
}

impl Introspected<'_> {
    /// Whether tokens for `audience` are among them.
    pub fn includes(&self, audience: &str) -> bool {
        match self {
            Self::AnyLoopback => true,
            Self::Of(uris) => uris.contains(&audience),
        }
    }
}

impl Resources {
    /// What the key `did` may ask about; `None` where nobody lists it. In development there are no
    /// lists, every resource is on this machine, and a token says to whoever holds it all that
    /// the answer would: so any key will do, and the way is the same as later.
    pub fn introspected_by_key(&self, did: &str) -> Option<Introspected<'_>> {
        let Self::Listed(list) = self else { return Some(Introspected::AnyLoopback) };
        let uris: Vec<&str> = list
            .iter()
            .filter(|resource| resource.rules.callers.keys.contains(did))
            .map(|resource| resource.uri.as_str())
            .collect();
        (!uris.is_empty()).then_some(Introspected::Of(uris))
    }

    /// What the resource `uri` may ask about with `secret`; `None` unless it is its own.
    pub fn introspected_by_secret(&self, uri: &str, secret: &str) -> Option<Introspected<'_>> {
        let list = match self {
            Self::Listed(list) => list.as_slice(),
            Self::AnyLoopback(_) => &[],
        };
        let resource = list.iter().find(|resource| resource.uri == uri);
        let callers = resource.map(|resource| &resource.rules.callers);
        let known = Callers::know(callers, secret);
        resource.filter(|_| known).map(|resource| Introspected::Of(vec![resource.uri.as_str()]))
    }
}

impl Resource {
    /// What a request is about that names this resource.
    pub fn target(&self) -> Target<'_> {
        Target { uri: Cow::Borrowed(&self.uri), rules: &self.rules }
    }
}

fn required() -> Refusal {
    Refusal::new(
        Reason::ResourceRequired,
        "say with `resource` which API the token is for: its URI, such as https://escrow.example",
    )
}

fn unknown(detail: &'static str) -> Refusal {
    Refusal::new(Reason::ResourceNotAllowed, detail)
}

/// What a resource may be in development: an absolute `http(s)` URI on this machine (RFC 8707 §2).
fn check_loopback(uri: &str) -> Result<(), Refusal> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"'<>\\^`{|}%#".contains(&b);
    let local = |uri: &str| {
        let rest = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?']).next());
        authority.is_some_and(is_loopback_authority)
    };
    let fits = uri.len() <= 256 && uri.bytes().all(plain) && local(uri);
    if fits {
        return Ok(());
    }
    Err(unknown(
        "in development a resource is an http or https URI on this machine, such as http://127.0.0.1:8800",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "did:pkh:eip155:1:0xA";
    const TEN: &str = "did:pkh:eip155:10:0xA";

    fn rules(allow: &[&str], on_chain: &[&str], deny: &[&str], taken: bool) -> ResourceRules {
        let set = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        ResourceRules {
            scopes: KnownScopes::Any,
            default_scopes: ScopeSet::default(),
            token_ttl: 300,
            binding: Binding::Required,
            bearer_sessions: false,
            formats: None,
            allow: set(allow),
            deny: set(deny),
            on_chain: OnChain { taken, allow: set(on_chain) },
            callers: Callers::default(),
        }
    }

    #[test]
    fn a_contract_is_let_in_on_its_own_chain_and_kept_out_on_all() {
        let may = |rules: &ResourceRules, subject| rules.check_contract(subject, ONE).is_ok();
        let everyone = rules(&[], &[], &[], true);
        assert!(may(&everyone, ONE) && may(&everyone, TEN));
        // Written as eip155:10:0xA: the key of that address, or the contract on that chain.
        let listed = rules(&[ONE], &[TEN], &[], true);
        assert!(listed.check_subject(ONE).is_ok());
        assert!(may(&listed, TEN) && !may(&listed, ONE));
        // Of a list of others alone nobody is let in.
        assert!(!may(&rules(&["did:key:z"], &[], &[], true), TEN));
        for deny in [ONE, TEN] {
            assert!(!may(&rules(&[], &[], &[deny], true), TEN), "{deny}");
        }
        assert!(!may(&rules(&[], &[], &[], false), TEN));
        assert_eq!(OnChain::default(), OnChain { taken: false, allow: HashSet::new() });
    }
}
