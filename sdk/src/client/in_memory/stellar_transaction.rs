//! The wallet of format `sep10`: the master key of a Stellar account signs the issuer's transaction.
//!
//! The one format that cannot do without what the issuer sent: its signature. All else in the
//! transaction is compared with the text that was checked before, so nothing is signed that the text
//! does not say.
//!
//! Specs: SEP-10.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde_json::Value;

use super::{Style, WalletKeyError, stellar};
use crate::account::Account;
use crate::chain::stellar::decode_account;
use crate::chain::stellar_challenge::{
    Challenge, Decorated, Envelope, last_second, nonce_of, passphrase,
};
use crate::client::wallet::ToSign;
use crate::key::{InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `sep10`.
pub(super) struct StellarTransaction;

impl Style for StellarTransaction {
    fn format(&self) -> &'static str {
        "sep10"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        stellar::Stellar.account(key, named)
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let refused = |why: String| SignerError(format!("the issuer's transaction: {why}"));
        let transaction = challenge.payload.and_then(|payload| payload.get("transaction"));
        let transaction = transaction.and_then(Value::as_str).unwrap_or_default();
        let envelope = Envelope::read(transaction).map_err(|fault| refused(fault.to_string()))?;
        let differs = || refused("it does not say what the text says".to_owned());
        let (expected, network) =
            said(challenge.message, envelope.challenge().server).ok_or_else(differs)?;
        if expected.transaction().as_deref() != Some(envelope.transaction()) {
            return Err(differs());
        }
        let hash = envelope.hash(network);
        let [by_server] = envelope.signatures() else {
            return Err(refused("it is not signed by the issuer alone".to_owned()));
        };
        let server = PublicKey::from_ed25519_bytes(&expected.server).ok();
        if server.is_none_or(|server| server.verify_wallet(&hash, &by_server.signature).is_err()) {
            return Err(refused("the issuer's signature is not right".to_owned()));
        }
        let key = signer.public_key().as_bytes().try_into().map_err(|_| differs())?;
        let signature = signer.sign_now(&hash)?.try_into().map_err(|_| differs())?;
        Ok(envelope.signed(Decorated::by(key, signature)).write())
    }
}

/// The transaction that a text is signed in, and the passphrase of its network.
fn said(text: &str, server: [u8; 32]) -> Option<(Challenge, &'static str)> {
    let value = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
    let second = |label: &str| {
        let moment = OffsetDateTime::parse(value(label)?, &Rfc3339).ok()?;
        u64::try_from(moment.unix_timestamp()).ok()
    };
    let (home_domain, _) = text.split_once(' ')?;
    let (_, after) = value("URI: ")?.split_once("://")?;
    let host = after.split('/').next()?;
    let issued_at = second("Issued At: ")?;
    let ends = value("Expiration Time: ").map(|_| second("Expiration Time: "));
    let challenge = Challenge {
        server,
        client: decode_account(text.lines().nth(1)?)?,
        home_domain: home_domain.to_owned(),
        web_auth_domain: host.to_owned(),
        nonce: nonce_of(text),
        min_time: issued_at,
        max_time: last_second(
            issued_at,
            match ends {
                Some(end) => Some(end?),
                None => None,
            },
        ),
    };
    let chain = value("Chain ID: ")?;
    let network = passphrase(chain.strip_prefix("stellar:").unwrap_or(chain))?;
    Some((challenge, network))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chain::stellar::encode_account;
    use crate::key::Curve;

    fn key(byte: u8) -> (InMemorySigner, [u8; 32]) {
        let signer = InMemorySigner::from_bytes(Curve::Ed25519, &[byte; 32]).unwrap();
        let public = signer.public_key().as_bytes().try_into().unwrap();
        (signer, public)
    }

    fn text() -> String {
        let account = encode_account(&key(9).1);
        format!(
            "app.example wants you to sign in with your Stellar account:\n{account}\n\nSign in.\n\n\
             URI: https://id.example/tenant\nVersion: 1\nChain ID: testnet\nNonce: 0123456789abcdef\n\
             Issued At: 2025-06-01T12:00:00Z\nExpiration Time: 2025-06-01T12:05:00Z"
        )
    }

    /// A transaction that the key of that byte has signed first.
    fn issued(challenge: Challenge, by: u8) -> Envelope {
        let envelope = Envelope::of(challenge).unwrap();
        let hash = envelope.hash(passphrase("testnet").unwrap());
        let (server, public) = key(by);
        let signature = server.sign_now(&hash).unwrap().try_into().unwrap();
        envelope.signed(Decorated::by(&public, signature))
    }

    fn sign(transaction: &str) -> Result<String, SignerError> {
        let (signer, _) = key(9);
        let account = StellarTransaction.account(signer.public_key(), None).unwrap();
        let payload = json!({"transaction": transaction});
        let message = &text();
        let challenge = ToSign { message, payload: Some(&payload) };
        StellarTransaction.sign(&signer, &account, &challenge)
    }

    #[test]
    fn only_what_the_text_says_is_signed() {
        let (right, _) = said(&text(), key(1).1).unwrap();
        assert_eq!((&*right.home_domain, &*right.web_auth_domain), ("app.example", "id.example"));
        let signed = Envelope::read(&sign(&issued(right.clone(), 1).write()).unwrap()).unwrap();
        let [_, ours] = signed.signatures() else { panic!("two signatures") };
        let hash = signed.hash(passphrase("testnet").unwrap());
        let public = key(9).0.public_key().clone();
        assert_eq!(public.verify_wallet(&hash, &ours.signature), Ok(()));

        for other in [
            Challenge { nonce: [1; 48], ..right.clone() },
            Challenge { client: key(8).1, ..right.clone() },
            Challenge { home_domain: "evil.example".to_owned(), ..right.clone() },
            Challenge { web_auth_domain: "evil.example".to_owned(), ..right.clone() },
            Challenge { max_time: right.max_time + 1, ..right.clone() },
            Challenge { server: key(2).1, ..right.clone() },
        ] {
            assert!(sign(&issued(other.clone(), 1).write()).is_err(), "{other:?}");
        }
        // Not signed, signed by another, signed twice, and no transaction at all.
        assert!(sign(&Envelope::of(right.clone()).unwrap().write()).is_err());
        assert!(sign(&issued(right.clone(), 2).write()).is_err());
        let [once] = *issued(right.clone(), 1).signatures() else { panic!("one signature") };
        assert!(sign(&issued(right, 1).signed(once).write()).is_err());
        assert!(sign("AAAA").is_err());
        let (signer, account) = (key(9).0, "stellar:testnet:x".parse().unwrap());
        let bare = ToSign { message: &text(), payload: None };
        assert!(StellarTransaction.sign(&signer, &account, &bare).is_err());
    }
}
