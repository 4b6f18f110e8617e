//! Access tokens (RFC 9068): what stands in one, and the proofs without which none is signed.
//!
//! [`issue`] takes witnesses, not booleans: who signed, that the nonce or assertion was used up by
//! this very request, and which key possesses the token. Each has private fields and one
//! constructor behind its check, so a token without its checks does not compile:
//!
//! ```compile_fail,E0451
//! use countersign::token::access::Possession;
//! let forged = Possession { jkt: None };
//! ```
//!
//! ```compile_fail,E0423
//! let forged = countersign::store::SpentNonce(());
//! ```

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::dpop::VerifiedProof;
use countersign_sdk::proof::jwt_assertion::VerifiedAssertion;
use countersign_sdk::proof::replay::Claimed;
use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::jws;
use crate::keyring::SigningKey;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::{Binding, ResourceRules};
use crate::model::scope::ScopeSet;
use crate::model::session::{ContractProof, Session, SessionId, Usage};
use crate::rpc::ApprovedSignature;
use crate::store::{LiveSession, SpentNonce};
use crate::wallet::format::VerifiedSigner;
use crate::wallet::policy::BoundMessage;
use crate::wallet::siwe::CONTRACT_METHOD;

/// The `proven_key.method` of keys that were proven by a JWT assertion.
pub(crate) const ASSERTION_METHOD: &str = "jwt-bearer";

/// Who signed in, and how it was proven.
#[derive(Debug)]
pub struct Authenticated {
    subject: String,
    account: String,
    proven: Option<Thumbprint>,
    method: Cow<'static, str>,
    client_id: String,
    contract: Option<ContractProof>,
    /// When, if not now.
    at: Option<Timestamp>,
    session: Option<SessionId>,
}

impl Authenticated {
    /// By a message: bound to what the issuer expects, signed, and its nonce spent by this request.
    pub fn by_message(
        message: &BoundMessage<'_>,
        signer: &VerifiedSigner,
        _spent: SpentNonce,
    ) -> Self {
        Self {
            subject: signer.subject().to_owned(),
            account: signer.account().to_string(),
            proven: Some(signer.thumbprint()),
            method: Cow::Borrowed(signer.format()),
            client_id: message.domain().to_owned(),
            contract: None,
            at: None,
            session: None,
        }
    }

    /// By a message that the contract at the account of it takes for signed, as its chain says; its nonce
    /// was spent by this request. No key was proven, and the subject is the account on that one chain:
    /// at the same address of another there may be somebody else's.
    pub fn by_contract(
        message: &BoundMessage<'_>,
        approved: &ApprovedSignature,
        _spent: SpentNonce,
    ) -> Self {
        Self {
            subject: approved.account().to_did(),
            account: approved.account().to_string(),
            proven: None,
            method: Cow::Borrowed(CONTRACT_METHOD),
            client_id: message.domain().to_owned(),
            contract: Some(ContractProof {
                digest: approved.digest(),
                signature: approved.signature().to_vec(),
            }),
            at: None,
            session: None,
        }
    }

    /// By an assertion whose `jti` was claimed by this request. The client is the key itself.
    pub fn by_assertion(assertion: &VerifiedAssertion, _claimed: Claimed) -> Self {
        let did = assertion.account().to_did();
        Self {
            subject: did.clone(),
            account: assertion.account().to_string(),
            proven: Some(assertion.key().thumbprint()),
            method: Cow::Borrowed(ASSERTION_METHOD),
            client_id: did,
            contract: None,
            at: None,
            session: None,
        }
    }

    /// By a session that the store opened or moved on for this request.
    pub fn by_session(live: &LiveSession) -> Self {
        let session = live.session();
        Self {
            subject: session.subject.clone(),
            account: session.account.clone(),
            proven: session.proven,
            method: Cow::Owned(session.method.clone()),
            client_id: session.client_id.clone(),
            contract: None,
            at: Some(session.created_at),
            session: Some(session.id),
        }
    }

    /// The session that a message opens, from what was proven by it.
    pub(crate) fn into_session(self, id: SessionId, opens: Opens, now: Timestamp) -> Session {
        Session {
            id,
            subject: self.subject,
            account: self.account,
            client_id: self.client_id,
            method: self.method.into_owned(),
            proven: self.proven,
            proven_did: opens.proven_did,
            contract: self.contract,
            bound_to: opens.bound_to,
            resource: opens.resource,
            scope: opens.scope,
            label: opens.label,
            created_at: now,
            ends_at: opens.ends_at,
            usage: Usage::begun(0, now),
        }
    }

    /// The key that was proven.
    pub const fn proven(&self) -> Option<Thumbprint> {
        self.proven
    }

    /// The subject, a `did:pkh` or `did:key`.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// What a session is opened for.
#[derive(Debug)]
pub(crate) struct Opens {
    pub(crate) bound_to: Option<Thumbprint>,
    pub(crate) proven_did: Option<String>,
    pub(crate) resource: String,
    pub(crate) scope: String,
    pub(crate) label: Option<String>,
    pub(crate) ends_at: Timestamp,
}

/// Which key the token belongs to, if it belongs to one.
#[derive(Debug)]
pub struct Possession {
    jkt: Option<Thumbprint>,
}

impl Possession {
    /// Bound to the key of a proof that this request claimed.
    pub const fn bound(proof: &VerifiedProof, _claimed: &Claimed) -> Self {
        Self { jkt: Some(proof.thumbprint()) }
    }

    /// Bound to nothing, where the resource's rules allow that.
    ///
    /// # Errors
    /// [`Reason::ProofRequired`].
    pub fn bearer(rules: &ResourceRules) -> Result<Self, Refusal> {
        match rules.binding {
            Binding::Optional => Ok(Self { jkt: None }),
            Binding::Required => Err(proof_required()),
        }
    }

    /// The key.
    pub const fn jkt(&self) -> Option<Thumbprint> {
        self.jkt
    }

    /// `DPoP` or `Bearer` (RFC 9449 §5).
    pub const fn token_type(&self) -> &'static str {
        match self.jkt {
            Some(_) => "DPoP",
            None => "Bearer",
        }
    }
}

/// The refusal of a request without proof.
pub(crate) fn proof_required() -> Refusal {
    Refusal::new(
        Reason::ProofRequired,
        "send a DPoP header with a proof (RFC 9449) by the key that the token is to be bound to",
    )
}

/// What the token is for.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The issuer's identifier.
    pub issuer: &'a str,
    /// The one resource.
    pub audience: &'a str,
    /// The scopes.
    pub scope: &'a ScopeSet,
    /// Lifetime in seconds.
    pub lifetime: u64,
    /// Now: `iat`, `nbf`, and `auth_time` where the token begins no session and belongs to none.
    pub now: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: Timestamp,
    nbf: Timestamp,
    exp: Timestamp,
    jti: &'a str,
    scope: String,
    auth_time: Timestamp,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    proven_key: ProvenKey<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    amr: [&'static str; 1],
}

#[derive(Serialize)]
struct Confirmation {
    jkt: Thumbprint,
}

#[derive(Serialize)]
struct ProvenKey<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    jkt: Option<Thumbprint>,
    method: &'a str,
}

/// A signed access token, and what it is called.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// Its `jti`.
    pub jti: String,
    /// Its `exp`.
    pub expires_at: Timestamp,
}

/// Signs an access token (RFC 9068 §2) with `key`.
///
/// # Errors
/// [`Reason::ServerError`] when randomness or the signature fails; never for what a client sent.
pub fn issue(
    key: &SigningKey,
    who: &Authenticated,
    possession: &Possession,
    grant: &Grant<'_>,
    entropy: &dyn Entropy,
) -> Result<Issued, Refusal> {
    let mut jti = [0; 16];
    entropy
        .fill(&mut jti)
        .map_err(|_| Refusal::new(Reason::ServerError, "no random bytes to be had"))?;
    let (jti, expires_at) = (URL_SAFE_NO_PAD.encode(jti), grant.now.plus(grant.lifetime));
    let claims = Claims {
        iss: grant.issuer,
        sub: &who.subject,
        aud: grant.audience,
        client_id: &who.client_id,
        iat: grant.now,
        nbf: grant.now,
        exp: expires_at,
        jti: &jti,
        scope: grant.scope.to_string(),
        auth_time: who.at.unwrap_or(grant.now),
        account: &who.account,
        cnf: possession.jkt.map(|jkt| Confirmation { jkt }),
        proven_key: ProvenKey { jkt: who.proven, method: &who.method },
        sid: who.session,
        // RFC 8176: proof of possession of a key.
        amr: ["pop"],
    };
    let token = jws::sign(key, "at+jwt", &claims)?;
    Ok(Issued { token, jti, expires_at })
}
