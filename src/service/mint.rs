//! The end of every grant: the token is signed, for no longer than what was signed for holds.

use countersign_sdk::time::Timestamp;

use super::IssuedToken;
use super::context::Context;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::Target;
use crate::model::scope::ScopeSet;
use crate::store::LiveSession;
use crate::token::access::{self, Authenticated, Grant, Possession};

/// What the token will be for.
pub(crate) struct Access<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) scope: ScopeSet,
    /// The last second at which what was signed still holds, where it ends before a token would.
    pub(crate) until: Option<Timestamp>,
}

/// Signs the token and writes the answer.
///
/// # Errors
/// [`Reason::SigningUnavailable`] when the key does not sign, [`Reason::ServerError`] when randomness fails.
pub(crate) fn mint(
    context: &Context,
    who: &Authenticated,
    possession: &Possession,
    access: &Access<'_>,
    now: Timestamp,
) -> Result<IssuedToken, Refusal> {
    let ttl = access.target.rules.token_ttl;
    let lifetime = access.until.map_or(ttl, |until| ttl.min(until.since(now)));
    let grant = Grant {
        issuer: &context.issuer.url,
        audience: &access.target.uri,
        scope: &access.scope,
        lifetime,
        now,
    };
    let key = context.keyring.active(now);
    let issued = access::issue(&key, who, possession, &grant, &*context.entropy)?;
    Ok(IssuedToken {
        access_token: issued.token,
        token_type: possession.token_type(),
        expires_in: lifetime,
        scope: access.scope.to_string(),
        sub: who.subject().to_owned(),
        refresh_token: None,
        session: None,
        jti: issued.jti,
        expires_at: issued.expires_at,
        jkt: possession.jkt(),
        kid: key.kid().to_owned(),
    })
}

/// The same for a session that was opened or moved on by this request, with its refresh token.
///
/// # Errors
/// As [`mint`].
pub(crate) fn mint_of_session(
    context: &Context,
    live: &LiveSession,
    possession: &Possession,
    access: &Access<'_>,
    now: Timestamp,
) -> Result<IssuedToken, Refusal> {
    let issued = mint(context, &Authenticated::by_session(live), possession, access, now)?;
    Ok(IssuedToken {
        refresh_token: Some(context.refresh_tokens.current(live)),
        session: Some(live.session().id),
        ..issued
    })
}

/// The scopes asked for out of those that were granted.
///
/// # Errors
/// [`Reason::ScopeNotGranted`] naming the first that was not.
pub(crate) fn narrowed(granted: ScopeSet, asked: Option<&str>) -> Result<ScopeSet, Refusal> {
    let Some(asked) = asked.filter(|text| !text.is_empty()) else {
        return Ok(granted);
    };
    let asked: ScopeSet = asked.parse()?;
    match asked.first_outside(&granted) {
        None => Ok(asked),
        Some(scope) => Err(Refusal::new(
            Reason::ScopeNotGranted,
            format!("the scope {scope} was not signed for"),
        )),
    }
}
