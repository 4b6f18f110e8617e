//! Whether a proof file shows that somebody signed in for something: checked with public keys and nothing else.
//!
//! Three things must hold: the record leads to the checkpoint, the checkpoint is signed by a key of the
//! issuer, and what the record says follows from what was signed (`signed`). No server, no log, no secret.

use countersign_sdk::key::{PublicKey, Thumbprint};
use countersign_sdk::resource::IssuerKeys;
use countersign_sdk::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::checkpoint;
use crate::audit::proof::{self, Proof};
use crate::model::reason::Refusal;

mod signed;

pub use signed::{Shown, evidence};

/// What a proof shows that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Who signed in.
    pub sub: String,
    /// With which account.
    pub account: String,
    /// By which format, or by an assertion.
    pub method: String,
    /// When, RFC 3339.
    pub at: String,
    /// At which issuer.
    pub issuer: String,
    /// On which domain.
    pub domain: String,
    /// For what.
    pub resource: String,
    /// With which scopes.
    pub scope: String,
    /// Whether the signed text or assertion states the scopes; otherwise they are what the issuer gives by default.
    pub scope_was_signed: bool,
    /// Whether it states the resource; otherwise the resource is what the request named, or the only one, by the issuer's word.
    pub resource_was_signed: bool,
    /// When it was signed, RFC 3339, as it says itself.
    pub signed_at: Option<String>,
    /// Who made the transaction that was signed, for formats that sign one: by its own word, to be compared with
    /// what the issuer published then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_by: Option<String>,
    /// The token.
    pub jti: String,
    /// The key that the token is bound to.
    pub bound_to: Option<Thumbprint>,
    /// The record's place in the log.
    pub seq: u64,
    /// When the checkpoint was signed, RFC 3339.
    pub checkpoint_at: String,
    /// The key that signed it.
    pub kid: String,
    /// Whether that is one of the keys that were given as the issuer's. If none were, whoever reads this has to
    /// know that it is.
    pub key_is_known: bool,
}

/// What is to be asked of an account's chain, everything else of a proof being as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChain {
    /// The account.
    pub account: String,
    /// Which kind of block the nodes were asked at.
    pub block_tag: String,
    /// Its number.
    pub block: u64,
    /// When it was made, where the record says it.
    pub block_time: Option<Timestamp>,
    /// What they were asked.
    pub asked: Asked,
}

impl OnChain {
    /// What else is known of the block.
    fn known_by(&self) -> String {
        match self.block_time {
            Some(time) => format!("{}, made at {time}", self.block_tag),
            None => self.block_tag.clone(),
        }
    }
}

/// A question to an account's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whether the contract at the account takes a signature (ERC-1271, ERC-6492).
    Contract {
        /// What was signed, hexadecimal.
        digest: String,
        /// The signature as it was sent, hexadecimal.
        signature: String,
    },
    /// Whether this key, a `did:key`, may do everything for the name.
    Key(String),
}

/// Why a proof does not hold.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// The file, or its chain.
    #[error(transparent)]
    Proof(#[from] proof::ProofError),
    /// The checkpoint.
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(String),
    /// What was signed is refused now as it would have been then.
    #[error("what was signed does not hold: {0}")]
    Refused(Refusal),
    /// What the account's chain said then is not in the file and cannot be.
    #[error(
        "the account {} is proven by its chain alone, which said yes at block {} ({}) as the record has it: ask a node \
         that keeps old blocks; everything else holds",
        .0.account, .0.block, .0.known_by()
    )]
    OnChain(Box<OnChain>),
    /// The record says something else than what was signed.
    #[error("the record does not follow from what was signed: {0}")]
    Evidence(&'static str),
}

impl From<Refusal> for NotProven {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A key set of one public key.
///
/// # Errors
/// A sentence that says why it is none.
pub fn keys_of(jwk: &Value) -> Result<IssuerKeys, String> {
    let key = PublicKey::from_jwk_json(jwk.to_string().as_bytes()).map_err(|e| e.to_string())?;
    let mut jwk = serde_json::to_value(key.to_jwk()).map_err(|error| error.to_string())?;
    if let Some(members) = jwk.as_object_mut() {
        members.insert("kid".to_owned(), json!(key.thumbprint()));
    }
    let set = json!({ "keys": [jwk] }).to_string();
    IssuerKeys::from_json(set.as_bytes()).map_err(|error| error.to_string())
}

/// Checks a proof. `keys` are the issuer's, if they are known; the key in the file is believed otherwise.
///
/// # Errors
/// [`NotProven`], naming the first check that failed.
pub fn check(proof: &Proof, keys: Option<&IssuerKeys>) -> Result<Verdict, NotProven> {
    let (seq, hash) = proof.leads_to()?;
    let stated = keys_of(&proof.key).map_err(NotProven::Checkpoint)?;
    let signed = checkpoint::read(&proof.checkpoint, keys.unwrap_or(&stated))
        .map_err(NotProven::Checkpoint)?;
    if signed.covers.seq != seq || signed.covers.hash != hash {
        return Err(proof::ProofError::Chain.into());
    }
    let sign_in = proof::sign_in_of(&proof.record);
    let sign_in = sign_in.ok_or(NotProven::Evidence("the record is not one of a sign-in"))?;
    if sign_in.policy.issuer != signed.issuer {
        return Err(NotProven::Evidence("the log is of another issuer"));
    }
    let Shown { method, scope_was_signed, resource_was_signed, signed_at, transaction_by } =
        evidence(&sign_in, proof.record.time)?;
    Ok(Verdict {
        sub: sign_in.sub,
        account: sign_in.account,
        method,
        at: proof.record.time.to_string(),
        issuer: signed.issuer,
        domain: sign_in.policy.domain,
        resource: sign_in.policy.resource,
        scope: sign_in.token.scope,
        scope_was_signed,
        resource_was_signed,
        signed_at: signed_at.map(|at| at.to_string()),
        transaction_by,
        jti: sign_in.token.jti,
        bound_to: sign_in.token.jkt,
        seq: proof.record.seq,
        checkpoint_at: signed.at.to_string(),
        kid: signed.kid,
        key_is_known: keys.is_some(),
    })
}
