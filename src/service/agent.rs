//! An assertion by a raw key becomes a token: one round trip for agents (RFC 7523, protocol.md §4).

use countersign_sdk::key::KeyError;
use countersign_sdk::proof::jwt_assertion::{self, AssertionError, Expected};
use countersign_sdk::time::Timestamp;

use super::context::{Context, store_refusal};
use super::keys;
use super::mint::{Access, mint, narrowed};
use super::{IssuedToken, possession, recording, standing};
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::ResourceRules;
use crate::token::access::Authenticated;
use crate::wallet::registry;

/// What a client sends with the grant `jwt-bearer`.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// The assertion, a compact JWS.
    pub assertion: &'a str,
    /// The resource (RFC 8707); must be the assertion's if it names one.
    pub resource: Option<&'a str>,
    /// Fewer scopes than the assertion's, or any of the resource's if it names none.
    pub scope: Option<&'a str>,
    /// The `DPoP` header.
    pub proof: Option<&'a str>,
}

/// Verifies the assertion and the proof, claims both, and mints the token.
///
/// # Errors
/// The [`Refusal`] of the first check that failed.
pub async fn sign_in(context: &Context, request: &Assertion<'_>) -> Result<IssuedToken, Refusal> {
    let now = context.now();
    let mut proven = None;
    let signed_in = walk(context, request, &mut proven, now).await;
    if let Err(refusal) = &signed_in {
        let reason = refusal.reason();
        recording::assertion_refused(context, proven, request.resource, reason, now);
    }
    signed_in
}

/// `proven` tells who it was, once that is so.
async fn walk(
    context: &Context,
    request: &Assertion<'_>,
    proven: &mut Option<String>,
    now: Timestamp,
) -> Result<IssuedToken, Refusal> {
    recording::check(context)?;
    keys::ready(context, now)?;
    let expected =
        Expected { issuer: &context.issuer.url, skew: context.rules.window.max_future_skew, now };
    let proof = possession::check(context, request.proof, now)?;
    let assertion = jwt_assertion::check(request.assertion, &expected).map_err(|e| refusal(&e))?;
    *proven = Some(assertion.account().to_string());
    // A store in memory has forgotten what was used before it began. Without a proof an assertion
    // is all that there is, so the clocks' difference is added.
    let margin = if proof.is_some() { 0 } else { context.rules.window.max_future_skew };
    let remembered = context.remembers_since.plus(margin);
    if assertion.issued_at() < remembered {
        let detail = "the assertion was issued before this server started; make a new one";
        return Err(Refusal::new(Reason::AssertionExpired, detail));
    }
    let resource = match (assertion.resource(), request.resource) {
        (Some(signed), Some(asked)) if signed != asked => {
            let detail = "the assertion was signed for another resource";
            return Err(Refusal::new(Reason::ResourceNotAllowed, detail));
        }
        (signed, asked) => signed.or(asked),
    };
    let target = context.target(resource)?;
    // An assertion proves what a message of the raw-key format proves, and is admitted like one.
    if let Some(format) = registry::by_account(assertion.account()) {
        target.rules.check_format(format.name())?;
    }
    target.rules.check_subject(&assertion.account().to_did())?;
    target.rules.check_names(registry::subjects_of_key(assertion.key()))?;
    let scope = match (assertion.scope(), &proof) {
        (Some(signed), _) => narrowed(target.rules.scopes_for(Some(signed))?, request.scope)?,
        // The assertion leaves the scope to the request, which the same key has to have proven.
        (None, Some(_)) => target.rules.scopes_for(request.scope)?,
        (None, None) => narrowed(target.rules.default_scopes.clone(), request.scope)?,
    };
    ResourceRules::check_some(&scope)?;
    context.check_scopes(&target, &assertion.account().to_did(), &scope)?;
    context.check_one_operator(&target, &assertion.account().to_did(), assertion.key())?;
    possession::match_key(proof.as_ref(), None, assertion.key().thumbprint())?;
    let place = keys::reserve(context, now).await?;
    let possession = possession::claim(context, proof.as_ref(), target.rules, now).await?;
    let claimed =
        context.store.claim(assertion.replay_key(), assertion.retain_until(), now).await.map_err(
            |error| {
                let detail = "this assertion was used before; make a new one";
                let used = Refusal::new(Reason::AssertionReplayed, detail);
                store_refusal(possession::store_error(error), used)
            },
        )?;
    let who = Authenticated::by_assertion(&assertion, claimed);
    // One that is dated ahead, by a few seconds at most, is believed: who has just ended everything of his
    // own must be able to begin again.
    standing::check(context, &who, &possession, assertion.issued_at(), now).await?;
    let access = Access { target, scope, until: None };
    let issued = mint(context, &who, &possession, &access, now)?;
    drop(place);
    let proof = (request.assertion, &assertion);
    let asked = (&*access.target.uri, request.scope);
    recording::by_assertion(context, proof, asked, &issued, now).await?;
    Ok(issued)
}

fn refusal(error: &AssertionError) -> Refusal {
    let reason = match error {
        AssertionError::Key(KeyError::PrivateKey) => Reason::PrivateKeyReceived,
        AssertionError::Time => Reason::AssertionExpired,
        AssertionError::Malformed(_)
        | AssertionError::Type
        | AssertionError::Key(_)
        | AssertionError::Subject
        | AssertionError::Audience
        | AssertionError::Jti
        | AssertionError::Signature => Reason::AssertionInvalid,
    };
    Refusal::new(reason, format!("the assertion was refused: {error}"))
}
