//! Whether a signature was given before its subject, its keys or everything was revoked: then it opens nothing any more.
//!
//! For tokens that belong to no session. A session is opened by the store, which looks at the same in
//! the same step (`Store::open`).

use countersign_sdk::time::Timestamp;

use super::context::{Context, session_refusal};
use crate::model::reason::Refusal;
use crate::model::revocation::TokenNames;
use crate::store::SessionError;
use crate::token::access::{Authenticated, Possession};

/// Checks that nothing was revoked since `signed_from` that the token would fall under.
///
/// # Errors
/// [`Reason::SessionEnded`](crate::model::reason::Reason::SessionEnded) or
/// [`Reason::StoreUnavailable`](crate::model::reason::Reason::StoreUnavailable).
pub async fn check(
    context: &Context,
    who: &Authenticated,
    possession: &Possession,
    signed_from: Timestamp,
    now: Timestamp,
) -> Result<(), Refusal> {
    let names = TokenNames {
        jti: None,
        session: None,
        subject: who.subject(),
        keys: [possession.jkt(), who.proven()],
        issued_at: signed_from,
    };
    match context.store.is_revoked(&names, now).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(session_refusal(SessionError::Ended)),
        Err(error) => Err(session_refusal(error)),
    }
}
