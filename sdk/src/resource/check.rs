//! Whether a request is let in: the numbered checks in their order, and the only way to a [`Caller`].
//!
//! Nothing is used up before everything that can fail by itself has been checked: the proof is
//! claimed last, after the key that the token is bound to was found to have signed it, and before
//! any scope is looked at. RFC 9449 §4.3, §7.1, §7.2; RFC 9068 §4.

use std::sync::{Arc, OnceLock};

use http::HeaderMap;

use super::claims::AccessToken;
use super::credentials::{Credentials, Scheme};
use super::error::AccessError;
use super::jwks::IssuerKeys;
use super::server::ResourceServer;
use super::standing::{Demand, Standing};
use super::token::{
    ExpectedToken, TokenError, VerifiedToken, key_name, screen, verify_access_token,
};
use crate::key::Thumbprint;
use crate::proof::dpop::{self, AccessTokenHash, DpopError, KnownKey, TokenBinding, VerifiedProof};
use crate::proof::replay::Claimed;
use crate::proof::target_uri::TargetUri;
use crate::time::Timestamp;

/// The parts of a request that decide who sent it.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method, such as `POST`.
    pub method: &'a str,
    /// Path and query as they were received, below the configured public URL.
    pub path_and_query: &'a str,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

impl RequestHead<'_> {
    fn path(&self) -> &str {
        match self.path_and_query.split_once('?') {
            Some((path, _)) => path,
            None => self.path_and_query,
        }
    }
}

/// Who sent a request: exists only for one whose every check passed, its proof used up.
#[derive(Clone, Debug)]
pub struct Caller {
    verdict: Arc<Verdict>,
    standing: Standing,
    server: u64,
    /// Method and path that the proof was for.
    request: Arc<str>,
    renew_nonce: bool,
}

/// A token that was verified, kept so that its signature is verified once.
#[derive(Debug)]
pub(super) struct Verdict {
    token: VerifiedToken,
    /// The key that the token is bound to, once a good proof has shown it.
    proof_key: OnceLock<KnownKey>,
}

/// By what a request was let in.
enum Admission {
    /// The token's key signed this very request, and the proof is used up.
    Proof(Claimed),
    /// The token is bound to no key, and this resource takes such tokens.
    Unbound,
}

impl Caller {
    /// `sub`: who is calling, a `did:pkh` or `did:key`.
    pub fn sub(&self) -> &str {
        self.token().sub()
    }

    /// The thumbprint of the key that signed this request; `None` for an unbound token, which only
    /// a resource that accepts such lets in.
    pub fn jkt(&self) -> Option<Thumbprint> {
        self.token().cnf_jkt()
    }

    /// Everything that the access token says.
    pub fn token(&self) -> &AccessToken {
        self.verdict.token.claims()
    }

    /// Demands a scope.
    ///
    /// # Errors
    /// [`AccessError::InsufficientScope`] when the token does not have this very scope;
    /// [`AccessError::RevocationsStale`] when the caller was let in by a view of revocations that was
    /// too old for it.
    pub fn require(&self, scope: &'static str) -> Result<(), AccessError> {
        if !self.token().has_scope(scope) {
            Err(AccessError::InsufficientScope(scope))
        } else if !self.standing.allows(scope) {
            Err(AccessError::RevocationsStale)
        } else {
            Ok(())
        }
    }

    /// Whether the caller was let in although nobody knew if the token had been revoked of late, for
    /// a scope of [`open_when_stale`](super::ResourceConfig::open_when_stale).
    pub const fn is_stale(&self) -> bool {
        self.standing.is_stale()
    }

    /// Whether the caller may go on to what is demanded.
    pub(super) fn serves(&self, demand: Demand) -> bool {
        self.standing.serves(demand, self.token())
    }

    /// Whether `server` let this caller in, with this very request and not with one whose
    /// extensions were copied into it.
    pub(super) fn was_admitted_by(
        &self,
        server: &ResourceServer,
        request: &RequestHead<'_>,
    ) -> bool {
        self.server == server.0.id
            && self.request.split_once(' ') == Some((request.method, request.path()))
    }

    /// Whether the answer should carry the client's next nonce.
    pub(super) const fn wants_nonce(&self) -> bool {
        self.renew_nonce
    }
}

impl ResourceServer {
    /// Checks a request and uses its proof up. Must run inside a tokio runtime.
    ///
    /// Whoever passes may do whatever its token allows, so the view of revocations must be current.
    ///
    /// # Errors
    /// [`AccessError`], naming the first check that failed; [`ResourceServer::refusal`] makes the
    /// answer of it.
    pub async fn authenticate(&self, request: &RequestHead<'_>) -> Result<Caller, AccessError> {
        self.authenticate_for(request, Demand::Anything).await
    }

    /// The same for what needs `scope` and nothing else: where that scope is open, the view of
    /// revocations may be old, and [`Caller::require`] then refuses the caller all that is not.
    ///
    /// # Errors
    /// As [`ResourceServer::authenticate`], and [`AccessError::InsufficientScope`].
    pub async fn authenticate_scoped(
        &self,
        request: &RequestHead<'_>,
        scope: &'static str,
    ) -> Result<Caller, AccessError> {
        let caller = self.authenticate_for(request, Demand::Scope(scope)).await?;
        caller.require(scope)?;
        Ok(caller)
    }

    pub(super) async fn authenticate_for(
        &self,
        request: &RequestHead<'_>,
        demand: Demand,
    ) -> Result<Caller, AccessError> {
        // 1. One token under one scheme, and at most one proof.
        let credentials = Credentials::read(request.headers)?;
        // 2. The token: our issuer's, for us, now.
        let ath = AccessTokenHash::of(credentials.token);
        let verdict = self.verified(credentials.token, ath).await?;
        self.0.revocations.settle(self.0.clock.now()).await;
        // What was waited for may have withdrawn the key that the verdict rests on.
        if !self.0.keys.keys().await?.holds(verdict.token.key()) {
            return Err(self.unknown_key(credentials.token));
        }
        // Read after the waits: judged by the time before it, a used proof could still pass
        // for young when its use is forgotten already.
        let now = self.0.clock.now();
        verdict.token.claims().check_times(now, self.0.policy.leeway)?;
        // 3. The scheme fits the token's binding: a bound token never goes without its key.
        let token = verdict.token.claims();
        let (admission, standing, renew_nonce) = match (credentials.scheme, token.cnf_jkt()) {
            (Scheme::Bearer, Some(_)) => return Err(AccessError::BoundTokenAsBearer),
            (Scheme::Bearer, None) => {
                let admission = self.admit_unbound(&credentials)?;
                (admission, self.standing(token, demand, now)?, false)
            }
            (Scheme::Dpop, None) => return Err(AccessError::UnboundTokenAsDpop),
            (Scheme::Dpop, Some(jkt)) => {
                // 4. The proof: for this request and token, by the token's key. Pure.
                let proof = credentials.proof.ok_or(AccessError::ProofMissing)?;
                let bound = TokenBinding::Bound { ath, jkt };
                let known = verdict.proof_key.get();
                let (proof, renew_nonce) = self.check_proof(proof, bound, known, request, now)?;
                verdict.proof_key.get_or_init(|| proof.known_key());
                // 5. The token still stands, as far as what is demanded needs to be known.
                let standing = self.standing(token, demand, now)?;
                // 6. The proof is used up. Of any number of requests with it, one gets past here.
                let claimed = self.0.used_proofs.claim(&proof, now).await?;
                (Admission::Proof(claimed), standing, renew_nonce)
            }
        };
        Ok(self.admit(verdict, standing, admission, request, renew_nonce))
    }

    /// The only place that makes a [`Caller`]; it cannot be reached without what let it in.
    fn admit(
        &self,
        verdict: Arc<Verdict>,
        standing: Standing,
        _by: Admission,
        request: &RequestHead<'_>,
        renew_nonce: bool,
    ) -> Caller {
        let request = format!("{} {}", request.method, request.path()).into();
        Caller { verdict, standing, server: self.0.id, request, renew_nonce }
    }

    /// The token, verified now or before; the issuer's keys are looked at each time, and the
    /// token's times by the caller, for this may wait.
    async fn verified(
        &self,
        token: &str,
        ath: AccessTokenHash,
    ) -> Result<Arc<Verdict>, AccessError> {
        let known = self.0.verdicts.get(&ath);
        if known.is_none() {
            screen(token, &self.0.policy.algorithms)?;
        }
        // Before the wait for keys, so that both are waited for at once.
        self.0.revocations.start();
        let keys = self.0.keys.keys().await?;
        if let Some(known) = known.filter(|known| keys.holds(known.token.key())) {
            return Ok(known);
        }
        let verified = match self.verify(token, &keys) {
            // The issuer may have a new key since; at most one look for it in each cool-down. As
            // long as nobody looked, the token is not wrong: 503, and its holder keeps it.
            Err(TokenError::UnknownKey) => match self.0.keys.newer_than(&keys).await? {
                Some(newer) => self.verify(token, &newer),
                None => Err(TokenError::UnknownKey),
            },
            verdict => verdict,
        };
        let token = match verified {
            Err(TokenError::UnknownKey) => return Err(self.unknown_key(token)),
            verdict => verdict?,
        };
        let verdict = Arc::new(Verdict { token, proof_key: OnceLock::new() });
        self.0.verdicts.insert(ath, Arc::clone(&verdict));
        Ok(verdict)
    }

    /// The refusal of a token whose key is not among those that tokens verify by. Where only the feed or
    /// only the key set names it, the token is not wrong yet: 503.
    fn unknown_key(&self, token: &str) -> AccessError {
        match key_name(token) {
            Some(name) if self.0.keys.is_open(&name) => AccessError::KeysUnavailable,
            Some(_) | None => TokenError::UnknownKey.into(),
        }
    }

    fn verify(&self, token: &str, keys: &IssuerKeys) -> Result<VerifiedToken, TokenError> {
        let policy = &self.0.policy;
        let expected = ExpectedToken {
            issuer: &policy.issuer,
            audience: &policy.audience,
            algorithms: &policy.algorithms,
            now: self.0.clock.now(),
            leeway: policy.leeway,
        };
        let verified = verify_access_token(token, keys, &expected)?;
        verified
            .claims()
            .check_lifetime(policy.max_token_lifetime.saturating_add(policy.leeway))?;
        Ok(verified)
    }

    fn admit_unbound(&self, credentials: &Credentials<'_>) -> Result<Admission, AccessError> {
        if credentials.proof.is_some() {
            Err(AccessError::ProofWithBearer)
        } else if self.0.policy.accepts_bearer {
            Ok(Admission::Unbound)
        } else {
            Err(AccessError::BearerNotAccepted)
        }
    }

    /// Checks the proof; also tells whether the client should be given its next nonce.
    fn check_proof(
        &self,
        proof: &str,
        token: TokenBinding,
        known: Option<&KnownKey>,
        request: &RequestHead<'_>,
        now: Timestamp,
    ) -> Result<(VerifiedProof, bool), AccessError> {
        let target_uri = TargetUri::at(&self.0.policy.public_base, request.path())
            .map_err(|_| AccessError::MalformedTarget)?;
        let nonce = self.0.nonces.judge();
        let expected = dpop::Expected {
            method: request.method,
            target_uri: &target_uri,
            token,
            nonce: &nonce,
            window: self.0.policy.window,
            now,
        };
        match dpop::check_by(proof, &expected, known) {
            Ok(verified) => Ok((verified, nonce.wants_renewal(now))),
            Err(DpopError::Nonce) => {
                Err(AccessError::NonceNeeded { fresh: self.fresh_nonce(now)? })
            }
            Err(error) => Err(AccessError::Proof(error)),
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "once_tests.rs"]
mod once_tests;

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod rotation_tests;
