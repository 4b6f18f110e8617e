//! The feed of revocations as a resource server reads it: signed, complete, paged, waited for, and ended in time.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::key::Curve;
use serde_json::{Value, json};

use crate::signed_in::{SignedIn, agent_token, post, proof_for, revoke, send};
use crate::support::{Answer, EvmWallet, RESOURCE, START, Server, jkt, key, part};

/// A reader and its place.
pub(crate) struct Reader {
    issuer: String,
    first: Option<u64>,
    cursor: Option<String>,
}

impl Reader {
    pub(crate) fn new(server: &Server) -> Self {
        Self { issuer: server.issuer.clone(), first: None, cursor: None }
    }

    /// What is new, page by page, each verified.
    pub(crate) async fn read(&mut self, server: &Server) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let page = self.page(server, 0).await;
            entries.extend(page["entries"].as_array().unwrap().clone());
            if page["more"] == json!(false) {
                return entries;
            }
        }
    }

    pub(crate) async fn page(&mut self, server: &Server, wait: u64) -> Value {
        let after =
            self.cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let answer = send(server, "GET", &format!("/revocations?wait={wait}{after}"), &[]).await;
        let payload = verified(server, &answer).await;
        assert_eq!(payload["iss"], json!(self.issuer));
        assert_eq!(payload.get("after").and_then(Value::as_str), self.cursor.as_deref());
        self.cursor = Some(payload["cursor"].as_str().unwrap().to_owned());
        let sequence = sequence(self.cursor.as_ref().unwrap());
        self.first.get_or_insert(sequence);
        payload
    }

    /// How many revocations were noted since the first look.
    pub(crate) fn sequence_moved(&self) -> u64 {
        sequence(self.cursor.as_ref().unwrap()) - self.first.unwrap()
    }
}

fn sequence(cursor: &str) -> u64 {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    u64::from_be_bytes(bytes[8..].try_into().unwrap())
}

/// What each entry names.
pub(crate) fn kinds(entries: &[Value]) -> Vec<&'static str> {
    let kind = |entry: &Value| {
        let known = ["jti", "sid", "jkt", "sub"];
        known.into_iter().find(|name| entry.get(name).is_some()).unwrap_or("everything")
    };
    entries.iter().map(kind).collect()
}

/// The payload of an answer, by the key that the JWKS publishes and another library's verifier.
async fn verified(server: &Server, answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/jwt"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let jws = answer.body.as_str().unwrap();
    let header = part(jws, 0);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("revocations+jwt"), &json!("EdDSA")));
    let keys = send(server, "GET", "/.well-known/jwks.json", &[]).await;
    let mut keys = keys.body["keys"].as_array().unwrap().iter();
    let key = keys.find(|key| key["kid"] == header["kid"]).unwrap();
    let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ED25519, x).verify(input.as_bytes(), &signature).unwrap();
    part(jws, 1)
}

#[tokio::test]
async fn each_kind_is_told_with_its_times() {
    let server = Server::development().await;
    let agent = key(Curve::Ed25519);
    let mut reader = Reader::new(&server);
    let empty = reader.page(&server, 0).await;
    assert_eq!((&empty["entries"], &empty["iat"]), (&json!([]), &json!(START)));
    let (one, two) = (SignedIn::new(&server).await, SignedIn::new(&server).await);
    revoke(&server, one.access()).await;
    revoke(&server, one.refresh_token()).await;
    let token = agent_token(&server, &agent, RESOURCE).await;
    let token = token.text("access_token");
    let proof = proof_for(&server, &agent, "POST", "/revoke", token);
    let form = [("token", token), ("everything_of", "key")];
    post(&server, "/revoke", &form, &[("dpop", proof)]).await;
    server.clock.advance(5);
    assert_eq!(two.ask(&server, "DELETE", "/sessions").await.status, 204);
    let entries = reader.read(&server).await;
    let longest = 900 + 120;
    assert_eq!(
        entries,
        [
            json!({ "jti": one.answer.claims()["jti"], "until": START + 300 + 120 }),
            json!({ "sid": one.session(), "until": START + 1 + longest }),
            json!({ "jkt": jkt(&agent), "not_before": START + 1, "until": START + 1 + longest }),
            json!({
                "sub": two.answer.text("sub"), "not_before": START + 6, "until": START + 6 + longest,
            }),
        ]
    );
    assert!(reader.read(&server).await.is_empty());
    // Whoever is new gets them all, and each is gone once it has nothing left to touch.
    assert_eq!(Reader::new(&server).read(&server).await, entries);
    server.clock.advance(300 + 120 - 4);
    assert_eq!(kinds(&Reader::new(&server).read(&server).await), ["sid", "jkt", "sub"]);
    server.clock.advance(longest);
    assert!(Reader::new(&server).read(&server).await.is_empty());
}

#[tokio::test]
async fn reuse_and_one_session_too_many_are_told() {
    let toml = crate::flows::CONFIGURED.replace("algorithm = \"ES256\"", "algorithm = \"EdDSA\"")
        + "\n[limits]\nsessions_per_subject = 2\n";
    let server = Server::configured(&toml).await;
    let mut reader = Reader::new(&server);
    assert!(reader.read(&server).await.is_empty());
    let asked = || json!({ "resource": "https://escrow.example", "domain": "app.example" });
    let first = SignedIn::of(&server, EvmWallet::new(), asked(), &[]).await;
    let (stolen, key) = (first.refresh_token().to_owned(), first.key);
    let next = crate::signed_in::refresh(&server, &stolen, Some(&server.proof(&key)), &[]).await;
    let more = next.text("refresh_token").to_owned();
    let proof = server.proof(&key);
    assert_eq!(crate::signed_in::refresh(&server, &more, Some(&proof), &[]).await.status, 200);
    let proof = server.proof(&key);
    let reused = crate::signed_in::refresh(&server, &stolen, Some(&proof), &[]).await;
    reused.refused(400, "invalid_grant", "refresh_reused");
    let mut wallet = first.wallet;
    let mut displaced = first.answer.text("session_id").to_owned();
    let told = reader.read(&server).await;
    assert_eq!(told.iter().map(|entry| &entry["sid"]).collect::<Vec<_>>(), [&json!(displaced)]);
    for round in 0..3 {
        server.clock.advance(1);
        let another = SignedIn::of(&server, wallet, asked(), &[]).await;
        if round == 0 {
            displaced = another.session().to_owned();
        }
        wallet = another.wallet;
    }
    let told = reader.read(&server).await;
    assert_eq!(told.iter().map(|entry| &entry["sid"]).collect::<Vec<_>>(), [&json!(displaced)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_page_is_read_on_and_nothing_is_missed() {
    let server = Arc::new(Server::development().await);
    let agent = Arc::new(key(Curve::Ed25519));
    let many: Vec<_> = (0..8)
        .map(|_| {
            let (server, agent) = (Arc::clone(&server), Arc::clone(&agent));
            tokio::spawn(async move {
                for _ in 0..130 {
                    let token = agent_token(&server, &agent, RESOURCE).await;
                    assert_eq!(revoke(&server, token.text("access_token")).await.status, 200);
                }
            })
        })
        .collect();
    for one in many {
        one.await.unwrap();
    }
    let mut reader = Reader::new(&server);
    let first = reader.page(&server, 30).await;
    assert_eq!((first["entries"].as_array().unwrap().len(), &first["more"]), (1000, &json!(true)));
    let second = reader.page(&server, 30).await;
    assert_eq!((second["entries"].as_array().unwrap().len(), &second["more"]), (40, &json!(false)));
    let both = [first["entries"].as_array().unwrap(), second["entries"].as_array().unwrap()];
    let names: std::collections::HashSet<_> =
        both.into_iter().flatten().map(|entry| entry["jti"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 1040);
}

#[tokio::test]
async fn a_cursor_of_another_life_gets_everything_and_garbage_is_refused() {
    let (server, elsewhere) = (Server::development().await, Server::development().await);
    let owner = SignedIn::new(&server).await;
    revoke(&server, owner.access()).await;
    let mut reader = Reader::new(&server);
    let all = reader.read(&server).await;
    assert_eq!(all.len(), 1);
    let mut other = Reader::new(&elsewhere);
    other.read(&elsewhere).await;
    reader.cursor = other.cursor.clone();
    assert_eq!(reader.read(&server).await, all);
    // Of the same life and beyond what was ever given out: a store that was put back.
    let own = reader.cursor.clone().unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(&own).unwrap();
    bytes[8] = 0x7f;
    reader.cursor = Some(URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(reader.read(&server).await, all);
    for query in [
        "after=x",
        "after=%20",
        &format!("after={own}A"),
        &format!("after={own}&after={own}"),
        "wait=31",
        "wait=-1",
        "wait=%2B1",
        "wait=1.5",
        "wait=soon",
        "wait=999999999999999999999",
    ] {
        let answer = send(&server, "GET", &format!("/revocations?{query}"), &[]).await;
        let reason = if query.contains('&') { "parameter_repeated" } else { "malformed_request" };
        answer.refused(400, "invalid_request", reason);
    }
}

#[tokio::test]
async fn a_reader_goes_on_after_a_restart() {
    let server = Server::configured(&waiters(1)).await;
    let agent = key(Curve::Ed25519);
    let token = agent_token(&server, &agent, "https://api.example").await;
    let mut reader = Reader::new(&server);
    reader.read(&server).await;
    let mut up_to_date = Reader::new(&server);
    assert_eq!(revoke(&server, token.text("access_token")).await.status, 200);
    let told = up_to_date.read(&server).await;
    let server = server.restart(&waiters(1)).await;
    // Tokens of before cannot be verified here any more, nor revoked: all of them are void.
    let void = json!({ "not_before": server.now(), "until": server.now() + 1 + 900 + 120 });
    let both = [told, vec![void.clone()]].concat();
    // Who had not heard hears it now, and who had hears it no more.
    assert_eq!(reader.read(&server).await, both);
    assert_eq!(up_to_date.read(&server).await, [void]);
    assert_eq!(Reader::new(&server).read(&server).await, both);
}

#[tokio::test]
async fn who_waits_is_told_as_soon_as_there_is_something() {
    let server = Arc::new(Server::development().await);
    let owner = SignedIn::new(&server).await;
    let mut reader = Reader::new(&server);
    reader.read(&server).await;
    let waiting = Arc::clone(&server);
    let page = tokio::spawn(async move { reader.page(&waiting, 30).await });
    // Whether the reader asks before or after: it is told.
    assert_eq!(revoke(&server, owner.access()).await.status, 200);
    let page = tokio::time::timeout(Duration::from_secs(20), page).await.unwrap().unwrap();
    assert_eq!(kinds(page["entries"].as_array().unwrap()), ["jti"]);
}

/// ES256 signs with randomness: two signatures over the same are not the same.
#[tokio::test]
async fn an_answer_is_signed_once_for_all_who_ask_in_its_second() {
    let server = Arc::new(Server::configured(crate::flows::CONFIGURED).await);
    let text = async |path: &str| {
        let answer = send(&server, "GET", path, &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body.as_str().unwrap().to_owned()
    };
    let first = text("/revocations?wait=0").await;
    assert_eq!(text("/revocations?wait=0").await, first);
    let cursor = part(&first, 1)["cursor"].as_str().unwrap().to_owned();
    let path = format!("/revocations?wait=0&after={cursor}");
    let other = text(&path).await;
    assert_eq!((&part(&other, 1)["after"], &text(&path).await), (&json!(cursor), &other));
    server.clock.advance(1);
    let later = text("/revocations?wait=0").await;
    assert_eq!(part(&later, 1)["iat"], json!(START + 1));
    assert_eq!(text("/revocations?wait=0").await, later);
    // All who wait are told the same; an advance between two of them would be another second.
    let path = format!("/revocations?wait=1&after={cursor}");
    let waiting = (0..16).map(|_| {
        let (server, path) = (Arc::clone(&server), path.clone());
        tokio::spawn(async move { send(&server, "GET", &path, &[]).await })
    });
    let mut told = Vec::new();
    for one in waiting.collect::<Vec<_>>() {
        told.push(one.await.unwrap().body);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn who_waits_in_vain_learns_how_fresh_the_nothing_is() {
    let server = Server::development().await;
    let mut reader = Reader::new(&server);
    let first = reader.page(&server, 0).await;
    let asked = reader.page(&server, 1);
    let moved = async {
        // The clock is moved while the reader waits, or before it asks: `iat` follows either way.
        tokio::task::yield_now().await;
        server.clock.advance(7);
    };
    let (page, ()) = tokio::join!(asked, moved);
    assert_eq!((&page["entries"], &page["cursor"]), (&json!([]), &first["cursor"]));
    assert_eq!(page["iat"], json!(START + 7));
}

#[tokio::test]
async fn who_comes_when_enough_wait_is_answered_at_once() {
    let server = Server::configured(&waiters(0)).await;
    let mut reader = Reader::new(&server);
    reader.page(&server, 30).await;
    let page = tokio::time::timeout(Duration::from_secs(20), reader.page(&server, 30)).await;
    assert_eq!(page.unwrap()["entries"], json!([]));
}

#[tokio::test]
async fn a_server_that_stops_lets_its_readers_go() {
    let server = Server::configured(&waiters(1)).await;
    let mut reader = Reader::new(&server);
    reader.page(&server, 0).await;
    let url = server.at(&format!("/revocations?wait=30&after={}", reader.cursor.unwrap()));
    let ask = || Box::pin(server.http.get(&url).send());
    // There is room for one: when the other has its answer, this one waits.
    let asked = first_of(ask(), ask());
    let (answered, waiting) = tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
    assert_eq!(answered.unwrap().status(), 200);
    server.tell_to_stop();
    // Well below the half minute that it would wait, and the 20 seconds of grace.
    let let_go = tokio::time::timeout(Duration::from_secs(15), waiting).await.unwrap();
    assert_eq!(let_go.unwrap().status(), 200);
    server.shut_down().await;
}

#[tokio::test]
async fn a_reader_that_went_away_leaves_its_place() {
    let server = Server::configured(&waiters(1)).await;
    let mut reader = Reader::new(&server);
    reader.page(&server, 0).await;
    let url = server.at(&format!("/revocations?wait=30&after={}", reader.cursor.unwrap()));
    let ask = || Box::pin(server.http.get(&url).send());
    let (_, waiting) = first_of(ask(), ask()).await;
    drop(waiting);
    // Of two who come now one is answered at once and the other waits, as soon as the server has
    // seen that nobody is there any more. If it never did, both would be answered at once, for ever.
    let seen = async {
        loop {
            let (_, other) = first_of(ask(), ask()).await;
            if tokio::time::timeout(Duration::from_millis(500), other).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
}

/// The first of two, and what is left of the other.
async fn first_of<F: Future + Unpin>(mut one: F, mut other: F) -> (F::Output, F) {
    tokio::select! {
        done = &mut one => (done, other),
        done = &mut other => (done, one),
    }
}

/// Room for so many to wait, and tokens that the reader here can verify.
fn waiters(most: u32) -> String {
    crate::flows::CONFIGURED.replace("algorithm = \"ES256\"", "algorithm = \"EdDSA\"")
        + &format!("\n[limits]\nfeed_waiters = {most}\n")
}
