//! A refresh token becomes the next token of its session (RFC 6749 §6, protocol.md §6).
//!
//! Whatever fails before the session is moved on has used nothing up but the proof. What the
//! presented token means – the current one, its predecessor whose answer was lost, or one that
//! somebody kept – is decided by the store in one step.

use countersign_sdk::account::Account;
use countersign_sdk::proof::dpop::VerifiedProof;
use countersign_sdk::time::Timestamp;

use super::context::{Context, session_refusal};
use super::keys;
use super::mint::{Access, mint_of_session, narrowed};
use super::on_chain::again;
use super::{IssuedToken, possession, recording};
use crate::audit::event::SessionRefused;
use crate::model::reason::{Reason, Refusal};
use crate::model::scope::ScopeSet;
use crate::model::session::Session;
use crate::store::{ProvenKey, SessionError};
use crate::wallet::{policy, registry};

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
    let mut seen = SessionRefused { reason: String::new(), sid: None, sub: None };
    let refreshed = walk(context, request, &mut seen, now).await;
    if let Err(refusal) = &refreshed {
        let reason = refusal.reason();
        let refused = SessionRefused { reason: reason.code().to_owned(), ..seen };
        recording::refresh_refused(context, refused, reason, now);
    }
    refreshed
}

/// `seen` tells which session it was about, once that is known.
async fn walk(
    context: &Context,
    request: &Refresh<'_>,
    seen: &mut SessionRefused,
    now: Timestamp,
) -> Result<IssuedToken, Refusal> {
    recording::check(context)?;
    keys::ready(context, now)?;
    let presented = context.refresh_tokens.read(request.refresh_token).map_err(|error| {
        Refusal::new(Reason::RefreshTokenInvalid, format!("the refresh token: {error}"))
    })?;
    seen.sid = Some(presented.session());
    let proof = possession::check(context, request.proof, now)?;
    let session = context.store.session(presented.session(), now).await.map_err(session_refusal)?;
    seen.sub = Some(session.subject.clone());
    // The holder first: who is none learns nothing about the session and changes nothing in it.
    let holder = proof.as_ref().map(VerifiedProof::thumbprint);
    if session.bound_to != holder {
        return Err(match holder {
            None => crate::token::access::proof_required(),
            Some(_) => session_refusal(SessionError::OtherKey),
        });
    }
    let access = access_for(context, request, &session, now)?;
    let possession = possession::claim(context, proof.as_ref(), access.target.rules, now).await?;
    again::prove(context, &session, now).await?;
    // A chain may take its time. What follows is dated after it: a client that lost the answer has all
    // of the time that it has to ask again.
    let now = context.now();
    if access.until.is_some_and(|end| now >= end) {
        return Err(session_refusal(SessionError::Ended));
    }
    let proven =
        proof.as_ref().map(|proof| ProvenKey { jkt: proof.thumbprint(), at: proof.made_at() });
    let place = keys::reserve(context, now).await?;
    let live = context
        .store
        .rotate(session, presented.generation(), proven, now)
        .await
        .map_err(session_refusal)?;
    let issued = mint_of_session(context, &live, &possession, &access, now)?;
    drop(place);
    recording::refreshed(context, &access.target.uri, &issued, now).await?;
    Ok(issued)
}

/// Resource and scopes of the session, as far as the rules still allow them. They may have become
/// stricter since it was opened: a scope that no longer exists is left out, a session that may last
/// less ends earlier, and whoever could not sign in any more gets nothing.
fn access_for<'a>(
    context: &'a Context,
    request: &Refresh<'_>,
    session: &Session,
    now: Timestamp,
) -> Result<Access<'a>, Refusal> {
    if request.resource.is_some_and(|asked| asked != session.resource) {
        let detail = "the session is for another resource; sign in for this one";
        return Err(Refusal::new(Reason::ResourceNotAllowed, detail));
    }
    let rules = &context.rules;
    let target = context.target(Some(&session.resource))?;
    target.rules.check_format(again::format_of(session))?;
    again::check_subject(session, target.rules)?;
    let unreadable = || Refusal::new(Reason::ServerError, "the session's account cannot be read");
    if let Some(did) = &session.proven_did {
        let Ok(Account::Key(key)) = did.parse() else { return Err(unreadable()) };
        target.rules.check_names(registry::subjects_of_key(key.key()))?;
        context.check_one_operator(&target, &session.subject, key.key())?;
    }
    if !rules.domains.allows(&session.client_id) {
        let detail = "the session was opened for a domain that is not allowed any more";
        return Err(Refusal::new(Reason::DomainNotAllowed, detail));
    }
    context.check_domain(&target, &session.client_id)?;
    let account = session.account.parse().map_err(|_| unreadable())?;
    policy::check_chain(&account, &rules.chains)?;
    let longest = match again::is_on_chain(session)? {
        true => rules.session_lifetime.min(rules.contract_session_lifetime),
        false => rules.session_lifetime,
    };
    let ends_at = session.ends_at.min(session.created_at.plus(longest));
    let may_be_unbound = session.bound_to.is_some() || target.rules.bearer_sessions;
    if now >= ends_at || !may_be_unbound {
        return Err(session_refusal(SessionError::Ended));
    }
    let granted = target.rules.known_of(session.scope.parse::<ScopeSet>()?);
    let granted = match context.operators_at(&target) {
        Some(operators) => operators.scopes_left(&session.subject, granted),
        None => granted,
    };
    let scope = narrowed(granted, request.scope)?;
    Ok(Access { target, scope, until: Some(ends_at) })
}
