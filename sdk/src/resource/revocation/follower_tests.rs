//! What the follower believes, asks and survives, against an issuer that is told what to answer.

use serde_json::{Value, json};

use super::*;
use crate::entropy::EntropyError;
use crate::key::{Curve, Signer as _};
use crate::resource::fixture::{NOW, RESOURCE, key_set, signer};
use crate::resource::issuer_double::{IssuerDouble, Script, sealed, until};
use crate::resource::revocation::Revocations;
use crate::resource::{FetchError, FixedKeys, IssuerFeed, ResourceConfig};

/// An answer to the first question that is not one, and what the status then says.
async fn refused(name: &str, script: impl FnOnce(&IssuerDouble) -> Script, why: &str) {
    let double = IssuerDouble::start().await;
    double.script([script(&double)]);
    let api = double.api(|config| config);
    let status = api.server.follow_revocations().await;
    assert!(status.stale && status.as_of.is_none() && status.entries == 0, "{name}: {status:?}");
    let failure = status.last_failure.unwrap();
    assert!(failure.contains(why), "{name}: {failure}");
    // It is asked again, and a good answer is taken.
    let good = until(&api.server, |status| !status.stale).await;
    assert_eq!((good.as_of, good.last_failure), (Some(NOW), None), "{name}");
}

/// An answer with a changed payload.
fn changed(name: &'static str, value: Value) -> impl FnOnce(&IssuerDouble) -> Script {
    move |double| {
        let entries = json!([{ "jti": "1", "until": NOW.plus(900) }]);
        let mut payload = double.payload(entries, "c1", false);
        payload[name] = value;
        double.signed(&payload)
    }
}

/// An answer with a changed header, signed by the issuer.
fn headed(header: Value) -> impl FnOnce(&IssuerDouble) -> Script {
    move |double| {
        let payload = double.payload(json!([]), "c0", false).to_string();
        Script::Body(200, sealed(&double.key, &header, &payload).into_bytes())
    }
}

#[tokio::test]
async fn what_is_not_the_issuers_signed_answer_is_not_believed() {
    let header = |typ: &str, alg: &str, kid: &str| json!({ "typ": typ, "alg": alg, "kid": kid });
    let feed = "revocations+jwt";
    let unsigned = |double: &IssuerDouble| {
        let Script::Body(_, body) = changed("x", json!(1))(double) else { panic!("no body") };
        let text = String::from_utf8(body).unwrap();
        Script::Body(200, text.rsplit_once('.').unwrap().0.as_bytes().to_vec())
    };
    let bare = |double: &IssuerDouble| {
        Script::Body(200, double.payload(json!([]), "c0", false).to_string().into_bytes())
    };
    let foreign = |double: &IssuerDouble| {
        let payload = double.payload(json!([]), "c0", false).to_string();
        let text = sealed(&signer(Curve::Ed25519), &header(feed, "EdDSA", "a"), &payload);
        Script::Body(200, text.into_bytes())
    };
    let jwk = serde_json::to_value(signer(Curve::Ed25519).public_key().to_jwk()).unwrap();
    let mut own_key = header(feed, "EdDSA", "a");
    own_key["jwk"] = jwk;
    let twice = |double: &IssuerDouble| {
        let payload = double.payload(json!([]), "c0", false).to_string();
        let payload = payload.replacen('{', r#"{"more":false,"#, 1);
        let text = sealed(&double.key, &header(feed, "EdDSA", "a"), &payload);
        Script::Body(200, text.into_bytes())
    };
    tokio::join!(
        refused("unsigned", unsigned, "token_malformed"),
        refused("bare", bare, "token_malformed"),
        refused("foreign", foreign, "token_signature"),
        refused("alg none", headed(header(feed, "none", "a")), "token_malformed"),
        refused("alg off the list", headed(header(feed, "ES256K", "a")), "token_algorithm"),
        refused("token", headed(header("at+jwt", "EdDSA", "a")), "token_type"),
        refused("JWT", headed(header("JWT", "EdDSA", "a")), "token_type"),
        refused("no typ", headed(json!({ "alg": "EdDSA", "kid": "a" })), "token_type"),
        refused("key", headed(own_key), "token_malformed"),
        refused("kid", headed(header(feed, "EdDSA", "b")), "token_key_unknown"),
        refused("twice", twice, "there once"),
    );
}

#[tokio::test]
async fn what_says_something_else_is_not_used() {
    let kind = json!([{ "jti": "1", "until": NOW.plus(9) }, { "aud": "x", "until": NOW.plus(9) }]);
    tokio::join!(
        refused("iss", changed("iss", json!("https://evil.example")), "another issuer"),
        refused("iat", changed("iat", json!("1")), "there once"),
        refused("iat", changed("iat", json!(NOW.plus(6))), "6 seconds ahead"),
        refused("kind", changed("entries", kind), "a kind that this version does not know"),
        refused("cursor", changed("cursor", Value::Null), "there once"),
        refused("no keys", changed("kids", json!([])), "does not name the key"),
        refused("other keys", changed("kids", json!(["b", "c"])), "does not name the key"),
    );
}

#[tokio::test]
async fn what_is_no_answer_is_asked_for_again() {
    let body = |status, bytes: &[u8]| {
        let bytes = bytes.to_vec();
        move |_: &IssuerDouble| Script::Body(status, bytes)
    };
    let long = vec![b'x'; MAX_FEED_BYTES + 1];
    tokio::join!(
        refused("500", body(500, b"{}"), "status 500"),
        refused("moved", body(302, b""), "status 302"),
        refused("long", body(200, &long), "more than 1048576 bytes"),
        refused("no text", body(200, b"\xff"), "not a text"),
        refused("empty", body(200, b""), "token_malformed"),
    );
}

#[tokio::test]
async fn an_old_answer_that_is_shown_again_looks_its_age() {
    let double = IssuerDouble::start().await;
    let old = |double: &IssuerDouble| {
        let mut payload = double.payload(json!([]), "c0", false);
        payload["after"] = json!("c0");
        double.signed(&payload)
    };
    let shown = [old(&double), old(&double), old(&double)];
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    double.clock.advance(31);
    double.script(shown.into_iter().chain([Script::Silence]));
    let Revocations::Followed(follower) = &api.server.0.revocations else { panic!("followed") };
    let mut progress = follower.progress();
    let heard = progress.wait_for(|progress| progress.answers >= 4);
    assert!(tokio::time::timeout(Duration::from_secs(20), heard).await.is_ok());
    let status = api.server.revocation_status();
    assert_eq!((status.as_of, status.age, status.stale), (Some(NOW), Some(31), true));
}

#[tokio::test]
async fn pages_are_followed_by_their_cursors_and_the_view_is_complete_at_their_end() {
    let double = IssuerDouble::start().await;
    double.page(2);
    for number in 0..5 {
        double.revoke(json!({ "jti": number.to_string() }));
    }
    let api = double.api(|config| config);
    let status = api.server.follow_revocations().await;
    assert_eq!((status.entries, status.stale), (5, false));
    double.revoke(json!({ "sid": "5" }));
    until(&api.server, |status| status.entries == 6).await;
    let asked = double.asked();
    let expected = ["wait=0", "after=c2&wait=0", "after=c4&wait=0", "after=c5&wait=10"];
    // Pages are asked for without a wait; what follows them, with one.
    assert_eq!(asked[..4], expected);
}

#[tokio::test]
async fn more_without_a_new_cursor_is_no_answer() {
    let double = IssuerDouble::start().await;
    let page = double.payload(json!([]), "c0", true);
    let mut again = page.clone();
    again["after"] = json!("c0");
    double.script([double.signed(&page), double.signed(&again)]);
    let api = double.api(|config| config);
    let status = api.server.follow_revocations().await;
    assert!(status.last_failure.unwrap().contains("does not say where"));
    until(&api.server, |status| !status.stale).await;
}

/// Who can swap answers on the way has a fresh and empty one for whoever asks from an older place.
#[tokio::test]
async fn an_answer_to_another_question_hides_nothing() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    let mut newest = double.payload(json!([]), "c9", false);
    newest["after"] = json!("c9");
    double.script([double.signed(&newest)]);
    double.revoke(json!({ "sid": "1" }));
    let status = until(&api.server, |status| status.entries == 1).await;
    assert!(double.asked().len() > 2 && !status.stale);
}

#[tokio::test]
async fn after_failures_it_asks_without_waiting_and_then_for_everything() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    double.script((0..3).map(|_| Script::Body(400, Vec::new())));
    until(&api.server, |_| double.asked().len() >= 5).await;
    let asked = double.asked();
    let expected = ["wait=0", "after=c0&wait=10", "after=c0&wait=0", "after=c0&wait=0", "wait=0"];
    assert_eq!(asked[..5], expected);
}

/// An issuer that has too much to do is asked less, and not for more.
#[tokio::test]
async fn a_busy_issuer_is_asked_for_what_follows_and_for_nothing_else() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    let metadata = double.metadata_asked();
    double.script([429, 503, 429].map(|status| Script::Body(status, Vec::new())));
    until(&api.server, |_| double.asked().len() >= 5).await;
    let asked = double.asked();
    assert_eq!(asked[1], "after=c0&wait=10");
    assert_eq!(asked[2..5], ["after=c0&wait=0"; 3]);
    assert_eq!(double.metadata_asked(), metadata, "it is where it was");
    // Nor does an outage make it ask for everything.
    double.down(true);
    let Revocations::Followed(follower) = &api.server.0.revocations else { panic!("followed") };
    let mut progress = follower.progress();
    let missed = progress.wait_for(|progress| progress.failures >= 6);
    assert!(tokio::time::timeout(Duration::from_secs(20), missed).await.is_ok());
    double.down(false);
    let before = double.asked().len();
    double.revoke(json!({ "jti": "x" }));
    until(&api.server, |status| status.entries == 1).await;
    assert!(double.asked()[before..].iter().all(|asked| asked.starts_with("after=c0")));
}

#[test]
fn an_issuer_is_left_alone_for_as_long_as_it_asks_and_no_longer_than_between_failures() {
    let busy = |retry_after| FeedError::Busy { reason: String::new(), retry_after };
    assert_eq!(asked_to_wait(&busy(2)), Duration::from_secs(2));
    assert_eq!(asked_to_wait(&busy(u64::MAX)), BACK_OFF_AT_MOST);
    assert_eq!(asked_to_wait(&FeedError::NoKeys), Duration::ZERO);
}

#[tokio::test]
async fn the_wait_leaves_time_for_two_more_questions() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config.max_staleness(7));
    api.server.follow_revocations().await;
    double.revoke(json!({ "jti": "x" }));
    until(&api.server, |status| status.entries == 1).await;
    assert_eq!(double.asked().get(1).unwrap(), "after=c0&wait=2");
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_looked_up() {
    let mut double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    let new = signer(Curve::Ed25519);
    double.publish(key_set(&new, "b"));
    double.key = new;
    double.clock.advance(5);
    let header = json!({ "typ": "revocations+jwt", "alg": "EdDSA", "kid": "b" });
    let entries = json!([{ "jti": "x", "until": NOW.plus(900) }]);
    let mut payload = double.payload(entries, "c0", false);
    payload["after"] = json!("c0");
    let answer = sealed(&double.key, &header, &payload.to_string());
    double.script([Script::Body(200, answer.into_bytes())]);
    let status = until(&api.server, |status| status.entries == 1).await;
    assert_eq!(status.as_of, Some(NOW.plus(5)));
}

#[tokio::test]
async fn a_source_that_takes_too_long_is_given_up() {
    let double = IssuerDouble::start().await;
    double.script([Script::Silence]);
    let soon = Duration::from_secs(1);
    let feed = IssuerFeed::new(&double.issuer).unwrap().answer_time(soon);
    let api = double.api(|config| config.revocation_source(Arc::new(feed)));
    let status = api.server.follow_revocations().await;
    assert!(status.last_failure.unwrap().contains("longer"));
    until(&api.server, |status| !status.stale).await;
}

/// The double lives in a runtime of its own, as an issuer does; the server outlives two of its own.
#[test]
fn it_goes_on_in_another_runtime() {
    let of_issuer = tokio::runtime::Runtime::new().unwrap();
    let double = of_issuer.block_on(IssuerDouble::start());
    let api = double.api(|config| config);
    // Outside of any runtime there is nothing to start it in, and nothing breaks.
    let Revocations::Followed(follower) = &api.server.0.revocations else { panic!("followed") };
    follower.start();
    assert!(!follower.0.running.load(Ordering::SeqCst));
    for round in 1..=2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let token = double.token(&api, |claims| claims["jti"] = json!("other"));
            assert!(api.ask_with(&token).await.is_ok(), "round {round}");
            double.revoke(json!({ "jti": round.to_string() }));
            until(&api.server, |status| status.entries == round).await;
        });
        drop(runtime);
        assert!(!follower.0.running.load(Ordering::SeqCst));
        double.clock.advance(100);
    }
}

/// Never answers, and counts who still holds it.
#[derive(Debug)]
struct Never;

#[async_trait::async_trait]
impl RevocationSource for Never {
    async fn fetch(&self, _: Option<&str>, _: u64) -> Result<String, FetchError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn it_ends_with_the_last_clone_of_the_server() {
    let source = Arc::new(Never);
    let given = Arc::clone(&source) as Arc<dyn RevocationSource>;
    let config = ResourceConfig::new("https://auth.example", RESOURCE)
        .key_source(Arc::new(FixedKeys::new("{}")))
        .revocation_source(given);
    let server = config.build().unwrap();
    server.0.revocations.start();
    let clone = server.clone();
    drop(server);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&source), 2);
    drop(clone);
    let gone = async {
        while Arc::strong_count(&source) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}

/// Panics when it is asked first, as code of others may.
#[derive(Debug)]
struct Panicking(AtomicBool, IssuerFeed);

#[async_trait::async_trait]
impl RevocationSource for Panicking {
    async fn fetch(&self, after: Option<&str>, wait: u64) -> Result<String, FetchError> {
        assert!(self.0.swap(true, Ordering::SeqCst), "the first question");
        self.1.fetch(after, wait).await
    }
}

#[tokio::test]
async fn a_source_that_panics_is_asked_again_by_the_next_request() {
    let double = IssuerDouble::start().await;
    let feed = IssuerFeed::new(&double.issuer).unwrap();
    let source = Arc::new(Panicking(AtomicBool::new(false), feed));
    let api = double.api(|config| config.revocation_source(source));
    let token = double.token(&api, |_| ());
    assert!(api.ask_with(&token).await.is_err());
    assert!(api.ask_with(&token).await.is_ok());
}

/// Gives one byte for ever, or fails.
#[derive(Debug)]
struct Fixed(Option<u8>);

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.0.map(|byte| out.fill(byte)).ok_or(EntropyError)
    }
}

#[test]
fn failures_are_followed_by_longer_pauses_of_uneven_length() {
    let millis = |failures, byte| back_off(failures, &Fixed(byte)).as_millis();
    assert_eq!((millis(1, Some(0)), millis(1, Some(255))), (250, 500));
    assert_eq!((millis(2, Some(0)), millis(2, Some(255))), (500, 1000));
    assert_eq!((millis(5, Some(0)), millis(5, Some(255))), (2500, 5000));
    assert_eq!((millis(255, Some(0)), millis(u32::MAX, Some(255))), (2500, 5000));
    assert_eq!(millis(1, None), 500);
}
