//! Every message format from challenge to token, signed by the SDK's wallets in memory.
//!
//! What each format takes and refuses in detail stands beside its code; here is what holds of all
//! of them through HTTP: the right signature opens once, and whatever is not it burns nothing.

use std::sync::Arc;

use countersign::wallet::registry;
use countersign_sdk::client::{InMemoryWallet, SignIn, ToSign, Wallet as _};
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use serde_json::{Value, json};

use crate::support::{Answer, RESOURCE, SIGNED_MESSAGE, Server, key};

/// A wallet of each format for each curve that it has accounts on, from the same secret.
fn wallets(secret: u8) -> Vec<InMemoryWallet> {
    let mut wallets = Vec::new();
    for format in InMemoryWallet::formats() {
        let of_format = [Curve::Ed25519, Curve::Secp256k1].into_iter().filter_map(|curve| {
            let signer = InMemorySigner::from_bytes(curve, &[secret; 32]).unwrap();
            InMemoryWallet::new(format, signer, None).ok()
        });
        let before = wallets.len();
        wallets.extend(of_format);
        assert!(wallets.len() > before, "{format} has a wallet");
    }
    wallets
}

#[test]
fn every_format_of_the_server_has_a_wallet_in_the_sdk() {
    let in_memory: Vec<_> = InMemoryWallet::formats().collect();
    for format in registry::FORMATS {
        assert!(in_memory.contains(&format.name()), "{}", format.name());
    }
    assert_eq!(in_memory.len(), registry::FORMATS.len());
}

#[tokio::test]
async fn every_wallet_opens_a_session_and_signs_for_its_own_key() {
    let server = Server::with_system_clock().await;
    for wallet in wallets(7) {
        let (format, account) = (wallet.format().to_owned(), wallet.account().to_string());
        let sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read");
        let sign_in = sign_in.session_key(Arc::new(key(Curve::P256)));
        let session = sign_in.wallet(Arc::new(wallet)).await;
        let session = session.unwrap_or_else(|error| panic!("{format} {account}: {error}"));
        let sub = session.current().sub.clone();
        let address = account.rsplit(':').next().unwrap();
        assert!(sub.starts_with("did:") && sub.ends_with(address), "{format} {sub} {account}");
    }
}

/// A challenge that `wallet` may answer, with a proof by its session key.
struct Asked {
    message: String,
    payload: Option<Value>,
    session: InMemorySigner,
}

impl Asked {
    async fn of(server: &Server, wallet: &InMemoryWallet) -> Self {
        let session = key(Curve::Ed25519);
        let body = json!({
            "account": wallet.account().to_string(), "format": wallet.format(),
            "resource": RESOURCE, "scope": "read",
            "dpop_jkt": session.public_key().thumbprint().to_string(),
        });
        let answer = server.challenge(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let payload = answer.body.get("payload").cloned();
        Self { message: answer.text("message").to_owned(), payload, session }
    }

    async fn sign(&self, wallet: &InMemoryWallet) -> String {
        let to_sign = ToSign { message: &self.message, payload: self.payload.as_ref() };
        wallet.sign_challenge(&to_sign).await.unwrap()
    }

    async fn redeem(
        &self,
        server: &Server,
        signature: &str,
        public_key: Option<&str>,
        format: &str,
    ) -> Answer {
        let mut form = vec![
            ("grant_type", SIGNED_MESSAGE),
            ("message", &self.message),
            ("signature", signature),
            ("format", format),
        ];
        form.extend(public_key.map(|key| ("public_key", key)));
        server.token(&form, Some(&server.proof(&self.session))).await
    }
}

#[tokio::test]
async fn only_the_right_signature_opens_and_only_once() {
    let server = Server::development().await;
    for (wallet, other) in wallets(7).iter().zip(wallets(8)) {
        let format = wallet.format();
        let asked = Asked::of(&server, wallet).await;
        let right = asked.sign(wallet).await;
        // Another key, once with its own public key beside it and once with the account's.
        let wrong = asked.sign(&other).await;
        for public_key in [wallet.public_key(), other.public_key()] {
            let answer = asked.redeem(&server, &wrong, public_key, format).await;
            assert_eq!(answer.status, 400, "{format}");
            let reason = answer.text("reason");
            assert!(["signature_mismatch", "signature_malformed"].contains(&reason), "{reason}");
        }
        // The account's own signature over the text of another challenge.
        let stale = Asked::of(&server, wallet).await.sign(wallet).await;
        let answer = asked.redeem(&server, &stale, wallet.public_key(), format).await;
        assert_eq!(answer.text("reason"), "signature_mismatch", "{format}");
        for broken in
            [String::new(), right[..right.len() / 2].to_owned(), format!("{right}{right}")]
        {
            let answer = asked.redeem(&server, &broken, wallet.public_key(), format).await;
            assert_eq!(answer.status, 400, "{format} {broken}");
        }
        let answer = asked.redeem(&server, &right, wallet.public_key(), format).await;
        let claims = answer.claims();
        assert_eq!(claims["proven_key"]["method"], *format);
        assert_eq!(claims["account"], wallet.account().to_string());
        let answer = asked.redeem(&server, &right, wallet.public_key(), format).await;
        assert_eq!(answer.text("reason"), "nonce_used", "{format}");
    }
}

#[tokio::test]
async fn a_text_without_its_format_is_known_by_its_first_line() {
    let server = Server::development().await;
    for wallet in wallets(7) {
        let asked = Asked::of(&server, &wallet).await;
        let signature = asked.sign(&wallet).await;
        let mut form = vec![
            ("grant_type", SIGNED_MESSAGE),
            ("message", &*asked.message),
            ("signature", &*signature),
        ];
        form.extend(wallet.public_key().map(|key| ("public_key", key)));
        let answer = server.token(&form, Some(&server.proof(&asked.session))).await;
        assert_eq!(answer.status, 200, "{}: {}", wallet.format(), answer.body);
    }
}
