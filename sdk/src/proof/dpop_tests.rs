//! The checks of a proof, each failing alone.

use super::*;
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner, Signer as _};
use crate::proof::jws;

const NOW: Timestamp = Timestamp::from_unix(1_000_000);

struct Nonces(bool);

impl NonceCheck for Nonces {
    fn required(&self, _made_at: Timestamp) -> bool {
        self.0
    }

    fn accepts(&self, nonce: &str, _now: Timestamp) -> bool {
        nonce == "good"
    }
}

struct Made {
    signer: InMemorySigner,
    proof: String,
}

async fn made(curve: Curve, token: Option<&str>, nonce: Option<&str>) -> Made {
    let signer = InMemorySigner::generate(curve, &OsEntropy).unwrap();
    let target_uri = TargetUri::parse("https://auth.example/token").unwrap();
    let new =
        NewProof { method: "POST", target_uri: &target_uri, access_token: token, nonce, now: NOW };
    let proof = new.sign(&signer, &OsEntropy).await.unwrap();
    Made { signer, proof }
}

fn judge(proof: &str, change: impl FnOnce(&mut Expected<'_>)) -> Result<Thumbprint, DpopError> {
    let target_uri = TargetUri::parse("https://auth.example/token").unwrap();
    let mut expected = Expected {
        method: "POST",
        target_uri: &target_uri,
        token: TokenBinding::NoToken,
        nonce: &Nonces(false),
        window: Window::default(),
        now: NOW,
    };
    change(&mut expected);
    check(proof, &expected).map(|proof| proof.thumbprint())
}

#[tokio::test]
async fn checks_what_it_makes_on_every_curve() {
    for curve in [Curve::Ed25519, Curve::P256, Curve::Secp256k1] {
        let Made { signer, proof } = made(curve, None, None).await;
        assert_eq!(judge(&proof, |_| ()), Ok(signer.public_key().thumbprint()));
    }
}

#[tokio::test]
async fn each_claim_is_enforced_alone() {
    let proof = made(Curve::Ed25519, None, None).await.proof;
    assert!(matches!(judge(&proof, |e| e.method = "GET"), Err(DpopError::Method { .. })));
    let elsewhere = TargetUri::parse("https://auth.example/other").unwrap();
    let target_uri = TargetUri::parse("https://auth.example/token").unwrap();
    let moved = Expected {
        method: "POST",
        target_uri: &elsewhere,
        token: TokenBinding::NoToken,
        nonce: &Nonces(false),
        window: Window::default(),
        now: NOW,
    };
    assert!(matches!(check(&proof, &moved), Err(DpopError::Target { .. })));
    let with_nonce = Expected { target_uri: &target_uri, nonce: &Nonces(true), ..moved };
    assert_eq!(check(&proof, &with_nonce).unwrap_err(), DpopError::Nonce);
    assert_eq!(judge(&proof, |e| e.now = NOW.plus(61)), Err(DpopError::TooOld(61)));
    assert_eq!(judge(&proof, |e| e.now = NOW.minus(6)), Err(DpopError::InFuture(6)));
    assert!(judge(&proof, |e| e.now = NOW.plus(60)).is_ok());
    assert!(judge(&proof, |e| e.now = NOW.minus(5)).is_ok());
}

#[tokio::test]
async fn a_wrong_nonce_is_refused_even_where_none_is_required() {
    let bad = made(Curve::Ed25519, None, Some("bad")).await.proof;
    assert_eq!(judge(&bad, |_| ()), Err(DpopError::Nonce));
    let good = made(Curve::Ed25519, None, Some("good")).await.proof;
    assert!(judge(&good, |_| ()).is_ok());
}

#[tokio::test]
async fn the_token_and_its_key_are_bound() {
    let Made { signer, proof } = made(Curve::Secp256k1, Some("token"), None).await;
    let jkt = signer.public_key().thumbprint();
    let bound = |token: &str, jkt| TokenBinding::Bound { ath: AccessTokenHash::of(token), jkt };
    assert!(judge(&proof, |e| e.token = bound("token", jkt)).is_ok());
    assert_eq!(judge(&proof, |e| e.token = bound("other", jkt)), Err(DpopError::TokenHash));
    let other = made(Curve::Ed25519, None, None).await.signer.public_key().thumbprint();
    assert_eq!(judge(&proof, |e| e.token = bound("token", other)), Err(DpopError::KeyMismatch));
    let without = made(Curve::Ed25519, None, None).await.proof;
    assert_eq!(judge(&without, |e| e.token = bound("token", jkt)), Err(DpopError::TokenHash));
}

#[tokio::test]
async fn another_signature_or_size_is_refused() {
    let one = made(Curve::Ed25519, None, None).await.proof;
    let two = made(Curve::Ed25519, None, None).await.proof;
    let (input, _) = one.rsplit_once('.').unwrap();
    let (_, signature) = two.rsplit_once('.').unwrap();
    assert_eq!(judge(&format!("{input}.{signature}"), |_| ()), Err(DpopError::Signature));
    let long = format!("{one}{}", "A".repeat(MAX_PROOF_BYTES));
    assert!(matches!(judge(&long, |_| ()), Err(DpopError::Malformed(JwsError::TooLong(_)))));
}

#[tokio::test]
async fn null_is_not_absence() {
    let Made { signer, proof } = made(Curve::Ed25519, None, None).await;
    let jws = CompactJws::parse(&proof, MAX_PROOF_BYTES).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&jws.header).unwrap();
    for name in ["exp", "nbf", "ath", "nonce"] {
        let mut claims: serde_json::Value = serde_json::from_slice(&jws.payload).unwrap();
        claims[name] = serde_json::Value::Null;
        let input = jws::signing_input(&header, &claims).unwrap();
        let signature = signer.sign_now(input.as_bytes()).unwrap();
        let judged = judge(&jws::close(input, &signature), |_| ());
        assert!(matches!(judged, Err(DpopError::Malformed(_))), "{name}");
    }
}
