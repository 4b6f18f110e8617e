//! Whether a request comes from the holder of a live access token of this issuer: the token, and a proof by its key.
//!
//! The token may be for any resource: the holder acts here on what is their own. A token that is
//! bound to no key proves nothing about who sends it, and is refused. RFC 9449 §7.

use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::dpop::{AccessTokenHash, TokenBinding};
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::time::Timestamp;

use super::context::Context;
use super::possession::{self, Proven};
use crate::model::reason::{Reason, Refusal};
use crate::token::access::proof_required;
use crate::token::verify::{NotLive, OwnAccessToken};

/// What the request brings.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The access token.
    pub token: &'a str,
    /// Whether it was sent as one that needs no proof.
    pub as_bearer: bool,
    /// The `DPoP` header.
    pub proof: Option<&'a str>,
    /// The request's method.
    pub method: &'a str,
    /// The request's URI, as a proof for it names it.
    pub target: &'a TargetUri,
}

/// The holder of a live access token, who has proven its key with this very request.
#[derive(Debug)]
pub struct Holder {
    token: OwnAccessToken,
    key: Thumbprint,
}

impl Holder {
    /// Verifies the token and the proof, and claims the proof.
    ///
    /// # Errors
    /// The [`Refusal`] of the first check that failed. Nothing is used up before the last.
    pub async fn prove(
        context: &Context,
        presented: &Presented<'_>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let verified = context.access_tokens.verify(presented.token, &*context.store, now).await;
        Self::of(context, verified.map_err(not_live)?, presented, now).await
    }

    /// The same of a token that was verified a moment ago: the one that is presented.
    ///
    /// # Errors
    /// As [`Holder::prove`].
    pub(crate) async fn of(
        context: &Context,
        token: OwnAccessToken,
        presented: &Presented<'_>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let key = token.key().ok_or_else(|| {
            let detail = "this access token is bound to no key: nobody can prove to be its owner";
            Refusal::new(Reason::TokenNotBound, detail)
        })?;
        if presented.as_bearer {
            let detail = "this access token is bound to a key: send it as DPoP with a proof";
            return Err(Refusal::new(Reason::BoundTokenAsBearer, detail));
        }
        let proven = Proven {
            method: presented.method,
            target: presented.target,
            token: TokenBinding::Bound { ath: AccessTokenHash::of(presented.token), jkt: key },
        };
        let proof = presented.proof.ok_or_else(proof_required)?;
        let proof = possession::check_for(context, proof, &proven, now)?;
        let _claimed = possession::claim_proof(context, &proof, now).await?;
        Ok(Self { token, key })
    }

    /// The token.
    pub const fn token(&self) -> &OwnAccessToken {
        &self.token
    }

    /// The key that it is bound to, and that was proven.
    pub const fn key(&self) -> Thumbprint {
        self.key
    }
}

/// The refusal of a token that opens nothing here.
pub(crate) fn not_live(error: NotLive) -> Refusal {
    let reason = match error {
        NotLive::NotOurs => Reason::TokenInvalid,
        NotLive::Expired => Reason::TokenExpired,
        NotLive::Revoked => Reason::TokenRevoked,
        NotLive::Unverifiable => return crate::token::jws::away(),
        NotLive::Unknown(error) => return super::context::session_refusal(error),
    };
    Refusal::new(reason, format!("the access token: {error}"))
}
