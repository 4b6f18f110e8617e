//! A refresh token becomes the next token of its session (RFC 6749 §6, protocol.md §6).
//!
//! Whatever fails before the session is moved on has used nothing up but the proof. What the
//! presented token means – the current one, its predecessor whose answer was lost, or one that
//! somebody kept – is decided by the store in one step.

use countersign_sdk::proof::dpop::VerifiedProof;

use super::IssuedToken;
use super::context::{Context, session_refusal};
use super::mint::{Access, mint_of_session, narrowed};
use super::possession;
use crate::model::reason::{Reason, Refusal};
use crate::model::scope::ScopeSet;
use crate::model::session::Session;
use crate::store::SessionError;

/// What a client sends with the grant `refresh_token`.
#[derive(Clone, Copy, Debug)]
pub struct Refresh<'a> {
    /// The refresh token.
    pub refresh_token: &'a str,
    /// The resource (RFC 8707); must be the session's.
    pub resource: Option<&'a str>,
    /// Fewer scopes than were signed for, for this token alone.
    pub scope: Option<&'a str>,
    /// The `DPoP` header.
    pub proof: Option<&'a str>,
}

/// Verifies the token and the proof, moves the session on, and mints its next tokens.
///
/// # Errors
/// The [`Refusal`] of the first check that failed.
pub async fn refresh(context: &Context, request: &Refresh<'_>) -> Result<IssuedToken, Refusal> {
    let now = context.now();
    let presented = context.refresh_tokens.read(request.refresh_token).map_err(|error| {
        Refusal::new(Reason::RefreshTokenInvalid, format!("the refresh token: {error}"))
    })?;
    let proof = possession::check(context, request.proof, now)?;
    let session = context.store.session(presented.session(), now).await.map_err(session_refusal)?;
    // The holder first: who is none learns nothing about the session and changes nothing in it.
    let holder = proof.as_ref().map(VerifiedProof::thumbprint);
    if session.bound_to != holder {
        return Err(match holder {
            None => crate::token::access::proof_required(),
            Some(_) => session_refusal(SessionError::OtherKey),
        });
    }
    let access = access_for(context, request, &session)?;
    let possession = possession::claim(context, proof.as_ref(), access.target.rules, now).await?;
    let live = context
        .store
        .rotate(presented.session(), presented.generation(), possession.jkt(), now)
        .await
        .map_err(session_refusal)?;
    mint_of_session(context, &live, &possession, &access, now)
}

/// Resource and scopes of the session, as far as the rules still allow them: a scope that no longer
/// exists is left out, and whoever is denied by now gets nothing.
fn access_for<'a>(
    context: &'a Context,
    request: &Refresh<'_>,
    session: &Session,
) -> Result<Access<'a>, Refusal> {
    if request.resource.is_some_and(|asked| asked != session.resource) {
        let detail = "the session is for another resource; sign in for this one";
        return Err(Refusal::new(Reason::ResourceNotAllowed, detail));
    }
    let target = context.rules.resources.find(Some(&session.resource))?;
    target.rules.check_format(&session.method)?;
    target.rules.check_subject(&session.subject)?;
    let granted: ScopeSet = session.scope.parse()?;
    let scope = narrowed(target.rules.known_of(granted), request.scope)?;
    Ok(Access { target, scope, until: Some(session.ends_at) })
}
