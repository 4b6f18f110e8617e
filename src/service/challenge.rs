//! Writes the message that a wallet signs, and hands out bare nonces for those who write their own.
//!
//! Neither takes memory: what was issued is carried by the nonce itself (protocol.md §3).

use countersign_sdk::account::Account;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde_json::Value;

use super::context::Context;
use super::issuing::IssuedBy;
use super::recording;
use crate::model::domain::authority_of_origin;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::ResourceRules;
use crate::wallet::caip122::{self, Fields};
use crate::wallet::format::WalletFormat;
use crate::wallet::policy;
use crate::wallet::recap;
use crate::wallet::registry;

/// What a client asks a challenge for.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeRequest<'a> {
    /// CAIP-10, or a `did:key`; absent where only the wallet's answer will tell.
    pub account: Option<&'a str>,
    /// The resource (RFC 8707).
    pub resource: Option<&'a str>,
    /// Scopes with spaces between them; the resource's defaults when absent.
    pub scope: Option<&'a str>,
    /// Thumbprint of the session key, absent when the account's own key signs requests.
    pub dpop_jkt: Option<&'a str>,
    /// The message format; the namespace's own when absent.
    pub format: Option<&'a str>,
    /// The wallet application's domain; the issuer's host when absent.
    pub domain: Option<&'a str>,
    /// Seconds that the signature shall open at most, where it opens a session.
    pub session_expires_in: Option<u64>,
    /// The `Origin` header, which browsers send.
    pub origin: Option<&'a str>,
}

/// A message to sign.
#[derive(Debug)]
pub struct Challenge {
    /// The format's name.
    pub format: &'static str,
    /// The text to sign.
    pub message: String,
    /// What the wallet is handed to sign, where that is not the text.
    pub payload: Option<Value>,
    /// The nonce in it.
    pub nonce: String,
    /// When it was written.
    pub issued_at: Timestamp,
    /// Until when it must be redeemed.
    pub expires_at: Timestamp,
}

/// A bare nonce.
#[derive(Debug)]
pub struct BareNonce {
    /// The nonce.
    pub nonce: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}

/// Hands out a nonce for a message that the client writes itself.
///
/// # Errors
/// [`Reason::ServerError`] without randomness.
pub fn nonce(context: &Context) -> Result<BareNonce, Refusal> {
    let expires_in = context.rules.challenge_lifetime;
    let nonce = context.nonces.bare(context.now().plus(expires_in), &*context.entropy)?;
    Ok(BareNonce { nonce, expires_in })
}

/// Writes a message.
///
/// # Errors
/// The [`Refusal`] of the member of the request that does not fit.
pub fn challenge(context: &Context, request: &ChallengeRequest<'_>) -> Result<Challenge, Refusal> {
    let now = context.now();
    let written = write(context, request, now);
    written.inspect_err(|refusal| {
        recording::challenge_refused(context, request, refusal.reason(), now);
    })
}

fn write(
    context: &Context,
    request: &ChallengeRequest<'_>,
    now: Timestamp,
) -> Result<Challenge, Refusal> {
    let (format, account) = format_and_account(context, request)?;
    let domain = domain_of(context, request)?;
    let target = context.target(request.resource)?;
    context.check_domain(&target, domain)?;
    target.rules.check_format(format.name())?;
    // Where the account is for the wallet to say, `/token` asks; and whoever has not signed yet learns of
    // no account whether it is an operator's.
    if request.account.is_some() && context.operators_at(&target).is_none() {
        target.rules.check_subject(&format.accounts().subject_of(&account)?)?;
    }
    let scopes = target.rules.scopes_for(request.scope)?;
    // Without one there is no ReCap, and nothing that is signed would say which resource the text is for.
    ResourceRules::check_some(&scopes)?;
    let session_key = request.dpop_jkt.map(session_key).transpose()?;
    check_session_expires_in(request, target.rules)?;

    let grant = recap::Grant::new(&target.uri, &scopes)
        .map_err(|error| Refusal::new(Reason::ResourceNotAllowed, error.to_string()))?;
    let statement = format!("Sign in to {}. {}", target.uri, grant.sentence());
    let resources: Vec<String> =
        session_key.map(|jkt| jkt.to_uri()).into_iter().chain([grant.to_uri()]).collect();
    let expires_at = now.plus(context.rules.challenge_lifetime);
    let signed_until = if session_key.is_some() || request.session_expires_in.is_some() {
        let longest = format.longest_session(context.rules.session_lifetime);
        now.plus(request.session_expires_in.map_or(longest, |asked| asked.min(longest)))
    } else {
        expires_at
    };
    let spelling = format
        .accounts()
        .spelling(&account)
        .ok_or_else(|| Refusal::new(Reason::AccountInvalid, "the account is not of this format"))?;
    let (issued, expires) = (now.to_string(), signed_until.to_string());
    let fields = Fields {
        domain,
        address: spelling.address,
        statement: Some(&statement),
        uri: Some(&context.issuer.url),
        version: Some("1"),
        chain_id: spelling.chain_id,
        nonce: Some(PLACEHOLDER),
        issued_at: Some(&issued),
        expiration_time: Some(&expires),
        resources: Some(resources.iter().map(String::as_str).collect()),
        ..Fields::default()
    };
    let (message, nonce) = sealed(context, format, &fields, expires_at)?;
    let payload = if format.has_payload() {
        let issuing = IssuedBy { context, until: expires_at };
        format.payload_by(&account, &format.read(&message)?, &issuing)?
    } else {
        None
    };
    Ok(Challenge { format: format.name(), message, payload, nonce, issued_at: now, expires_at })
}

/// As long as a nonce, and in its place until the rest of the text is known.
const PLACEHOLDER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Renders the text, mints a nonce whose MAC covers all of it, and puts the nonce in its place.
fn sealed(
    context: &Context,
    format: &dyn WalletFormat,
    fields: &Fields<'_>,
    expires_at: Timestamp,
) -> Result<(String, String), Refusal> {
    let text = caip122::render(format.profile(), fields).map_err(|error| {
        Refusal::new(
            Reason::MalformedRequest,
            format!("no message can be written with these values: {error}"),
        )
    })?;
    // A line of the text, and so not to be found within the statement or any value before it.
    let line = format!("\nNonce: {PLACEHOLDER}");
    let at = text.find(&line).map(|start| start + line.len() - PLACEHOLDER.len());
    let (before, rest) = at.and_then(|at| text.split_at_checked(at)).unwrap_or_default();
    let Some(after) = rest.strip_prefix(PLACEHOLDER) else {
        let detail = "the message has no place for its nonce";
        return Err(Refusal::new(Reason::ServerError, detail));
    };
    let nonce =
        context.nonces.challenge(expires_at, format.name(), (before, after), &*context.entropy)?;
    Ok((format!("{before}{nonce}{after}"), nonce))
}

fn format_and_account(
    context: &Context,
    request: &ChallengeRequest<'_>,
) -> Result<(&'static dyn WalletFormat, Account), Refusal> {
    let account: Option<Account> = request
        .account
        .map(str::parse)
        .transpose()
        .map_err(|error| Refusal::new(Reason::AccountInvalid, format!("`account`: {error}")))?;
    let named = request.format.map(registry::by_name);
    let format = named.or_else(|| account.as_ref().map(registry::by_account));
    let missing = |detail: &'static str| Refusal::new(Reason::ParameterMissing, detail);
    let no_account = || missing("`account` is missing: the one that is to sign in");
    let format = format.ok_or_else(no_account)?.ok_or_else(|| {
        Refusal::new(
            Reason::FormatUnsupported,
            "no message format fits; see message_formats_supported in the metadata",
        )
    })?;
    let whoever = format.whoever_answers();
    if whoever.is_some() && request.dpop_jkt.is_none() {
        return Err(missing("`dpop_jkt` is missing: it says whose sign-in the wallet answers"));
    }
    let account = match account {
        Some(account) => format.accounts().canonical_account(&account)?,
        None => whoever.ok_or_else(no_account)?,
    };
    if format.accounts().is_name(&account) && !context.nodes.serve(&account) {
        return Err(Refusal::new(
            Reason::AccountInvalid,
            "which keys a named account has stands on its chain alone, and no node of that chain is asked \
             here; an account that is a key can sign in",
        ));
    }
    policy::check_chain(&account, &context.rules.chains)?;
    Ok((format, account))
}

/// The domain of the message: as asked, allowed, and the page's own where a browser asks.
fn domain_of<'a>(context: &'a Context, request: &ChallengeRequest<'a>) -> Result<&'a str, Refusal> {
    let domain = request.domain.unwrap_or(&context.issuer.host);
    let refused = |detail| Err(Refusal::new(Reason::DomainNotAllowed, detail));
    if !context.rules.domains.allows(domain) {
        return refused("`domain` is not one of this issuer's allowed domains");
    }
    match request.origin {
        Some(origin) if authority_of_origin(origin) != Some(domain) => {
            refused("a page may only ask for a message of its own domain")
        }
        Some(_) | None => Ok(domain),
    }
}

fn check_session_expires_in(
    request: &ChallengeRequest<'_>,
    rules: &ResourceRules,
) -> Result<(), Refusal> {
    match (request.session_expires_in, request.dpop_jkt) {
        (Some(1..), None) if rules.bearer_sessions => Ok(()),
        (Some(0), _) => Err(Refusal::new(
            Reason::MalformedRequest,
            "`session_expires_in` is a number of seconds from 1",
        )),
        (Some(_), None) => Err(Refusal::new(
            Reason::MalformedRequest,
            "`session_expires_in` goes with `dpop_jkt`: without a session key nothing outlives the challenge",
        )),
        (Some(_) | None, _) => Ok(()),
    }
}

fn session_key(text: &str) -> Result<Thumbprint, Refusal> {
    text.parse()
        .map_err(|error| Refusal::new(Reason::SessionKeyInvalid, format!("`dpop_jkt`: {error}")))
}
