//! The DPoP proof of a request: checked first and purely, claimed near the end.

use countersign_sdk::key::{KeyError, Thumbprint};
use countersign_sdk::proof::dpop::{self, DpopError, Expected, TokenBinding, VerifiedProof};
use countersign_sdk::proof::replay::{ClaimError, Claimed};
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::time::Timestamp;

use super::context::{Context, store_refusal};
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::ResourceRules;
use crate::store::StoreError;
use crate::token::access::{Possession, proof_required};

/// What a proof must be made for.
#[derive(Clone, Copy, Debug)]
pub struct Proven<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's URI.
    pub target: &'a TargetUri,
    /// The access token in the request.
    pub token: TokenBinding,
}

/// Checks the proof of a request to the token endpoint, if there is one. Uses nothing up.
///
/// # Errors
/// The refusal that names the check (RFC 9449 §4.3).
pub fn check(
    context: &Context,
    proof: Option<&str>,
    now: Timestamp,
) -> Result<Option<VerifiedProof>, Refusal> {
    let proven = Proven {
        method: "POST",
        target: &context.issuer.token_endpoint,
        token: TokenBinding::NoToken,
    };
    proof.map(|proof| check_for(context, proof, &proven, now)).transpose()
}

/// Checks the proof of any request. Uses nothing up.
///
/// # Errors
/// The refusal that names the check (RFC 9449 §4.3).
pub fn check_for(
    context: &Context,
    proof: &str,
    proven: &Proven<'_>,
    now: Timestamp,
) -> Result<VerifiedProof, Refusal> {
    let expected = Expected {
        method: proven.method,
        target_uri: proven.target,
        token: proven.token,
        nonce: &context
            .nonces
            .for_proofs(context.rules.require_nonce, context.proofs_need_nonce_before),
        window: context.rules.window,
        now,
    };
    dpop::check(proof, &expected).map_err(|error| refusal(&error))
}

/// Whether the proof is by the key that the token is to be bound to. `signed_for` is the session
/// key that the wallet signed for, if it signed for one; `proven` is the wallet's own key, if it has one.
///
/// A contract has none, and what its owners sign may be public before it is used: multisignature
/// wallets gather signatures in lists that anybody reads. So a session key is signed for, or nothing is opened.
///
/// # Errors
/// [`Reason::ProofKeyMismatch`]; [`Reason::ProofRequired`] without a proof where one is needed: a
/// message that names a session key opens nothing for anybody who does not hold that key.
/// [`Reason::SessionKeyInvalid`] for a contract's without a session key and without a proof.
pub fn match_key(
    proof: Option<&VerifiedProof>,
    signed_for: Option<Thumbprint>,
    proven: impl Into<Option<Thumbprint>>,
) -> Result<(), Refusal> {
    let Some(key) = signed_for.or(proven.into()) else {
        let reason = match proof {
            Some(_) => Reason::ProofKeyMismatch,
            None => Reason::SessionKeyInvalid,
        };
        return Err(Refusal::new(
            reason,
            "this is no signature of the account's own key, and a contract account has no key that could \
             sign requests: ask for the challenge with dpop_jkt, the thumbprint of a session key",
        ));
    };
    match (proof, signed_for) {
        (Some(proof), _) if proof.thumbprint() == key => Ok(()),
        (Some(_), _) => Err(Refusal::new(
            Reason::ProofKeyMismatch,
            "the DPoP proof must be by the session key that the message names, or, where it names \
             none, by the key that signed it",
        )),
        (None, Some(_)) => Err(proof_required()),
        (None, None) => Ok(()),
    }
}

/// Claims the proof, so that it is used once; without one, asks the resource's rules.
///
/// # Errors
/// [`Reason::ProofReplayed`], [`Reason::ProofRequired`] or [`Reason::StoreUnavailable`].
pub async fn claim(
    context: &Context,
    proof: Option<&VerifiedProof>,
    rules: &ResourceRules,
    now: Timestamp,
) -> Result<Possession, Refusal> {
    let Some(proof) = proof else {
        return Possession::bearer(rules);
    };
    let claimed = claim_proof(context, proof, now).await?;
    Ok(Possession::bound(proof, &claimed))
}

/// Claims the proof, so that it is used once.
///
/// # Errors
/// [`Reason::ProofReplayed`] or [`Reason::StoreUnavailable`].
pub async fn claim_proof(
    context: &Context,
    proof: &VerifiedProof,
    now: Timestamp,
) -> Result<Claimed, Refusal> {
    let replayed =
        || Refusal::new(Reason::ProofReplayed, "this DPoP proof was used before; make a new one");
    let claimed = context.store.claim(proof.replay_key(), proof.retain_until(), now).await;
    claimed.map_err(|error| store_refusal(store_error(error), replayed()))
}

/// A claim's error in the words of the store.
pub(crate) const fn store_error(error: ClaimError) -> StoreError {
    match error {
        ClaimError::Replayed => StoreError::Used,
        ClaimError::Full => StoreError::Full,
        ClaimError::Unavailable => StoreError::Unavailable,
    }
}

fn refusal(error: &DpopError) -> Refusal {
    let reason = match error {
        DpopError::Key(KeyError::PrivateKey) => Reason::PrivateKeyReceived,
        DpopError::TooOld(_) | DpopError::InFuture(_) => Reason::ProofExpired,
        DpopError::Nonce => Reason::ProofNonceRequired,
        DpopError::KeyMismatch => Reason::ProofKeyMismatch,
        DpopError::Malformed(_)
        | DpopError::Type
        | DpopError::Key(_)
        | DpopError::Signature
        | DpopError::Jti
        | DpopError::Method { .. }
        | DpopError::Target { .. }
        | DpopError::TokenHash => Reason::ProofInvalid,
    };
    Refusal::new(reason, format!("the DPoP proof was refused: {error}"))
}
