//! A signed message becomes a token: the walk of protocol.md §4, one line a step.
//!
//! Whatever fails before the last two steps has used nothing up: a stranger who copies a message,
//! alters it or signs it with another key burns nobody's nonce. Only where an account's chain is asked is
//! the proof used up first, so that each question costs its asker one.

use std::borrow::Cow;

use countersign_sdk::account::Account;
use countersign_sdk::time::Timestamp;

use super::context::{Context, session_refusal, store_refusal};
use super::issuing::IssuedBy;
use super::keys;
use super::mint::{Access, mint, mint_of_session, narrowed};
use super::on_chain::Signed;
use super::{IssuedToken, call_back, possession, recording, standing};
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::ResourceRules;
use crate::model::session::SessionId;
use crate::store::SessionError;
use crate::token::access::{Opens, Possession};
use crate::wallet::format::{Evidence, WalletFormat};
use crate::wallet::policy::{self, BoundMessage};
use crate::wallet::{recap, registry};

/// What a client sends with the grant `signed-message`.
#[derive(Clone, Copy, Debug)]
pub struct SignedMessage<'a> {
    /// The message, exactly as it was signed.
    pub message: &'a str,
    /// The signature, in an encoding of the format; absent where the wallet answers by a call-back.
    pub signature: Option<&'a str>,
    /// The format, where the text's first line does not tell.
    pub format: Option<&'a str>,
    /// The public key, for formats whose address is not enough.
    pub public_key: Option<&'a str>,
    /// The resource (RFC 8707); must be the signed one if the message names one.
    pub resource: Option<&'a str>,
    /// Fewer scopes than were signed for.
    pub scope: Option<&'a str>,
    /// What the client calls the device, shown among the subject's sessions.
    pub session_label: Option<&'a str>,
    /// The `DPoP` header.
    pub proof: Option<&'a str>,
}

/// Verifies the message, its signature and the proof, spends the nonce, and mints the token.
///
/// # Errors
/// The [`Refusal`] of the first check that failed.
pub async fn sign_in(
    context: &Context,
    request: &SignedMessage<'_>,
) -> Result<IssuedToken, Refusal> {
    let now = context.now();
    let signed_in = walk(context, request, now).await;
    if let Err(refusal) = &signed_in {
        recording::message_refused(context, request, refusal.reason(), now);
    }
    signed_in
}

async fn walk(
    context: &Context,
    request: &SignedMessage<'_>,
    now: Timestamp,
) -> Result<IssuedToken, Refusal> {
    recording::check(context)?;
    keys::ready(context, now)?;
    check_fields(request)?;
    let format = format_of(request)?;
    let message = format.read(request.message)?;
    let proof = possession::check(context, request.proof, now)?;
    let bound = policy::bind(message, format, &context.expected(now))?;
    let access = access_for(context, request, &bound, format)?;
    let answer = match request.signature {
        Some(_) => None,
        None => {
            // Whoever waits for a wallet uses proofs up: nobody does for what no answer would open.
            check_named(context, &access, &bound)?;
            Some(call_back::answer_to(context, &bound, proof.as_ref(), now).await?)
        }
    };
    let called_back = answer.map(|answer| (answer.signature_text(), answer.key_text()));
    let evidence = match &called_back {
        Some((signature, key)) => Evidence { signature, public_key: Some(key) },
        None => Evidence {
            signature: request.signature.unwrap_or_default(),
            // One that the format does not look at proves nothing, and is not recorded.
            public_key: request.public_key.filter(|_| format.needs_public_key()),
        },
    };
    let issuing = IssuedBy { context, until: now };
    let signed = Signed::read(context, &bound, &evidence, &issuing)?;
    let (key, rules) = (bound.session_key(), access.target.rules);
    let admitted = signed.admit(context, key, proof.as_ref(), rules, now).await?;
    let proven = signed.prove(context, &bound, now).await?;
    proven.check(access.target.rules)?;
    context.check_scopes(&access.target, &proven.subject(), &access.scope)?;
    if let Some(signer) = proven.signer() {
        context.check_one_operator(&access.target, signer.subject(), signer.key())?;
    }
    let access = Access { until: proven.until(context, access.until, now), ..access };
    possession::match_key(proof.as_ref(), bound.session_key().copied(), proven.thumbprint())?;
    let place = keys::reserve(context, now).await?;
    let possession = match admitted {
        Some(claimed) => claimed,
        None => possession::claim(context, proof.as_ref(), access.target.rules, now).await?,
    };
    let nonce = proven.nonce(&bound);
    let spent = context.store.spend(&nonce, now).await;
    let spent = spent.map_err(|error| store_refusal(error, call_back::used()))?;
    // The wallet cannot have signed before the nonce was there.
    let signed_from = bound.nonce().until.minus(context.rules.challenge_lifetime);
    let who = proven.authenticated(&bound, spent);
    let issued = match session_end(context, (&bound, who.subject()), &possession, &access, now) {
        None => {
            standing::check(context, &who, &possession, signed_from, now).await?;
            mint(context, &who, &possession, &access, now)?
        }
        Some(ends_at) => {
            let opens = Opens {
                bound_to: possession.jkt(),
                proven_did: proven.signer().and_then(|signer| signer.key().to_did_key()),
                resource: access.target.uri.to_string(),
                scope: access.scope.to_string(),
                label: request.session_label.map(str::to_owned),
                ends_at,
            };
            let id = SessionId::generate(now, &*context.entropy)
                .map_err(|_| Refusal::new(Reason::ServerError, "no random bytes to be had"))?;
            let opened =
                context.store.open(who.into_session(id, opens, now), signed_from, now).await;
            if matches!(opened, Err(SessionError::Full)) {
                // Surely not opened: the same message opens it when there is room.
                context.store.unspend(&nonce).await;
                return Err(session_refusal(SessionError::Full));
            }
            mint_of_session(context, &opened.map_err(session_refusal)?, &possession, &access, now)?
        }
    };
    drop(place);
    if answer.is_some() {
        call_back::fetched(context, &bound).await;
    }
    let proof = (&bound, &proven, &evidence);
    recording::by_message(context, request, proof, &access.target.uri, &issued, now).await?;
    Ok(issued)
}

/// Refuses an account that the text names and the resource does not take, before it has signed.
fn check_named(
    context: &Context,
    access: &Access<'_>,
    bound: &BoundMessage<'_>,
) -> Result<(), Refusal> {
    let (format, account) = (bound.format(), bound.account());
    // Whoever has not signed yet learns of no account whether it is an operator's.
    if format.is_whoever(account) || context.operators_at(&access.target).is_some() {
        return Ok(());
    }
    let rules = access.target.rules;
    rules.check_subject(&format.accounts().subject_of(account)?)?;
    match account {
        Account::Key(named) => rules.check_names(registry::subjects_of_key(named.key())),
        Account::Chain(_) => Ok(()),
    }
}

/// When the session ends that the message opens; `None` where it opens none: an agent's own key
/// proves itself again instead, and what would end with its first token is no session. That of an
/// operator is one all the same: it is what the store says of the token.
fn session_end(
    context: &Context,
    (bound, subject): (&BoundMessage<'_>, &str),
    possession: &Possession,
    access: &Access<'_>,
    now: Timestamp,
) -> Option<Timestamp> {
    let operates = context.operators_at(&access.target).is_some();
    let opens = match possession.jkt() {
        Some(_) => bound.session_key().is_some() || operates && !subject.starts_with("did:key:"),
        None => access.target.rules.bearer_sessions,
    };
    let longest = bound.format().longest_session(context.rules.session_lifetime);
    let ends_at = access.until.unwrap_or_else(|| now.plus(longest));
    let lasts = operates || ends_at.since(now) > access.target.rules.token_ttl;
    (opens && lasts).then_some(ends_at)
}

/// The longest label of a session, in characters.
const MAX_LABEL: usize = 64;
/// The longest public key, in bytes: the hex of an uncompressed key takes 130, its wrappings a few more.
const MAX_PUBLIC_KEY: usize = 256;

/// What is recorded or stored as it was sent, and that no format, scope or resource bounds.
fn check_fields(request: &SignedMessage<'_>) -> Result<(), Refusal> {
    let fits =
        |label: &str| label.chars().count() <= MAX_LABEL && !label.chars().any(char::is_control);
    if !request.session_label.is_none_or(fits) {
        let detail = "session_label has 64 characters at most, none of them a control character";
        return Err(Refusal::new(Reason::MalformedRequest, detail));
    }
    if request.public_key.is_some_and(|key| key.len() > MAX_PUBLIC_KEY) {
        let detail = "public_key has 256 bytes at most";
        return Err(Refusal::new(Reason::PublicKeyInvalid, detail));
    }
    Ok(())
}

pub(super) fn format_of(request: &SignedMessage<'_>) -> Result<&'static dyn WalletFormat, Refusal> {
    let signature = request.signature.unwrap_or_default();
    let format = match request.format {
        Some(name) => registry::by_name(name).ok_or_else(registry::unknown),
        None => registry::by_message(request.message, signature),
    }?;
    if request.signature.is_none() && format.whoever_answers().is_none() {
        let detail = "the parameter signature is missing";
        return Err(Refusal::new(Reason::ParameterMissing, detail));
    }
    Ok(format)
}

/// Resource and scopes: what was signed for, narrowed by the request and never widened. A message
/// without a ReCap gets the resource's default scopes.
fn access_for<'a>(
    context: &'a Context,
    request: &SignedMessage<'_>,
    bound: &BoundMessage<'_>,
    format: &dyn WalletFormat,
) -> Result<Access<'a>, Refusal> {
    let signed = bound.grant();
    let uri: Option<Cow<'_, str>> = match (signed.map(recap::Grant::resource), request.resource) {
        (Some(signed), Some(asked)) if signed != asked => {
            return Err(Refusal::new(
                Reason::ResourceNotAllowed,
                "the message was signed for another resource",
            ));
        }
        (Some(signed), _) => Some(Cow::Borrowed(signed)),
        (None, asked) => asked.map(Cow::Borrowed),
    };
    let target = context.target(uri.as_deref())?;
    context.check_domain(&target, bound.domain())?;
    target.rules.check_format(format.name())?;
    let granted = match signed {
        Some(grant) => {
            target.rules.check_known(grant.scopes())?;
            grant.scopes().clone()
        }
        None => target.rules.default_scopes.clone(),
    };
    let scope = narrowed(granted, request.scope)?;
    ResourceRules::check_some(&scope)?;
    Ok(Access { target, scope, until: bound.session_end() })
}
