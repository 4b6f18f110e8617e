//! What is decided is recorded before it is answered, outlives the process, and can be shown to somebody else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::audit::evidence::{Proof as Signed, SignIn};
use countersign::audit::proof::{self, Proof};
use countersign::audit::record::{Hash, Record};
use countersign::audit::search::{Query, in_folder};
use countersign::service::arbiter::{self, Verdict};
use countersign_sdk::key::Curve;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::process::{Process, free_port};
use crate::signed_in::{SignedIn, redeem};
use crate::support::{
    EvmWallet, JWT_BEARER, RESOURCE, SIGNED_MESSAGE, Server, did, dpop, jkt, jws, key, part,
};
use crate::wire_client::Client;

/// `countersign audit …`: exit code and output.
pub(crate) async fn audit(args: &[&str], data: Option<&Path>) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("--json").arg("audit").args(args);
    if let Some(data) = data {
        command.arg("--data-dir").arg(data);
    }
    let done = command.output().await.unwrap();
    let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code().unwrap(), told)
}

/// Every token that a sign-in of the log in `data` gave.
pub(crate) async fn jtis(data: &Path) -> BTreeSet<String> {
    let (code, lines) = audit(&["export", "--event", "sign_in"], Some(data)).await;
    assert_eq!(code, 0, "{lines}");
    let jti = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["body"]["token"]["jti"].as_str().unwrap().to_owned()
    };
    lines.lines().map(jti).collect()
}

/// The proof of the sign-in that gave the token `jti`.
pub(crate) fn proof_of(data: &Path, jti: &Value) -> Proof {
    Proof::of(proof::find(&data.join("audit"), jti.as_str().unwrap()).unwrap())
}

/// What the proof of a sign-in shows.
pub(crate) fn verdict(data: &Path, jti: &Value) -> Verdict {
    let proof = serde_json::to_vec(&proof_of(data, jti)).unwrap();
    arbiter::check(&Proof::read(&proof).unwrap(), None).unwrap()
}

fn records(data: &Path) -> Vec<Record> {
    in_folder(&data.join("audit"), &Query::default()).unwrap().records
}

/// What the log in `data` tells of events of one name.
pub(crate) fn bodies(data: &Path, event: &str) -> Vec<Value> {
    let bodies =
        records(data).into_iter().map(|record| record.body.get().parse::<Value>().unwrap());
    bodies.filter(|body| body["event"] == event).collect()
}

/// Somebody else's signature, an agent's assertion once and again, another's domain, a wrong secret; gives what the
/// agent was answered.
async fn refused_and_an_agent(
    server: &Server,
    wallet: &EvmWallet,
    agent: &countersign_sdk::key::InMemorySigner,
    secrets: &mut Vec<String>,
) -> crate::support::Answer {
    let thief = EvmWallet::new();
    let session = key(Curve::P256);
    let asked =
        json!({ "account": wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(&session) });
    let message = server.challenge(&asked).await.text("message").to_owned();
    let signature = thief.sign(&message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &message), ("signature", &signature)];
    let proof = server.proof(&session);
    let refused = server.token(&form, Some(&proof)).await;
    refused.refused(400, "invalid_grant", "signature_mismatch");
    secrets.push(proof);
    let (iss, now) = (did(agent), server.now() + 2);
    let claims = json!({ "iss": iss, "sub": iss, "aud": server.issuer, "iat": now, "exp": now + 30,
        "jti": "an assertion of this test", "scope": "read", "resource": RESOURCE });
    let assertion = jws(agent, &json!({ "alg": "EdDSA" }), &claims);
    let form = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
    let proof = dpop(agent, &format!("{}/token", server.issuer), server.now(), json!({}));
    let by_agent = server.token(&form, Some(&proof)).await;
    secrets.extend([by_agent.text("access_token").to_owned(), proof]);
    let again = server.token(&form, Some(&server.proof(agent))).await;
    again.refused(400, "invalid_grant", "assertion_replayed");
    let elsewhere = json!({ "account": wallet.account(), "domain": "evil.example" });
    assert_eq!(server.challenge(&elsewhere).await.text("reason"), "domain_not_allowed");
    let introspection = server.http.post(server.at("/introspect"));
    let introspection = introspection.basic_auth("http%3A%2F%2Fx", Some("a secret of this test"));
    secrets.push("a secret of this test".to_owned());
    let answer = introspection.form(&[("token", by_agent.text("access_token"))]).send().await;
    assert_eq!(answer.unwrap().status(), 401);
    by_agent
}

#[tokio::test]
async fn every_decision_stands_in_the_log_and_no_credential_does() {
    let server = Server::development().await;
    let mut secrets = Vec::new();
    let signed_in = SignedIn::new(&server).await;
    let first = signed_in.refresh_token().to_owned();
    secrets.extend([signed_in.access().to_owned(), first.clone()]);
    let mut newest = first.clone();
    for _ in 0..2 {
        let answer = signed_in.refresh(&server, &newest).await;
        newest = answer.text("refresh_token").to_owned();
        secrets.extend([answer.text("access_token").to_owned(), newest.clone()]);
    }
    signed_in.refresh(&server, &first).await.refused(400, "invalid_grant", "refresh_reused");
    signed_in.refresh(&server, &newest).await.refused(400, "invalid_grant", "session_ended");

    let other = SignedIn::new(&server).await;
    let gone = other.ask(&server, "DELETE", &format!("/sessions/{}", other.session())).await;
    assert_eq!(gone.status, 204);
    assert_eq!(other.ask(&server, "GET", "/sessions").await.text("reason"), "token_revoked");
    secrets.push(other.access().to_owned());
    let third = SignedIn::new(&server).await;
    assert_eq!(third.ask(&server, "DELETE", "/sessions").await.status, 204);
    let burnt = SignedIn::new(&server).await;
    let form = [("token", burnt.refresh_token())];
    let revoked = server.http.post(server.at("/revoke")).form(&form).send().await.unwrap();
    assert_eq!(revoked.status(), 200);

    let (wallet, agent) = (EvmWallet::new(), key(Curve::Ed25519));
    let by_agent = refused_and_an_agent(&server, &wallet, &agent, &mut secrets).await;
    let iss = did(&agent);

    let data = server.shut_down_and_keep().await;
    let data = data.path().join("store");
    let events: Vec<String> = records(&data)
        .iter()
        .map(|record| record.event().unwrap().name().to_owned())
        .filter(|name| name != "checkpoint" && !name.starts_with("key_"))
        .collect();
    assert_eq!(
        events,
        [
            "started",
            "configuration_loaded",
            "sign_in",
            "refreshed",
            "refreshed",
            "refresh_reused",
            "refresh_refused",
            "sign_in",
            "session_ended",
            "holder_refused",
            "sign_in",
            "revoked",
            "sign_in",
            "revoked",
            "sign_in_refused",
            "sign_in",
            "sign_in_refused",
            "challenge_refused",
            "introspection_refused",
            "stopped",
        ]
    );
    let refused = &bodies(&data, "sign_in_refused")[0];
    assert_eq!(refused["account"], wallet.account());
    assert_eq!(bodies(&data, "refresh_reused")[0]["sid"], signed_in.session());
    assert_eq!(bodies(&data, "revoked")[0]["by"]["holder"], jkt(&third.key));
    assert_eq!(bodies(&data, "revoked")[1]["by"], "bearer");
    let text: String = records(&data).iter().map(Record::line).collect();
    for secret in secrets {
        // What is signed of a token must not stand there either.
        assert!(!text.contains(&secret) && !text.contains(secret.rsplit('.').next().unwrap()));
    }
    // The agent's token is proven by its assertion.
    let shown = verdict(&data, &by_agent.claims()["jti"]);
    assert_eq!((shown.sub, shown.method), (iss, "jwt-bearer".to_owned()));
}

/// Every change that a forger who has the signing key could make to what a record says.
fn forgeries(true_one: &SignIn) -> Vec<(&'static str, SignIn)> {
    let other = key(Curve::P256).public_key_thumbprint();
    let mut forged = Vec::new();
    let mut with = |what, change: &dyn Fn(&mut SignIn)| {
        let mut one = true_one.clone();
        change(&mut one);
        forged.push((what, one));
    };
    with("sub", &|one| one.sub = "did:pkh:eip155:1:0x0".to_owned());
    with("account", &|one| one.account = one.account.replacen("eip155:1:", "eip155:10:", 1));
    with("proven_jkt", &|one| one.proven_jkt = Some(other));
    with("proven_key", &|one| one.proven_key = None);
    with("scope", &|one| one.token.scope.push_str(" admin"));
    with("jkt", &|one| one.token.jkt = Some(other));
    with("no jkt", &|one| one.token.jkt = None);
    with("exp", &|one| one.token.exp = one.token.exp.plus(901));
    with("resource", &|one| one.policy.resource = "http://127.0.0.1:9999".to_owned());
    with("domain", &|one| one.policy.domain = "127.0.0.1:1".to_owned());
    with("issuer", &|one| one.policy.issuer = "http://127.0.0.1:1".to_owned());
    with("nonce_at", &|one| {
        let Signed::Message(text) = &mut one.proof else { panic!() };
        text.nonce_at = text.nonce_at.minus(3600);
    });
    with("challenge_lifetime", &|one| one.policy.challenge_lifetime = 901);
    with("clock_skew", &|one| one.policy.clock_skew = 61);
    with("session_lifetime", &|one| one.policy.session_lifetime = 31_536_001);
    with("message", &|one| {
        let Signed::Message(text) = &mut one.proof else { panic!() };
        let middle = text.message.len() / 2;
        let swapped = if &text.message[middle..=middle] == "A" { "B" } else { "A" };
        text.message.replace_range(middle..=middle, swapped);
    });
    with("signature", &|one| {
        let Signed::Message(text) = &mut one.proof else { panic!() };
        text.signature = EvmWallet::new().sign("something else");
    });
    with("format", &|one| {
        let Signed::Message(text) = &mut one.proof else { panic!() };
        text.format = "siws".to_owned();
    });
    forged
}

trait Thumb {
    fn public_key_thumbprint(&self) -> countersign_sdk::key::Thumbprint;
}

impl Thumb for countersign_sdk::key::InMemorySigner {
    fn public_key_thumbprint(&self) -> countersign_sdk::key::Thumbprint {
        use countersign_sdk::key::Signer as _;
        self.public_key().thumbprint()
    }
}

#[tokio::test]
async fn a_sign_in_is_proven_with_public_keys_alone_and_forgeries_are_not() {
    let server = Server::development().await;
    let signed_in = SignedIn::new(&server).await;
    let jwks = server.http.get(server.at("/.well-known/jwks.json")).send().await.unwrap();
    let jwks = jwks.text().await.unwrap();
    for _ in 0..20 {
        SignedIn::new(&server).await;
    }
    let claims = signed_in.answer.claims();
    let data = server.shut_down_and_keep().await;
    let (folder, data) = (data.path().to_owned(), data.path().join("store"));
    let keys = folder.join("jwks.json");
    std::fs::write(&keys, jwks).unwrap();
    let keys = keys.to_str().unwrap();
    let (code, told) = audit(&["verify", "--keys", keys], Some(&data)).await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("\"keys_are_known\": true"), "{told}");
    // The keys beside the log are nobody's word but the log's own.
    let (code, told) = audit(&["verify"], Some(&data)).await;
    assert!(code == 0 && told.contains("\"keys_are_known\": false"), "{told}");
    assert!(told.contains("compare signed_by"), "{told}");
    let lines = std::fs::read_to_string(data.join("audit/00000000000000000001.jsonl")).unwrap();
    let copy = folder.join("lines");
    let copied = copy.to_str().unwrap();
    for (text, code, why) in [
        (lines.clone(), 0, "\"compared\":"),
        ("another program's line\n".to_owned(), 1, "nothing was compared"),
        (lines.replacen("\"event\":\"sign_in\"", "\"event\":\"sign_iN\"", 1), 1, "line "),
    ] {
        std::fs::write(&copy, text).unwrap();
        let (found, told) = audit(&["verify", "--known", copied], Some(&data)).await;
        assert!(found == code && told.contains(why), "{told}");
    }
    let (code, told) = audit(&["verify", "--gap-records", "1"], Some(&data)).await;
    assert!(code == 1 && told.contains("soon enough"), "{told}");
    let file = folder.join("proof.json");
    let file = file.to_str().unwrap();
    let jti = claims["jti"].as_str().unwrap();
    let (code, told) = audit(&["prove", jti, "--out", file], Some(&data)).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(audit(&["prove", "another", "--out", file], Some(&data)).await.0, 1);
    let (code, told) = audit(&["check", file, "--keys", keys], None).await;
    assert_eq!(code, 0, "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["account"], json!(signed_in.wallet.account()));
    assert_eq!(told["scope"], claims["scope"]);
    assert_eq!((&told["resource_was_signed"], &told["signed_at"]), (&json!(true), &told["at"]));
    assert_eq!((&told["key_is_known"], &told["resource"]), (&json!(true), &json!(RESOURCE)));

    // Another issuer's keys.
    let others = folder.join("others.json");
    let other = serde_json::to_value(key(Curve::Ed25519).public_jwk()).unwrap();
    std::fs::write(&others, json!({ "keys": [other] }).to_string()).unwrap();
    let (code, told) = audit(&["check", file, "--keys", others.to_str().unwrap()], None).await;
    assert_eq!(code, 1, "{told}");
    let (code, told) = audit(&["verify", "--keys", others.to_str().unwrap()], Some(&data)).await;
    assert!(code == 1 && told.contains("checkpoint"), "{told}");

    // One character of the file, wherever.
    let text = std::fs::read_to_string(file).unwrap();
    for at in (0..text.len() - 1).step_by(17) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let held = Proof::read(&bytes).is_ok_and(|proof| arbiter::check(&proof, None).is_ok());
        assert!(!held, "{at}: {}", String::from_utf8_lossy(&bytes[at.saturating_sub(20)..at + 1]));
    }
    // Whoever has the signing key can sign a log of lies; what they cannot make is the wallet's signature.
    let proof = proof_of(&data, &claims["jti"]);
    let sign_in = proof::sign_in_of(&proof.record).unwrap();
    assert!(arbiter::evidence(&sign_in, proof.record.time).is_ok());
    for (what, forged) in forgeries(&sign_in) {
        assert!(arbiter::evidence(&forged, proof.record.time).is_err(), "{what}");
    }
    for other_time in [proof.record.time.plus(3600), proof.record.time.minus(3600)] {
        assert!(arbiter::evidence(&sign_in, other_time).is_err(), "{other_time}");
    }
    // A record of another place does not lead there either.
    let moved = Proof { leaves: vec![Hash::BEGINNING], ..proof };
    assert!(arbiter::check(&moved, None).is_err());
}

trait Jwk {
    fn public_jwk(&self) -> Value;
}

impl Jwk for countersign_sdk::key::InMemorySigner {
    fn public_jwk(&self) -> Value {
        use countersign_sdk::key::Signer as _;
        let mut jwk = serde_json::to_value(self.public_key().to_jwk()).unwrap();
        jwk["kid"] = json!(self.public_key().thumbprint());
        jwk
    }
}

#[tokio::test]
async fn refusals_beyond_the_bound_are_counted_and_push_nothing_out() {
    let server = Server::development().await;
    let wallet = EvmWallet::new();
    for _ in 0..200 {
        let asked = json!({ "account": wallet.account(), "domain": "evil.example" });
        assert_eq!(server.challenge(&asked).await.status, 400);
    }
    let kept = redeem(&server, &wallet, &json!({ "account": wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(&key(Curve::P256)) }), &[], None).await;
    assert_eq!(kept.status, 400, "its session key is another one");
    let data = server.shut_down_and_keep().await;
    let data = data.path().join("store");
    assert_eq!(bodies(&data, "challenge_refused").len(), 120);
    assert_eq!(
        bodies(&data, "refusals_omitted"),
        [json!({ "event": "refusals_omitted", "count": 81 })]
    );
}

/// Signs in until no answer comes; every token that was answered.
async fn sign_ins(client: Client) -> Vec<String> {
    let mut answered = Vec::new();
    loop {
        let (wallet, key) = (EvmWallet::new(), Arc::new(key(Curve::Ed25519)));
        let Some(form) = client.signed_message(&wallet, &key).await else { return answered };
        let (_, answer) = client.with_proof(form, &key).await;
        let Some(answer) = answer else { return answered };
        assert_eq!(answer.status, 200, "{answer:?}");
        let claims = part(answer.text("access_token"), 1);
        answered.push(claims["jti"].as_str().unwrap().to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_in_the_log_after_a_kill() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("store");
    let port = free_port();
    let mut answered = BTreeSet::new();
    for round in 0..6 {
        let mut server = Process::start(port, &folder, "").await;
        let client = Client::new(&server.issuer);
        let mut workers = JoinSet::new();
        for _ in 0..8 {
            workers.spawn(sign_ins(client.clone()));
        }
        tokio::time::sleep(Duration::from_millis(200 + 70 * round)).await;
        server.kill().await;
        answered.extend(workers.join_all().await.into_iter().flatten());
        let recorded = jtis(&folder).await;
        let missing: Vec<_> = answered.difference(&recorded).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?}");
    }
    let mut server = Process::start(port, &folder, "").await;
    // Also beside the running server.
    let (code, told) = audit(&["verify"], Some(&folder)).await;
    assert_eq!(code, 0, "{told}");
    server.stop().await;
    let (code, told) = audit(&["verify"], Some(&folder)).await;
    assert_eq!(code, 0, "{told}");
    let told: Value = serde_json::from_str(
        told.lines()
            .take_while(|line| !line.starts_with("{\"warning"))
            .collect::<String>()
            .as_str(),
    )
    .unwrap();
    assert_eq!(told["covered"].as_u64().unwrap() + 1, told["last"].as_u64().unwrap());
    assert!(!answered.is_empty());
    let jti = answered.iter().next().unwrap();
    let (code, told) = audit(&["prove", jti], Some(&folder)).await;
    assert_eq!(code, 0, "{told}");

    // One changed record: the server says which, and does not start.
    let log = folder.join("audit").join("00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("\"event\":\"sign_in\"", "\"event\":\"sign_iN\"", 1))
        .unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&folder)
        .kill_on_drop(true)
        .output();
    let refused = tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("audit log: record "), "{told}");
    let (code, told) = audit(&["verify"], Some(&folder)).await;
    assert!(code == 1 && told.contains("was changed"), "{told}");
}

/// A parameter that no format looks at is not a way into the log.
#[tokio::test]
async fn what_the_format_does_not_look_at_is_not_recorded() {
    let (server, wallet, session) =
        (Server::development().await, EvmWallet::new(), key(Curve::P256));
    let asked =
        json!({ "account": wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(&session) });
    let message = server.challenge(&asked).await.text("message").to_owned();
    let signature = wallet.sign(&message);
    let with = |public_key: String| {
        let (server, session) = (&server, &session);
        let form = [
            ("grant_type", SIGNED_MESSAGE.to_owned()),
            ("message", message.clone()),
            ("signature", signature.clone()),
            ("public_key", public_key),
        ];
        async move {
            let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            server.token(&form, Some(&server.proof(session))).await
        }
    };
    let long = with("\u{1}".repeat(257)).await;
    long.refused(400, "invalid_grant", "public_key_invalid");
    assert!(long.text("error_description").contains("public_key"));
    // Nothing was used up.
    let opened = with("\u{1}".repeat(256)).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let recorded = bodies(&server.folder(), "sign_in");
    let [sign_in] = &recorded[..] else { panic!("{recorded:?}") };
    let text = &sign_in["proof"]["message"];
    assert_eq!((&text["signature"], text.get("public_key")), (&json!(signature), None));
}
