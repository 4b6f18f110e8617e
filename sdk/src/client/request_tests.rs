//! Calls and renewals against a double: what is sent, what is repeated, and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::double::{Answer, Double, Received, metadata, token, unauthorized};
use super::super::{Http, SignIn};
use super::*;
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner};
use crate::proof::dpop::AccessTokenHash;
use crate::time::{ManualClock, Timestamp};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// An issuer that numbers its tokens, and an API on the same origin that answers by `api`.
async fn servers(
    seconds: u64,
    api: impl Fn(&Received) -> Answer + Send + Sync + 'static,
) -> Double {
    let number = AtomicU64::new(0);
    Double::start(move |origin, request| match request.line.split(' ').nth(1) {
        Some("/token") => {
            let number = number.fetch_add(1, Ordering::SeqCst) + 1;
            token(&format!("token-{number}"), seconds)
        }
        Some(path) if path.starts_with("/.well-known/") => metadata(origin),
        _ => api(request),
    })
    .await
}

async fn client_of(double: &Double, clock: &Arc<ManualClock>) -> Client {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    let http = Http::with(clock, Arc::new(OsEntropy)).unwrap();
    let key = Arc::new(InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap());
    let sign_in = SignIn::new(&double.origin).resource(&double.origin).http(http);
    Client::new(sign_in.agent(key).await.unwrap())
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW))
}

fn claims(request: &Received) -> serde_json::Value {
    let payload = request.header("dpop").unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn ok() -> Answer {
    (200, vec![], "done".to_owned())
}

#[tokio::test]
async fn a_call_carries_token_and_proof() {
    let double = servers(300, |_| ok()).await;
    let client = client_of(&double, &clock()).await;
    let url = format!("{}/pay?x=1", double.origin);
    let answer = client.request("POST", &url).json("{}").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "done");
    let sent = &double.received("POST /pay?x=1")[0];
    assert_eq!(sent.header("authorization"), Some("DPoP token-1"));
    assert_eq!(sent.body, "{}");
    let claims = claims(sent);
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["htu"], format!("{}/pay", double.origin));
    assert_eq!(claims["iat"], NOW.as_unix());
    assert_eq!(claims["ath"], AccessTokenHash::of("token-1").to_string());
    let form = &double.received("POST /token")[0];
    assert!(form.body.contains("jwt-bearer") && form.body.contains("&resource=http"));
}

#[tokio::test]
async fn a_nonce_is_given_once_and_kept() {
    let double = servers(300, |request| {
        if claims(request)["nonce"] == "n1" {
            return ok();
        }
        let (status, mut headers, body) = unauthorized("use_dpop_nonce");
        headers.push(("DPoP-Nonce", "n1".to_owned()));
        (status, headers, body)
    })
    .await;
    let client = client_of(&double, &clock()).await;
    for sent in [2, 3] {
        let call = client.request("GET", &double.origin).send();
        assert_eq!(call.await.unwrap().status(), 200);
        assert_eq!(double.received("GET / ").len(), sent);
    }
}

#[tokio::test]
async fn a_refusal_is_not_repeated_for_ever() {
    for (error, sent, tokens) in [
        ("use_dpop_nonce", 2, 1),
        ("invalid_token", 2, 2),
        ("invalid_dpop_proof", 1, 1),
        ("insufficient_scope", 1, 1),
    ] {
        let double = servers(300, move |_| unauthorized(error)).await;
        let clock = clock();
        let client = client_of(&double, &clock).await;
        clock.advance(10);
        let answer = client.request("GET", &double.origin).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(double.received("GET / ").len(), sent, "{error}");
        assert_eq!(double.received("POST /token").len(), tokens, "{error}");
    }
}

#[tokio::test]
async fn the_servers_clock_is_taken_over() {
    let double = servers(300, |request| {
        if claims(request)["iat"] == 784_111_777 {
            return ok();
        }
        let (status, mut headers, body) = unauthorized("invalid_dpop_proof");
        headers.push(("Date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()));
        (status, headers, body)
    })
    .await;
    let client = client_of(&double, &clock()).await;
    let answer = client.request("GET", &double.origin).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn many_callers_renew_once() {
    let double = servers(300, |_| ok()).await;
    let clock = clock();
    let client = client_of(&double, &clock).await;
    clock.advance(280);
    let calls: Vec<_> =
        (0..16).map(|_| tokio::spawn(client.request("GET", &double.origin).send())).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(double.received("POST /token").len(), 2);
    let sent = double.received("GET / ");
    assert!(sent.iter().all(|one| one.header("authorization") == Some("DPoP token-2")));
}

#[tokio::test]
async fn an_api_that_dislikes_every_token_causes_no_storm() {
    let double = servers(300, |_| unauthorized("invalid_token")).await;
    let clock = clock();
    let client = client_of(&double, &clock).await;
    for tokens in [1, 2, 2] {
        for _ in 0..3 {
            let answer = client.request("GET", &double.origin).send().await.unwrap();
            assert_eq!(answer.status(), 401);
        }
        assert_eq!(double.received("POST /token").len(), tokens);
        clock.advance(if tokens == 1 { 10 } else { 9 });
    }
}

#[tokio::test]
async fn a_failed_renewal_is_not_repeated_at_once_and_a_good_token_is_used() {
    let number = AtomicU64::new(0);
    let double = Double::start(move |origin, request| match request.line.split(' ').nth(1) {
        Some("/token") if number.fetch_add(1, Ordering::SeqCst) == 0 => token("token-1", 300),
        Some("/token") => (503, vec![], String::new()),
        Some(path) if path.starts_with("/.well-known/") => metadata(origin),
        _ => ok(),
    })
    .await;
    let clock = clock();
    let client = client_of(&double, &clock).await;
    let asked = || double.received("POST /token").len() - 1;
    // About to end, and not renewed: used, and one attempt for all.
    clock.advance(280);
    for _ in 0..8 {
        assert_eq!(client.request("GET", &double.origin).send().await.unwrap().status(), 200);
    }
    assert_eq!(asked(), 1);
    // Ended: a failure for each, and attempts after 1, 2, 4 … seconds.
    clock.advance(20);
    let calls: Vec<_> =
        (0..16).map(|_| tokio::spawn(client.request("GET", &double.origin).send())).collect();
    let mut paused = 0;
    for call in calls {
        match call.await.unwrap() {
            Err(ClientError::RenewalPaused { cause, .. }) => {
                assert!(cause.contains("503"), "{cause}");
                paused += 1;
            }
            other => assert!(matches!(other, Err(ClientError::Refused(_))), "{other:?}"),
        }
    }
    assert_eq!((asked(), paused), (2, 15));
    for _ in 0..120 {
        clock.advance(1);
        assert!(client.request("GET", &double.origin).send().await.is_err());
    }
    assert_eq!(asked(), 9);
}

#[tokio::test]
async fn debug_shows_no_fields_and_no_body() {
    let double = servers(300, |_| ok()).await;
    let client = client_of(&double, &clock()).await;
    let url = format!("{}/pay?key=hush", double.origin);
    let request = client.request("POST", &url).header("x-key", "hush").body("hush");
    assert!(!format!("{request:?}").contains("hush"));
}

#[tokio::test]
async fn a_kept_session_ends_with_its_token() {
    let double = servers(300, |_| ok()).await;
    let clock = clock();
    let first = client_of(&double, &clock).await;
    let token = first.session().access_token().await.unwrap();
    let http = Http::with(Arc::clone(&clock) as _, Arc::new(OsEntropy)).unwrap();
    let kept = SignIn::new(&double.origin)
        .http(http)
        .resume((*token).clone(), Arc::clone(first.session().signer()))
        .unwrap();
    clock.advance(299);
    assert!(kept.access_token().await.is_ok());
    clock.advance(1);
    let ended = kept.access_token().await.unwrap_err();
    assert!(matches!(ended, ClientError::SignInRequired));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let double = servers(300, |request| match request.line.contains("/elsewhere") {
        true => ok(),
        false => (302, vec![("Location", "/elsewhere".to_owned())], String::new()),
    })
    .await;
    let client = client_of(&double, &clock()).await;
    let answer = client.request("GET", &double.origin).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert!(double.received("GET /elsewhere").is_empty());
}

#[tokio::test]
async fn a_token_stays_with_its_resource() {
    let double = servers(300, |_| ok()).await;
    let other = servers(300, |_| ok()).await;
    let client = client_of(&double, &clock()).await;
    let refused = client.request("GET", &other.origin).send().await;
    assert!(matches!(refused, Err(ClientError::Address(AddressError::OtherServer { .. }))));
    assert!(other.received("GET").is_empty());
    let client = client.also_at(&other.origin).unwrap();
    assert!(client.request("GET", &other.origin).send().await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_sent_is_not() {
    let double = servers(300, |_| ok()).await;
    let client = client_of(&double, &clock()).await;
    let url = double.origin.as_str();
    for request in [
        client.request("G T", url),
        client.request("GET", "http://api.example/"),
        client.request("GET", url).header("authorization", "Bearer x"),
        client.request("GET", url).header("DPoP", "x"),
        client.request("GET", url).header("a", "b\r\nc"),
    ] {
        assert!(request.send().await.is_err());
    }
    assert!(double.received("GET / ").is_empty());
}
