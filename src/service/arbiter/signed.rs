//! Whether the record of a sign-in follows from what was signed.
//!
//! It is judged by the same code as at the sign-in, at the time of the record, and by what the record says
//! was expected then. Of that nothing is believed that no configuration allows. What an account's chain said is
//! not in a record and cannot be: all else is judged, and what is left to be asked is told.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::key::{PublicKey, Thumbprint};
use countersign_sdk::proof::jwt_assertion;
use countersign_sdk::proof::replay::ReplayKey;
use countersign_sdk::time::Timestamp;

use super::{Asked, NotProven, OnChain};
use crate::audit::evidence::{ChainSaid, NonceKind, Policy, Proof as Signed, SignIn, SignedText};
use crate::model::domain::Domains;
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::LONGEST_TOKEN;
use crate::model::scope::ScopeSet;
use crate::service::context::Chains;
use crate::wallet::caip122::{Moment, UnverifiedMessage};
use crate::wallet::format::Evidence;
use crate::wallet::on_chain::Question;
use crate::wallet::policy::{
    self, BoundMessage, Expected, NonceAuthority, NonceOrigin, OpenedNonce,
};
use crate::wallet::registry;

/// The most that can be configured, in seconds: `challenge.lifetime`, `session.lifetime`, and of the clock skews that of proofs.
const LONGEST_CHALLENGE: u64 = 900;
const LONGEST_SESSION: u64 = 31_536_000;
const LARGEST_SKEW: u64 = 60;

/// What the evidence of a sign-in shows beyond that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The format, or `jwt-bearer`.
    pub method: String,
    /// Whether the scopes stand in what was signed.
    pub scope_was_signed: bool,
    /// Whether the resource does.
    pub resource_was_signed: bool,
    /// When it was signed, as it says itself.
    pub signed_at: Option<Timestamp>,
    /// Who made the transaction that was signed, by its own word.
    pub transaction_by: Option<String>,
}

/// Whether the record of a sign-in follows from what was signed.
///
/// # Errors
/// [`NotProven`].
pub fn evidence(sign_in: &SignIn, at: Timestamp) -> Result<Shown, NotProven> {
    if sign_in.token.exp <= at || sign_in.token.exp > at.plus(LONGEST_TOKEN) {
        return Err(NotProven::Evidence("the token lives for another time than tokens do"));
    }
    // What no configuration allows would let a record pass for what the server never took.
    let Policy { challenge_lifetime, clock_skew, session_lifetime, .. } = sign_in.policy;
    if challenge_lifetime > LONGEST_CHALLENGE
        || clock_skew > LARGEST_SKEW
        || session_lifetime > LONGEST_SESSION
    {
        return Err(NotProven::Evidence(
            "it was expected of it what no server can be told to expect",
        ));
    }
    match &sign_in.proof {
        Signed::Message(text) => by_message(sign_in, text, at),
        Signed::Assertion(assertion) => by_assertion(sign_in, assertion, at),
    }
}

fn by_message(sign_in: &SignIn, signed: &SignedText, at: Timestamp) -> Result<Shown, NotProven> {
    let message = URL_SAFE_NO_PAD.decode(&signed.message).ok();
    let message = message.and_then(|bytes| String::from_utf8(bytes).ok());
    let message = message.ok_or(NotProven::Evidence("the message is not base64url of a text"))?;
    let format = registry::by_name(&signed.format).ok_or_else(registry::unknown)?;
    let policy = &sign_in.policy;
    let (lifetime, skew) = (policy.challenge_lifetime, policy.clock_skew);
    let expected = Expected {
        issuer: &policy.issuer,
        domains: &Domains::Listed(vec![policy.domain.clone()]),
        chains: &Chains::Any,
        nonces: &RecordedNonce { kind: signed.nonce, until: signed.nonce_at.plus(lifetime) },
        now: at,
        max_age: lifetime.saturating_add(skew),
        clock_skew: skew,
        max_session: policy.session_lifetime,
    };
    let bound = policy::bind(format.read(&message)?, format, &expected)?;
    let public_key = signed.public_key.as_deref();
    let given = Evidence { signature: &signed.signature, public_key };
    if let Some(said) = &sign_in.chain {
        return Err(on_chain(sign_in, &bound, &given, said)?);
    }
    let signer = bound.verify_recorded(&given)?;
    if signer.subject() != sign_in.sub || signer.account().to_string() != sign_in.account {
        return Err(NotProven::Evidence("somebody else signed"));
    }
    check_key(sign_in, signer.key())?;
    if bound.domain() != policy.domain {
        return Err(NotProven::Evidence("the message names another domain"));
    }
    let scope_was_signed = check_grant(sign_in, &bound)?;
    let bound_to = bound.session_key().copied().unwrap_or(signer.thumbprint());
    check_binding(sign_in, bound_to, bound.session_key().is_some())?;
    if bound.session_end().is_some_and(|end| sign_in.token.exp > end) {
        return Err(NotProven::Evidence("the token outlives what was signed"));
    }
    Ok(Shown {
        method: signed.format.clone(),
        scope_was_signed,
        // A ReCap states both or none.
        resource_was_signed: scope_was_signed,
        signed_at: bound.message().issued_at().map(Moment::floor),
        transaction_by: format.made_by(&given),
    })
}

/// Everything of a sign-in that its account's chain had a word in, but that word: nobody can check it here,
/// so this ends in the refusal that says so.
fn on_chain(
    sign_in: &SignIn,
    bound: &BoundMessage<'_>,
    evidence: &Evidence<'_>,
    said: &ChainSaid,
) -> Result<NotProven, NotProven> {
    let Err(refused) = bound.verify(evidence) else {
        return Err(NotProven::Evidence("a key signed, and its chain had no word in it"));
    };
    let question = bound.question(evidence, refused)?;
    let account = question.account();
    if account.to_did() != sign_in.sub || account.to_string() != sign_in.account {
        return Err(NotProven::Evidence("somebody else signed"));
    }
    check_grant(sign_in, bound)?;
    if bound.domain() != sign_in.policy.domain {
        return Err(NotProven::Evidence("the message names another domain"));
    }
    let named = bound.session_key().copied();
    let asked = match &question {
        Question::Contract(contract) => {
            if sign_in.proven_jkt.is_some() || sign_in.proven_key.is_some() {
                return Err(NotProven::Evidence("no key signed"));
            }
            // A contract has no key to bind to but the one that was signed for, and gets nothing without.
            if named.is_none() || sign_in.token.jkt != named {
                return Err(NotProven::Evidence("the token is bound to another key"));
            }
            let digest = format!("0x{}", hex::encode(contract.digest()));
            Asked::Contract {
                digest,
                signature: format!("0x{}", hex::encode(contract.signature())),
            }
        }
        Question::AccessKey(name) => {
            check_key(sign_in, name.signer().key())?;
            let to = named.unwrap_or(name.signer().thumbprint());
            check_binding(sign_in, to, named.is_some())?;
            Asked::Key(sign_in.proven_key.clone().unwrap_or_default())
        }
    };
    if bound.session_end().is_some_and(|end| sign_in.token.exp > end) {
        return Err(NotProven::Evidence("the token outlives what was signed"));
    }
    let ChainSaid { block_tag, block, block_time } = said.clone();
    let account = sign_in.account.clone();
    Ok(NotProven::OnChain(Box::new(OnChain { account, block_tag, block, block_time, asked })))
}

fn by_assertion(sign_in: &SignIn, text: &str, at: Timestamp) -> Result<Shown, NotProven> {
    let policy = &sign_in.policy;
    let expected =
        jwt_assertion::Expected { issuer: &policy.issuer, skew: policy.clock_skew, now: at };
    let assertion = jwt_assertion::check(text, &expected)
        .map_err(|_| NotProven::Evidence("the assertion does not hold"))?;
    let account = assertion.account();
    if account.to_did() != sign_in.sub || account.to_string() != sign_in.account {
        return Err(NotProven::Evidence("somebody else signed"));
    }
    check_key(sign_in, assertion.key())?;
    if assertion.resource().is_some_and(|resource| resource != policy.resource) {
        return Err(NotProven::Evidence("the assertion is for another resource"));
    }
    if policy.domain != sign_in.sub {
        return Err(NotProven::Evidence("the client is another one than the key"));
    }
    if let Some(signed) = assertion.scope() {
        within(&sign_in.token.scope, &signed.parse()?)?;
    }
    check_binding(sign_in, assertion.key().thumbprint(), false)?;
    Ok(Shown {
        method: "jwt-bearer".to_owned(),
        scope_was_signed: assertion.scope().is_some(),
        resource_was_signed: assertion.resource().is_some(),
        signed_at: Some(assertion.issued_at()),
        transaction_by: None,
    })
}

fn check_key(sign_in: &SignIn, key: &PublicKey) -> Result<(), NotProven> {
    if Some(key.thumbprint()) != sign_in.proven_jkt || key.to_did_key() != sign_in.proven_key {
        return Err(NotProven::Evidence("another key signed"));
    }
    Ok(())
}

/// The resource and the scopes of a message that states them.
fn check_grant(sign_in: &SignIn, bound: &BoundMessage<'_>) -> Result<bool, NotProven> {
    let Some(grant) = bound.grant() else { return Ok(false) };
    if grant.resource() != sign_in.policy.resource {
        return Err(NotProven::Evidence("the message is for another resource"));
    }
    within(&sign_in.token.scope, grant.scopes())?;
    Ok(true)
}

fn within(given: &str, signed: &ScopeSet) -> Result<(), NotProven> {
    let given: ScopeSet = given.parse()?;
    match given.first_outside(signed) {
        None => Ok(()),
        Some(_) => Err(NotProven::Evidence("the token has a scope that was not signed for")),
    }
}

/// The token is bound to the key that was signed for; to none only where none was named.
fn check_binding(sign_in: &SignIn, to: Thumbprint, is_named: bool) -> Result<(), NotProven> {
    match sign_in.token.jkt {
        Some(jkt) if jkt == to => Ok(()),
        None if !is_named => Ok(()),
        Some(_) | None => Err(NotProven::Evidence("the token is bound to another key")),
    }
}

/// The nonce as the record tells of it: its MAC was checked at the sign-in, with a key that is gone.
struct RecordedNonce {
    kind: NonceKind,
    until: Timestamp,
}

impl NonceAuthority for RecordedNonce {
    fn open(
        &self,
        _format: &str,
        message: &UnverifiedMessage<'_>,
        now: Timestamp,
    ) -> Result<OpenedNonce, Refusal> {
        if now > self.until {
            let detail = "the nonce's time was over before the sign-in";
            return Err(Refusal::new(Reason::ChallengeExpired, detail));
        }
        let nonce = message.fields().nonce.unwrap_or_default();
        Ok(OpenedNonce {
            origin: match self.kind {
                NonceKind::Challenge => NonceOrigin::Challenge,
                NonceKind::Bare => NonceOrigin::Bare,
            },
            spend_key: ReplayKey::of_bytes("recorded nonce", nonce.as_bytes()),
            until: self.until,
        })
    }
}
