//! What the use cases record: a sign-in with its evidence before it is answered, and refusals that decide something.
//!
//! Nothing of a text that was refused is repeated but an account and a domain that are well formed: it
//! could hold anything, a private key too.

use countersign_sdk::account::Account;
use countersign_sdk::proof::jwt_assertion::VerifiedAssertion;
use countersign_sdk::time::Timestamp;

use super::IssuedToken;
use super::challenge::ChallengeRequest;
use super::context::{CLOCK_SKEW, Context, audit_refusal, session_refusal};
use super::on_chain::Proven;
use super::sign_in::{SignedMessage, format_of};
use crate::audit::Event;
use crate::audit::event::{Actor, Refreshed, Refused, Revoked, RevokedWhat, SessionRefused};
use crate::audit::evidence::{Given, NonceKind, Policy, Proof, SignIn, SignedText};
use crate::audit::refusals::is_decision;
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::Revocation;
use crate::store::SessionError;
use crate::wallet::format::{Evidence, VerifiedSigner};
use crate::wallet::policy::{BoundMessage, NonceOrigin};
use crate::wallet::recap;

/// The longest domain that is repeated, in bytes.
const LONGEST_DOMAIN: usize = 255;

/// Refuses what could not be recorded, before anything is used up for it.
///
/// # Errors
/// [`Reason::AuditUnavailable`].
pub(crate) fn check(context: &Context) -> Result<(), Refusal> {
    context.audit.check().map_err(audit_refusal)
}

/// Records a sign-in by message. The token may be answered when this returns.
///
/// # Errors
/// [`Reason::AuditUnavailable`].
pub(crate) async fn by_message(
    context: &Context,
    request: &SignedMessage<'_>,
    (bound, proven, evidence): (&BoundMessage<'_>, &Proven, &Evidence<'_>),
    resource: &str,
    issued: &IssuedToken,
    now: Timestamp,
) -> Result<(), Refusal> {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let lifetime = context.rules.challenge_lifetime;
    let sign_in = SignIn {
        sub: issued.sub.clone(),
        // A text that names whoever answers has a stand-in for an account; who answered is the signer.
        account: proven.signer().map_or(bound.account(), VerifiedSigner::account).to_string(),
        proven_key: proven.signer().and_then(|signer| signer.key().to_did_key()),
        proven_jkt: proven.thumbprint(),
        chain: proven.chain_said(),
        proof: Proof::Message(SignedText {
            format: bound.format().name().to_owned(),
            message: encode(request.message),
            signature: evidence.signature.to_owned(),
            public_key: evidence.public_key.map(str::to_owned),
            nonce: match bound.nonce().origin {
                NonceOrigin::Challenge => NonceKind::Challenge,
                NonceOrigin::Bare => NonceKind::Bare,
            },
            nonce_at: bound.nonce().until.minus(lifetime),
        }),
        policy: Policy {
            issuer: context.issuer.url.clone(),
            domain: bound.domain().to_owned(),
            resource: resource.to_owned(),
            requested_scope: request.scope.map(str::to_owned),
            signed_scope: bound.grant().map(recap::Grant::scopes).map(ToString::to_string),
            challenge_lifetime: lifetime,
            clock_skew: CLOCK_SKEW,
            session_lifetime: context.rules.session_lifetime,
        },
        token: given(issued),
    };
    written(context, sign_in, now).await
}

/// Records a sign-in by assertion. The token may be answered when this returns.
///
/// # Errors
/// [`Reason::AuditUnavailable`].
pub(crate) async fn by_assertion(
    context: &Context,
    (text, assertion): (&str, &VerifiedAssertion),
    (resource, requested): (&str, Option<&str>),
    issued: &IssuedToken,
    now: Timestamp,
) -> Result<(), Refusal> {
    let did = assertion.account().to_did();
    let sign_in = SignIn {
        sub: issued.sub.clone(),
        account: assertion.account().to_string(),
        proven_key: assertion.key().to_did_key(),
        proven_jkt: Some(assertion.key().thumbprint()),
        chain: None,
        proof: Proof::Assertion(text.to_owned()),
        policy: Policy {
            issuer: context.issuer.url.clone(),
            domain: did,
            resource: resource.to_owned(),
            requested_scope: requested.map(str::to_owned),
            signed_scope: assertion.scope().map(str::to_owned),
            challenge_lifetime: context.rules.challenge_lifetime,
            clock_skew: context.rules.window.max_future_skew,
            session_lifetime: context.rules.session_lifetime,
        },
        token: given(issued),
    };
    written(context, sign_in, now).await
}

async fn written(context: &Context, sign_in: SignIn, now: Timestamp) -> Result<(), Refusal> {
    context.audit.write(Event::SignIn(Box::new(sign_in)), now).await.map_err(audit_refusal)
}

fn given(issued: &IssuedToken) -> Given {
    Given {
        jti: issued.jti.clone(),
        scope: issued.scope.clone(),
        jkt: issued.jkt,
        sid: issued.session,
        exp: issued.expires_at,
        kid: issued.kid.clone(),
    }
}

/// Records a refresh. The tokens may be answered when this returns.
///
/// # Errors
/// [`Reason::AuditUnavailable`].
pub(crate) async fn refreshed(
    context: &Context,
    resource: &str,
    issued: &IssuedToken,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Some(sid) = issued.session else { return Ok(()) };
    let event = Event::Refreshed(Refreshed {
        sid,
        sub: issued.sub.clone(),
        resource: resource.to_owned(),
        scope: issued.scope.clone(),
        jti: issued.jti.clone(),
        exp: issued.expires_at,
        kid: issued.kid.clone(),
    });
    context.audit.write(event, now).await.map_err(audit_refusal)
}

/// Records that a sign-in by message was refused.
pub(crate) fn message_refused(
    context: &Context,
    request: &SignedMessage<'_>,
    reason: Reason,
    now: Timestamp,
) {
    if !is_decision(reason) {
        return;
    }
    let message =
        format_of(request).and_then(|format| Ok((format, format.read(request.message)?))).ok();
    let account = message.as_ref().and_then(|(format, message)| {
        let named = format.accounts().account_of(message).ok()?;
        // Whoever answers is nobody yet.
        (format.whoever_answers().as_ref() != Some(&named)).then_some(named)
    });
    let domain = message.as_ref().map(|(_, message)| message.fields().domain);
    let refused = Refused {
        account: account.map(|account| account.to_string()),
        domain: domain.and_then(short),
        resource: known_resource(context, request.resource),
        ..Refused::of(reason)
    };
    context.audit.record_refusal(Event::SignInRefused(refused), reason, now);
}

/// Records that a sign-in by assertion was refused; `account` once its signature was verified.
pub(crate) fn assertion_refused(
    context: &Context,
    account: Option<String>,
    resource: Option<&str>,
    reason: Reason,
    now: Timestamp,
) {
    let resource = known_resource(context, resource);
    let refused = Refused { account, resource, ..Refused::of(reason) };
    context.audit.record_refusal(Event::SignInRefused(refused), reason, now);
}

/// Records that a challenge was refused.
pub(crate) fn challenge_refused(
    context: &Context,
    request: &ChallengeRequest<'_>,
    reason: Reason,
    now: Timestamp,
) {
    let account = request.account.and_then(|account| account.parse::<Account>().ok());
    let refused = Refused {
        account: account.map(|account| account.to_string()),
        domain: request.domain.and_then(short),
        resource: known_resource(context, request.resource),
        ..Refused::of(reason)
    };
    context.audit.record_refusal(Event::ChallengeRefused(refused), reason, now);
}

/// Records that a refresh was refused. Reuse ends a session and is recorded in any case.
pub(crate) fn refresh_refused(
    context: &Context,
    refused: SessionRefused,
    reason: Reason,
    now: Timestamp,
) {
    if reason == Reason::RefreshReused {
        told(context, Event::RefreshReused(refused), now);
    } else {
        context.audit.record_refusal(Event::RefreshRefused(refused), reason, now);
    }
}

/// Records that somebody is no resource server of ours.
pub(crate) fn introspection_refused(
    context: &Context,
    account: Option<String>,
    resource: Option<&str>,
    reason: Reason,
    now: Timestamp,
) {
    let resource = known_resource(context, resource);
    let refused = Refused { account, resource, ..Refused::of(reason) };
    context.audit.record_refusal(Event::IntrospectionRefused(refused), reason, now);
}

/// Records that somebody who brought an access token was not taken for its holder.
pub(crate) fn holder_refused(context: &Context, reason: Reason, now: Timestamp) {
    context.audit.record_refusal(Event::HolderRefused(Refused::of(reason)), reason, now);
}

/// Records a revocation that is done.
pub(crate) fn revoked(context: &Context, revocation: &Revocation, by: Actor, now: Timestamp) {
    told(context, Event::Revoked(Revoked { what: named(revocation), by }), now);
}

/// Records what became of a revocation: it is done, or has ended sessions at least.
///
/// # Errors
/// [`Reason::StoreUnavailable`] where it is not done.
pub(crate) fn of_revocation(
    context: &Context,
    revocation: &Revocation,
    by: Actor,
    done: Result<(), SessionError>,
    now: Timestamp,
) -> Result<(), Refusal> {
    if matches!(done, Ok(()) | Err(SessionError::Unpublished)) {
        revoked(context, revocation, by, now);
    }
    done.map_err(session_refusal)
}

/// Records something that has happened and is not taken back for want of a record.
pub(crate) fn told(context: &Context, event: Event, now: Timestamp) {
    let name = event.name();
    if let Err(error) = context.audit.record(event, now) {
        tracing::error!(%error, event = name, "this happened and is not recorded");
    }
}

/// What a revocation is called in the log.
pub fn named(revocation: &Revocation) -> RevokedWhat {
    match revocation {
        Revocation::Token { jti, .. } => RevokedWhat::Token(jti.clone()),
        Revocation::Session(sid) => RevokedWhat::Session(*sid),
        Revocation::Key(jkt) => RevokedWhat::Key(*jkt),
        Revocation::Subject(subject) => RevokedWhat::Subject(subject.clone()),
        Revocation::Everything => RevokedWhat::Everything,
        Revocation::TokensBefore(moment) => RevokedWhat::TokensBefore(*moment),
    }
}

fn short(domain: &str) -> Option<String> {
    let fits = domain.len() <= LONGEST_DOMAIN && !domain.chars().any(char::is_control);
    fits.then(|| domain.to_owned())
}

/// A resource that was named, if it is one.
fn known_resource(context: &Context, named: Option<&str>) -> Option<String> {
    let found = named.and_then(|named| context.target(Some(named)).ok())?;
    (found.uri.len() <= 2048).then(|| found.uri.to_string())
}
