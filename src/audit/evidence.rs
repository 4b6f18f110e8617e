//! What the record of a sign-in keeps, so that somebody who was not there can check who signed in for what.
//!
//! The message and its signature as they were sent, what this issuer expected of them at that moment,
//! and what it gave. With the wallet's own signature in it, the record proves the sign-in without
//! believing the server.

use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::session::SessionId;

/// A sign-in: the proof, the rules at that moment, and the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The subject, a `did:pkh` or `did:key`.
    pub sub: String,
    /// The account on the chain that was signed for.
    pub account: String,
    /// The key that was proven, as a `did:key` where its curve has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_key: Option<String>,
    /// The thumbprint of the key that was proven; a contract has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_jkt: Option<Thumbprint>,
    /// What the account's chain said, where a key alone does not prove the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainSaid>,
    /// What was signed.
    pub proof: Proof,
    /// What was expected of it.
    pub policy: Policy,
    /// What was given.
    pub token: Given,
}

/// A yes of an account's chain: a contract took the signature, or the key was one of a name's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSaid {
    /// Which kind of block the nodes were asked at.
    pub block_tag: String,
    /// The lowest number of a block at which one of those that agreed was asked.
    pub block: u64,
    /// When that block was made, where nodes say it. On some chains (those of Arbitrum) code sees numbers of
    /// the chain below, and this alone tells which block it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_time: Option<Timestamp>,
}

/// What was signed, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A message, and the signature of a wallet or key.
    Message(SignedText),
    /// An assertion (RFC 7523), a compact JWS, used up by this sign-in.
    Assertion(String),
}

/// A message with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedText {
    /// The format's name.
    pub format: String,
    /// The message's bytes, base64url without padding.
    pub message: String,
    /// The signature as it was sent.
    pub signature: String,
    /// The public key as it was sent, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Whether the nonce was given out with the whole text (`challenge`) or alone (`bare`).
    pub nonce: NonceKind,
    /// When the nonce was made.
    pub nonce_at: Timestamp,
}

/// How a nonce was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonceKind {
    /// With the text.
    Challenge,
    /// Alone.
    Bare,
}

/// What this issuer expected at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The issuer identifier.
    pub issuer: String,
    /// The domain that asked; of an assertion, its key.
    pub domain: String,
    /// The resource.
    pub resource: String,
    /// The scopes that the request named, where it named any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_scope: Option<String>,
    /// The scopes that were signed for, where the proof states any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_scope: Option<String>,
    /// Seconds in which a challenge was to be redeemed.
    pub challenge_lifetime: u64,
    /// Seconds that a clock of another machine might differ.
    pub clock_skew: u64,
    /// The longest session, in seconds.
    pub session_lifetime: u64,
}

/// What was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The token's `jti`.
    pub jti: String,
    /// Its scopes.
    pub scope: String,
    /// The key that it is bound to, where it is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// Its session, where the sign-in opened one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// Its `exp`.
    pub exp: Timestamp,
    /// The key that signed it.
    pub kid: String,
}
