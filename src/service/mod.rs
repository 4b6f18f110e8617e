//! The use cases: what the issuer does for a client, step by step, without a word of HTTP.
//!
//! | file | use case |
//! |---|---|
//! | [`context`] | what every use case works with |
//! | [`challenge`] | write the message that a wallet signs; hand out a bare nonce |
//! | [`issuing`] | what the issuer adds to a challenge with its own hand |
//! | [`call_back`] | a wallet answers by itself; whoever asked comes for the answer |
//! | [`sign_in`] | a signed message becomes a token |
//! | [`agent`] | an assertion by a raw key becomes a token |
//! | [`refresh`] | a refresh token becomes the next token of its session |
//! | [`standing`] | whether what was signed was revoked before it was presented |
//! | [`on_chain`] | whether a key alone proves the account, or its chain has to be asked |
//! | [`mint`] | the token that all of them end in |
//! | [`checkpoint`] | when the audit log is signed |
//! | [`arbiter`] | whether the proof of a sign-in holds |
//! | [`recording`] | what of all this the audit log keeps |
//! | [`possession`] | the DPoP proof of a request: checked first, claimed last |
//! | [`holder`] | who acts by an access token, having proven its key |
//! | [`sessions`] | a subject sees and ends its sessions |
//! | [`revoke`] | a token, a session, or everything of a key or subject ends |
//! | [`introspect`] | a resource server learns what a token of its own stands for |
//! | [`admin`] | what operators do from afar |
//! | [`keys`] | the issuer's own keys, as operators change them and as time does |
//! | [`feed`] | what was revoked, for resource servers |

pub mod admin;
pub mod agent;
pub mod arbiter;
pub mod call_back;
pub mod challenge;
pub mod checkpoint;
pub mod context;
pub mod feed;
pub mod holder;
pub mod introspect;
pub mod issuing;
pub mod keys;
pub mod mint;
pub mod on_chain;
pub mod possession;
pub mod recording;
pub mod refresh;
pub mod revoke;
pub mod sessions;
pub mod sign_in;
pub mod standing;

use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;

use crate::model::session::SessionId;
use crate::token::refresh::RefreshToken;

/// A token answer (RFC 6749 §5.1), before it is written as JSON.
#[derive(Debug)]
pub struct IssuedToken {
    /// The access token.
    pub access_token: String,
    /// `DPoP` or `Bearer`.
    pub token_type: &'static str,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// Its scopes.
    pub scope: String,
    /// Its subject.
    pub sub: String,
    /// The session's next refresh token, where there is a session.
    pub refresh_token: Option<RefreshToken>,
    /// The session, where there is one.
    pub session: Option<SessionId>,
    /// The access token's `jti`.
    pub jti: String,
    /// Its `exp`.
    pub expires_at: Timestamp,
    /// The key that it is bound to, if it is bound.
    pub jkt: Option<Thumbprint>,
    /// The key that signed it.
    pub kid: String,
}
