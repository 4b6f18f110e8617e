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

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::account::Account;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, Thumbprint};
use countersign_sdk::proof::dpop::VerifiedProof;
use countersign_sdk::proof::jwt_assertion::VerifiedAssertion;
use countersign_sdk::proof::replay::Claimed;
use countersign_sdk::time::Timestamp;
use serde::Serialize;

use crate::keyring::SigningKey;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::{Binding, ResourceRules};
use crate::model::scope::ScopeSet;
use crate::store::SpentNonce;
use crate::wallet::format::VerifiedSigner;
use crate::wallet::policy::BoundMessage;

/// The `proven_key.method` of keys that were proven by a JWT assertion.
const ASSERTION_METHOD: &str = "jwt-bearer";

/// Who signed in, and how it was proven.
#[derive(Debug)]
pub struct Authenticated {
    subject: String,
    account: Account,
    proven: Thumbprint,
    method: &'static str,
    client_id: String,
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
            account: signer.account().clone(),
            proven: signer.thumbprint(),
            method: signer.format(),
            client_id: message.domain().to_owned(),
        }
    }

    /// By an assertion whose `jti` was claimed by this request. The client is the key itself.
    pub fn by_assertion(assertion: &VerifiedAssertion, _claimed: Claimed) -> Self {
        let did = assertion.account().to_did();
        Self {
            subject: did.clone(),
            account: assertion.account().clone(),
            proven: assertion.key().thumbprint(),
            method: ASSERTION_METHOD,
            client_id: did,
        }
    }

    /// The subject, a `did:pkh` or `did:key`.
    pub fn subject(&self) -> &str {
        &self.subject
    }
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
    /// Now: `iat`, `nbf` and `auth_time`.
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
    jti: String,
    scope: String,
    auth_time: Timestamp,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    proven_key: ProvenKey,
    amr: [&'static str; 1],
}

#[derive(Serialize)]
struct Confirmation {
    jkt: Thumbprint,
}

#[derive(Serialize)]
struct ProvenKey {
    jkt: Thumbprint,
    method: &'static str,
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
) -> Result<String, Refusal> {
    let mut jti = [0; 16];
    entropy
        .fill(&mut jti)
        .map_err(|_| Refusal::new(Reason::ServerError, "no random bytes to be had"))?;
    let claims = Claims {
        iss: grant.issuer,
        sub: &who.subject,
        aud: grant.audience,
        client_id: &who.client_id,
        iat: grant.now,
        nbf: grant.now,
        exp: grant.now.plus(grant.lifetime),
        jti: URL_SAFE_NO_PAD.encode(jti),
        scope: grant.scope.to_string(),
        auth_time: grant.now,
        account: who.account.to_string(),
        cnf: possession.jkt.map(|jkt| Confirmation { jkt }),
        proven_key: ProvenKey { jkt: who.proven, method: who.method },
        // RFC 8176: proof of possession of a key.
        amr: ["pop"],
    };
    let header = jsonwebtoken::Header {
        typ: Some("at+jwt".to_owned()),
        kid: Some(key.kid().to_owned()),
        ..jsonwebtoken::Header::new(match key.algorithm() {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa | Algorithm::Ed25519 | Algorithm::Es256k => {
                jsonwebtoken::Algorithm::EdDSA
            }
        })
    };
    // `jsonwebtoken::encode` would parse the key again for each token, at the price of a signature.
    let failed = || Refusal::new(Reason::ServerError, "the token could not be signed");
    let (header, claims) = (serde_json::to_vec(&header), serde_json::to_vec(&claims));
    let mut token = URL_SAFE_NO_PAD.encode(header.map_err(|_| failed())?);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims.map_err(|_| failed())?, &mut token);
    let signature = key.sign(token.as_bytes()).ok_or_else(failed)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}
