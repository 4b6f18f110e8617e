//! Stellar: a transaction that the issuer signed first, and that says where, for whom and for which text.
//!
//! For wallets that sign transactions and no messages. The transaction is made of the text: its domains,
//! its times, its account, and as the 48 bytes of SEP-10 the SHA-384 of all of it, which holds the nonce.
//! So what comes back must be that transaction byte for byte, with the issuer's signature and the
//! account's, each once and no other. It proves the master key of an account and not that other
//! signers, which an account may have on the ledger, agree.
//!
//! Specs: SEP-10, SEP-23 (strkeys), CAIP-122, RFC 8032 (strict).

use std::fmt;

use countersign_sdk::account::Account;
use countersign_sdk::chain::stellar::{decode_account, decode_seed, encode_account};
use countersign_sdk::chain::stellar_challenge::{
    Challenge, Decorated, Envelope, last_second, nonce_of, passphrase,
};
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Curve, InMemorySigner, PublicKey, SecretKeyError, Signer as _};
use serde_json::{Value, json};

use super::accounts::Accounts;
use super::caip122::{self, Moment, Profile, UnverifiedMessage, origin_of};
use super::format::{
    Evidence, Issuing, VerifiedSigner, WalletFormat, malformed_signature, mismatch, refused_signer,
};
use super::network::Network;
use super::sep53;
use crate::model::reason::{Reason, Refusal};

/// The key by which the issuer signs the transactions that it hands out: never one that signs tokens.
pub struct ServerKey {
    signer: InMemorySigner,
    public: [u8; 32],
}

impl ServerKey {
    /// A new one, which lives as long as the process.
    ///
    /// # Errors
    /// [`SecretKeyError`] without randomness.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, SecretKeyError> {
        Self::of(InMemorySigner::generate(Curve::Ed25519, entropy)?)
    }

    /// The one of a seed, `S…` (SEP-23).
    ///
    /// # Errors
    /// [`SecretKeyError`] for what is no seed; nothing of it is in the error.
    pub fn from_seed(text: &str) -> Result<Self, SecretKeyError> {
        let no_seed =
            SecretKeyError::Encoding("a Stellar seed is S and 55 more letters and digits");
        Self::of(InMemorySigner::from_bytes(Curve::Ed25519, &*decode_seed(text).ok_or(no_seed)?)?)
    }

    fn of(signer: InMemorySigner) -> Result<Self, SecretKeyError> {
        let public = signer.public_key().as_bytes().try_into();
        Ok(Self { public: public.map_err(|_| SecretKeyError::OutOfRange)?, signer })
    }

    /// The account of the key, `G…`: `SIGNING_KEY` of SEP-1.
    pub fn account(&self) -> String {
        encode_account(&self.public)
    }

    fn sign(&self, hash: &[u8; 32]) -> Result<Decorated, Refusal> {
        let made = self.signer.sign_now(hash).ok().and_then(|made| made.try_into().ok());
        let failed = || Refusal::new(Reason::ServerError, "the transaction could not be signed");
        Ok(Decorated::by(&self.public, made.ok_or_else(failed)?))
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerKey({})", self.account())
    }
}

static NETWORK: Network = sep53::network("sep10");

/// The format `sep10`.
#[derive(Clone, Copy, Debug)]
pub struct Sep10;

impl WalletFormat for Sep10 {
    fn name(&self) -> &'static str {
        NETWORK.format
    }

    fn accounts(&self) -> &dyn Accounts {
        &NETWORK
    }

    /// The wallet shows a transaction that sets data, with the domains, and nothing of the text.
    fn shows_text(&self) -> bool {
        false
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::STELLAR
    }

    fn has_payload(&self) -> bool {
        true
    }

    /// The answer of SEP-10's own endpoint: the transaction, signed by the issuer, and its network.
    fn payload_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        issuing: &dyn Issuing,
    ) -> Result<Option<Value>, Refusal> {
        let server = issuing.stellar();
        let challenge = expected(account, message, server.public)?;
        let too_long = || {
            Refusal::new(
                Reason::DomainNotAllowed,
                "the format sep10 has room for a domain of 59 characters and an issuer's host of 64",
            )
        };
        let passphrase = network_of(account)?;
        let envelope = Envelope::of(challenge).ok_or_else(too_long)?;
        let signature = server.sign(&envelope.hash(passphrase))?;
        Ok(Some(json!({
            "transaction": envelope.signed(signature).write(),
            "network_passphrase": passphrase,
        })))
    }

    /// The base64 of an envelope with its kind, which is longer than any signature.
    fn is_shaped(&self, signature: &str) -> bool {
        signature.starts_with("AAAA") && signature.len() > 128
    }

    /// None: `sep53`, of the same namespace, gives it.
    fn subjects_of_key(&self, _key: &PublicKey) -> Vec<String> {
        Vec::new()
    }

    /// Nothing is proven without the issuer, whose signature is half of it.
    fn verify_by(
        &self,
        _account: &Account,
        _message: &UnverifiedMessage<'_>,
        _evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        Err(mismatch())
    }

    fn verify_issued(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
        issuing: &dyn Issuing,
    ) -> Result<VerifiedSigner, Refusal> {
        let envelope = read(evidence.signature)?;
        verify_against(issuing.stellar().public, account, message, &envelope)
    }

    /// By the server that the transaction names: the account has signed the digest of the text all the
    /// same, and a transaction that nothing but a challenge can be.
    fn verify_recorded(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let envelope = read(evidence.signature)?;
        verify_against(envelope.challenge().server, account, message, &envelope)
    }

    /// The account that the transaction is of: `SIGNING_KEY` of SEP-1, where the issuer has a lasting one.
    fn made_by(&self, evidence: &Evidence<'_>) -> Option<String> {
        read(evidence.signature).ok().map(|envelope| encode_account(&envelope.challenge().server))
    }
}

fn verify_against(
    server: [u8; 32],
    account: &Account,
    message: &UnverifiedMessage<'_>,
    envelope: &Envelope,
) -> Result<VerifiedSigner, Refusal> {
    let expected = expected(account, message, server)?;
    if expected.transaction().as_deref() != Some(envelope.transaction()) {
        return Err(other_transaction(envelope.challenge(), &expected));
    }
    let key = check_signatures(envelope, network_of(account)?)?;
    let subject = NETWORK.subject_of(account)?;
    Ok(VerifiedSigner::proven(key, NETWORK.format, account.clone(), subject))
}

/// The transaction that a text is signed in, apart from its network.
fn expected(
    account: &Account,
    message: &UnverifiedMessage<'_>,
    server: [u8; 32],
) -> Result<Challenge, Refusal> {
    let address = match account {
        Account::Chain(account) => decode_account(account.address()),
        Account::Key(_) => None,
    };
    let no_account = || Refusal::new(Reason::AccountInvalid, "the account is none of Stellar");
    let client = address.ok_or_else(no_account)?;
    if client == server {
        let detail = "the account is the issuer's own";
        return Err(Refusal::new(Reason::AccountInvalid, detail));
    }
    let fields = message.fields();
    let issued_at = message.issued_at().map(Moment::floor).unwrap_or_default().as_unix();
    let expires_at = message.expiration_time().map(|at| at.floor().as_unix());
    let (_, host) = fields.uri.and_then(origin_of).unwrap_or_default();
    Ok(Challenge {
        server,
        client,
        home_domain: fields.domain.to_owned(),
        web_auth_domain: host.to_owned(),
        nonce: nonce_of(message.text()),
        min_time: issued_at,
        max_time: last_second(issued_at, expires_at),
    })
}

fn network_of(account: &Account) -> Result<&'static str, Refusal> {
    let reference = match account {
        Account::Chain(account) => passphrase(account.chain().reference()),
        Account::Key(_) => None,
    };
    reference.ok_or_else(|| Refusal::new(Reason::ChainNotAllowed, "not a network of Stellar"))
}

/// Reads what the wallet returned.
///
/// # Errors
/// `signature_malformed`, with what the transaction is in place of a challenge.
pub(crate) fn read(signature: &str) -> Result<Envelope, Refusal> {
    Envelope::read(signature).map_err(|fault| {
        let detail = format!(
            "a signature is the challenge's transaction with the account's signature added, in \
             base64: {fault}"
        );
        Refusal::new(Reason::SignatureMalformed, detail)
    })
}

/// The refusal for a challenge that is not the one of this text, with what tells them apart.
fn other_transaction(found: &Challenge, expected: &Challenge) -> Refusal {
    let what = if found.server != expected.server {
        "it was made by another server"
    } else if found.client != expected.client {
        "it is another account's"
    } else if found.home_domain != expected.home_domain
        || found.web_auth_domain != expected.web_auth_domain
    {
        "it is for another domain"
    } else if found.nonce != expected.nonce {
        "it was made for another message"
    } else {
        "it was altered"
    };
    let detail = format!("the transaction is not the one of this message: {what}");
    Refusal::new(Reason::SignatureMismatch, detail)
}

/// Verifies the two signatures over a transaction; the key of the account.
///
/// # Errors
/// `signature_malformed` for more than two, `account_invalid` or `signature_mismatch`.
pub(crate) fn check_signatures(
    envelope: &Envelope,
    passphrase: &str,
) -> Result<PublicKey, Refusal> {
    let hash = envelope.hash(passphrase);
    let Challenge { server, client, .. } = envelope.challenge();
    let (by_server, by_client) = match envelope.signatures() {
        [first, second] if first.names(server) && second.names(client) => (first, second),
        [second, first] if first.names(server) && second.names(client) => (first, second),
        [_, _] => return Err(mismatch()),
        [] | [_] => {
            let detail = "the transaction needs two signatures: the issuer's and the account's";
            return Err(Refusal::new(Reason::SignatureMismatch, detail));
        }
        [_, _, _, ..] => {
            return Err(malformed_signature("the transaction has more than two signatures"));
        }
    };
    let invalid = || Refusal::new(Reason::AccountInvalid, "the key is not a right one");
    let verified = |key: &[u8; 32], by: &Decorated| {
        PublicKey::ed25519_that_signed(key, &hash, &by.signature)
            .map_err(|error| refused_signer(error, invalid))
    };
    verified(server, by_server)?;
    verified(client, by_client)
}

#[cfg(test)]
#[path = "sep10_tests.rs"]
mod tests;
