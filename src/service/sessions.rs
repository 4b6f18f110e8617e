//! A subject sees and ends its own sessions, whichever of its tokens it comes with (protocol.md §2).
//!
//! What is another subject's does not exist here: it is neither shown nor told from what never was.

use super::admin::operator;
use super::context::{Context, session_refusal};
use super::holder::Holder;
use super::recording;
use crate::audit::Event;
use crate::audit::event::{Actor, SessionEnded};
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::Revocation;
use crate::model::session::{Session, SessionId};
use crate::store::SessionError;

/// The sessions of the holder's subject, for every resource, the oldest first.
///
/// # Errors
/// [`Reason::StoreUnavailable`].
pub async fn list(context: &Context, holder: &Holder) -> Result<Vec<Session>, Refusal> {
    let subject = holder.token().subject();
    context.store.sessions_of(subject, context.now()).await.map_err(session_refusal)
}

/// Ends one session and its tokens. It is kept when this returns.
///
/// # Errors
/// [`Reason::SessionUnknown`] when it is none of the subject's, or over; [`Reason::OperatorUnknown`] where the
/// subject is an operator and the token alone says so; [`Reason::StoreUnavailable`].
pub async fn end(context: &Context, holder: &Holder, id: SessionId) -> Result<(), Refusal> {
    let now = context.now();
    operator::check_own(context, holder, now).await?;
    let session = match context.store.session(id, now).await {
        Ok(session) if session.subject == holder.token().subject() => session,
        Ok(_) | Err(SessionError::Ended) => return Err(unknown()),
        Err(error) => return Err(session_refusal(error)),
    };
    let ended = context.store.revoke(&Revocation::Session(session.id), now).await;
    if matches!(ended, Ok(()) | Err(SessionError::Unpublished)) {
        let (sid, sub, by) =
            (session.id, session.into_session().subject, Actor::Holder(holder.key()));
        recording::told(context, Event::SessionEnded(SessionEnded { sid, sub, by }), now);
    }
    ended.map_err(session_refusal)
}

/// Ends every session of the holder's subject, and every token of it up to and including this second.
///
/// # Errors
/// [`Reason::OperatorUnknown`] where the subject is an operator and the token alone says so;
/// [`Reason::StoreUnavailable`].
pub async fn end_all(context: &Context, holder: &Holder) -> Result<(), Refusal> {
    let now = context.now();
    operator::check_own(context, holder, now).await?;
    let everything = Revocation::Subject(holder.token().subject().to_owned());
    let done = context.store.revoke(&everything, now).await;
    recording::of_revocation(context, &everything, Actor::Holder(holder.key()), done, now)
}

/// The refusal for a session that is none of the subject's.
pub(crate) fn unknown() -> Refusal {
    Refusal::new(Reason::SessionUnknown, "this subject has no session of that name")
}
