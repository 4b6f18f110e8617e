//! What is revoked by whoever holds a token, and what needs the token's key besides (RFC 7009, protocol.md §7).
//!
//! A token alone burns itself: whoever found a leaked one does its owner a service. Everything of a
//! key or a subject takes a proof. Nothing is written for a text that is no token of ours, so that strangers
//! cannot fill the store.

use countersign_sdk::time::Timestamp;

use super::admin::operator;
use super::context::{Context, session_refusal};
use super::holder::{Holder, Presented};
use super::recording;
use crate::audit::event::Actor;
use crate::model::reason::Refusal;
use crate::model::revocation::{Revocation, TokenNames};
use crate::model::session::SessionId;
use crate::store::SessionError;
use crate::token::jws::away;
use crate::token::refresh::PREFIX;
use crate::token::verify::NotLive;

/// What more than one token a holder revokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Everything {
    /// Of the key that the token is bound to.
    OfKey,
    /// Of the subject.
    OfSubject,
}

/// Revokes one access token, or the session of a refresh token. It is kept when this returns; a text
/// that is no live token of ours is one that needs no revoking.
///
/// # Errors
/// [`Reason::StoreUnavailable`](crate::model::reason::Reason::StoreUnavailable), and
/// [`Reason::SigningUnavailable`](crate::model::reason::Reason::SigningUnavailable) while nobody can tell
/// whether it is ours.
pub async fn revoke(context: &Context, token: &str) -> Result<(), Refusal> {
    let now = context.now();
    let Some(revocation) = target(context, token, now).await? else {
        return Ok(());
    };
    let done = context.store.revoke(&revocation, now).await;
    recording::of_revocation(context, &revocation, Actor::Bearer, done, now)
}

/// What a token names, if something of it may still have to end.
async fn target(
    context: &Context,
    token: &str,
    now: Timestamp,
) -> Result<Option<Revocation>, Refusal> {
    if token.starts_with(PREFIX) {
        let Ok(genuine) = context.refresh_tokens.read(token) else { return Ok(None) };
        // An old one burns the session as well: who holds it can only be its owner or a thief.
        return match context.store.session(genuine.session(), now).await {
            Ok(session) => Ok(Some(Revocation::Session(session.id))),
            Err(SessionError::Ended) => unpublished(context, genuine.session(), now).await,
            Err(error) => Err(session_refusal(error)),
        };
    }
    match context.access_tokens.to_revoke(token, &*context.store, now).await {
        Ok(token) => Ok(Some(Revocation::Token {
            jti: token.id().to_owned(),
            expires_at: token.expires_at(),
        })),
        Err(NotLive::NotOurs | NotLive::Expired | NotLive::Revoked) => Ok(None),
        Err(NotLive::Unverifiable) => Err(away()),
        Err(NotLive::Unknown(error)) => Err(session_refusal(error)),
    }
}

/// A session that is over, where no entry says so: it may have ended as there was no room for one, and its
/// last tokens live.
async fn unpublished(
    context: &Context,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Revocation>, Refusal> {
    let names =
        TokenNames { jti: None, session: Some(id), subject: "", keys: [None; 2], issued_at: now };
    let is_revoked = context.store.is_revoked(&names, now).await.map_err(session_refusal)?;
    Ok((!is_revoked).then_some(Revocation::Session(id)))
}

/// Revokes every token and session of the holder's key or subject, up to and including this second.
///
/// # Errors
/// The [`Refusal`] of the first check that failed; the store is the last.
pub async fn revoke_everything(
    context: &Context,
    everything: Everything,
    presented: &Presented<'_>,
) -> Result<(), Refusal> {
    let now = context.now();
    let holder = Holder::prove(context, presented, now).await.inspect_err(|refusal| {
        recording::holder_refused(context, refusal.reason(), now);
    })?;
    let revocation = match everything {
        Everything::OfKey => Revocation::Key(holder.key()),
        Everything::OfSubject => {
            operator::check_own(context, &holder, now).await?;
            Revocation::Subject(holder.token().subject().to_owned())
        }
    };
    let done = context.store.revoke(&revocation, now).await;
    recording::of_revocation(context, &revocation, Actor::Holder(holder.key()), done, now)
}
