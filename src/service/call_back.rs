//! A wallet answers a challenge by itself, and whoever asked for the challenge comes for the answer.
//!
//! The wallet's call-back brings the word of the issuer that was in its URL, so that nobody can fill
//! the store with answers to challenges that were never issued. It is verified before it is held, and
//! opens nothing: the token goes to whoever has the text and proves the session key in it.
//!
//! Specs: LUD-04, RFC 8628 §3.5 (`authorization_pending`).

use countersign_sdk::chain::lnurl::{Answer, k1_of};
use countersign_sdk::proof::dpop::VerifiedProof;
use countersign_sdk::time::Timestamp;

use super::context::{Context, store_refusal};
use super::possession;
use crate::model::reason::{Reason, Refusal};
use crate::wallet::lnurl;
use crate::wallet::policy::{BoundMessage, NonceOrigin};

/// What a wallet sends.
#[derive(Clone, Copy, Debug)]
pub struct CallBack<'a> {
    /// The digest that it was asked to sign, in hex.
    pub k1: &'a str,
    /// The word of the issuer, from the URL.
    pub state: &'a str,
    /// The signature, DER in hex.
    pub signature: &'a str,
    /// The key, in hex.
    pub key: &'a str,
}

/// Holds a wallet's answer until its challenge ends.
///
/// # Errors
/// The [`Refusal`] of the first check that failed: [`Reason::MessageMismatch`] where the challenge is for another
/// key, [`Reason::NonceUsed`] where another wallet was first.
pub async fn answer(context: &Context, request: &CallBack<'_>) -> Result<(), Refusal> {
    let now = context.now();
    let mut k1 = [0; 32];
    hex::decode_to_slice(request.k1, &mut k1)
        .map_err(|_| Refusal::new(Reason::MalformedRequest, "k1 is 32 bytes in hex"))?;
    let answer = Answer::read(request.key, request.signature).map_err(lnurl::refused)?;
    let until = context.nonces.open_call_back(request.state, &k1, &answer.key, now)?;
    answer.verify(&k1).map_err(lnurl::refused)?;
    let taken = || Refusal::new(Reason::NonceUsed, "another wallet has answered this");
    let held = context.store.hold_answer(k1, answer, until, now).await;
    held.map_err(|error| store_refusal(error, taken()))
}

/// The refusal for a message whose nonce is spent.
pub(super) fn used() -> Refusal {
    Refusal::new(Reason::NonceUsed, "this message was used before; ask for a new challenge")
}

/// Lets go of the answer to a message whose nonce is spent: it opens nothing any more.
pub(super) async fn fetched(context: &Context, bound: &BoundMessage<'_>) {
    context.store.forget_answer(&k1_of(bound.message().text())).await;
}

/// The answer of the wallet, for whoever proves the session key of the text that it signed.
///
/// # Errors
/// [`Reason::AuthorizationPending`] while there is none; that uses the proof up and nothing else.
/// [`Reason::NonceUsed`] where there was one, and it has opened what it can.
pub(super) async fn answer_to(
    context: &Context,
    bound: &BoundMessage<'_>,
    proof: Option<&VerifiedProof>,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    if bound.nonce().origin == NonceOrigin::Bare {
        let detail =
            "the parameter signature is missing: no link was made for a message of your own";
        return Err(Refusal::new(Reason::ParameterMissing, detail));
    }
    let Some(session_key) = bound.session_key() else {
        return Err(Refusal::new(
            Reason::SessionKeyInvalid,
            "the message names no session key, which alone shows whose sign-in it is",
        ));
    };
    possession::match_key(proof, Some(*session_key), *session_key)?;
    let k1 = k1_of(bound.message().text());
    let unknown = || Refusal::new(Reason::ServerError, "the store has answered oddly");
    let held = context.store.answer_to(&k1, now).await;
    if let Some(answer) = held.map_err(|error| store_refusal(error, unknown()))? {
        return Ok(answer);
    }
    // Whoever has the token and lost it on the way is not kept waiting.
    let is_spent = context.store.is_spent(bound.nonce(), now).await;
    if is_spent.map_err(|error| store_refusal(error, unknown()))? {
        return Err(used());
    }
    if let Some(proof) = proof {
        let _claimed = possession::claim_proof(context, proof, now).await?;
    }
    Err(Refusal::new(
        Reason::AuthorizationPending,
        "the wallet has not answered yet; ask again in a few seconds, with a new proof",
    ))
}
