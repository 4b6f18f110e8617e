//! What operators do, on the real listeners: signing in, key operations, approvals, sessions, revocations.

use countersign::http::admin::{Endpoint, OPENAPI_PATH};
use countersign_sdk::key::{Curve, InMemorySigner};
use serde_json::{Value, json};

use crate::schema::faults;
use crate::signed_in::{SignedIn, agent_token, ath, redeem};
use crate::support::{Answer, EvmWallet, JWT_BEARER, Server, did, dpop, jkt, jws, key};

pub(crate) const API: &str = "https://escrow.example";
pub(crate) const EVERY_SCOPE: &str = "admin:read admin:keys admin:sessions admin:audit";

/// A configuration with an API, and with operators, each an account and its scopes.
pub(crate) fn toml(operators: &[(&str, &str)], more: &str) -> String {
    let mut text = format!(
        "issuer = \"https://auth.example\"\n[[resources]]\nuri = \"{API}\"\n\
         scopes = [\"read\", \"escrow:read\", \"escrow:release\"]\ndefault_scopes = [\"read\"]\n\
         [[resources]]\nuri = \"https://open.example\"\nscopes = [\"read\"]\ndefault_scopes = [\"read\"]\n\
         binding = \"optional\"\n"
    );
    for (account, scopes) in operators {
        let scopes: Vec<String> = scopes.split(' ').map(|scope| format!("\"{scope}\"")).collect();
        let scopes = scopes.join(", ");
        text += &format!("[[operators]]\naccount = \"{account}\"\nscopes = [{scopes}]\n");
    }
    text + more
}

/// An operator with a raw key, and the server.
pub(crate) struct Operator {
    pub(crate) key: InMemorySigner,
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self { key: key(Curve::Ed25519) }
    }

    pub(crate) fn account(&self) -> String {
        did(&self.key)
    }

    /// Signs in by assertion; the answer may be a refusal.
    pub(crate) async fn ask_token(&self, server: &Server, scope: &str) -> Answer {
        let claims = json!({
            "iss": did(&self.key), "sub": did(&self.key), "aud": server.issuer,
            "resource": server.issuer, "iat": server.now(), "exp": server.now() + 60,
            "scope": scope, "jti": jkt(&key(Curve::Ed25519)),
        });
        let assertion = jws(&self.key, &json!({ "alg": "EdDSA" }), &claims);
        let form = [("grant_type", JWT_BEARER), ("assertion", &*assertion)];
        server.token(&form, Some(&server.proof(&self.key))).await
    }

    pub(crate) async fn token(&self, server: &Server, scope: &str) -> String {
        let answer = self.ask_token(server, scope).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("access_token").to_owned()
    }

    /// Signs in with every scope, and asks.
    pub(crate) async fn ask(&self, server: &Server, method: &str, path: &str) -> Answer {
        let token = self.token(server, EVERY_SCOPE).await;
        ask(server, method, path, &token, &self.key).await
    }

    pub(crate) async fn post(&self, server: &Server, path: &str, body: &Value) -> Answer {
        let token = self.token(server, EVERY_SCOPE).await;
        let fields = credentials(server, "POST", path, &token, &self.key);
        send(server, "POST", path, &fields, Some(body)).await
    }

    /// Approves what waits at `path`, as the rotation of the signing keys.
    pub(crate) async fn approve(&self, server: &Server, path: &str) -> Answer {
        self.post(server, path, &json!({ "action": "keys.rotate" })).await
    }

    /// The operator actions on record: who, what, outcome, reason.
    pub(crate) async fn actions(&self, server: &Server) -> Vec<(String, String, String, String)> {
        let path = "/admin/audit?event=operator_action&limit=1000";
        let found = self.ask(server, "GET", path).await;
        assert_eq!(found.status, 200, "{found:?}");
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let action = |record: &Value| {
            let body = &record["body"];
            let outcome = text(&body["outcome"]);
            (text(&body["operator"]), text(&body["action"]), outcome, text(&body["reason"]))
        };
        found.body["records"].as_array().unwrap().iter().map(action).collect()
    }
}

/// What a request carries: the token under its scheme, and a proof for this very request.
pub(crate) fn credentials(
    server: &Server,
    method: &str,
    path: &str,
    token: &str,
    key: &InMemorySigner,
) -> Vec<(&'static str, String)> {
    let htu = format!("{}{path}", server.operations.as_ref().unwrap());
    let proof = dpop(key, &htu, server.now(), json!({ "htm": method, "ath": ath(token) }));
    vec![("authorization", format!("DPoP {token}")), ("dpop", proof)]
}

pub(crate) async fn send(
    server: &Server,
    method: &str,
    path: &str,
    fields: &[(&str, String)],
    body: Option<&Value>,
) -> Answer {
    let url = format!("{}{path}", server.operations.as_ref().unwrap());
    let mut request = server.http.request(method.parse().unwrap(), url);
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = Answer::read(request.send().await.unwrap()).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    answer
}

pub(crate) async fn ask(
    server: &Server,
    method: &str,
    path: &str,
    token: &str,
    key: &InMemorySigner,
) -> Answer {
    send(server, method, path, &credentials(server, method, path, token, key), None).await
}

/// A server with one operator who may do everything.
pub(crate) async fn with_one() -> (Server, Operator) {
    let operator = Operator::new();
    let server = Server::configured(&toml(&[(&operator.account(), EVERY_SCOPE)], "")).await;
    (server, operator)
}

#[tokio::test]
async fn a_wallet_signs_in_and_sees_in_the_text_what_it_will_be_able_to_do() {
    let wallet = EvmWallet::new();
    let server = Server::configured(&toml(&[(&wallet.account(), "admin:read")], "")).await;
    let asked = json!({ "resource": server.issuer, "scope": "admin:read" });
    let body = json!({
        "account": wallet.account(), "resource": server.issuer, "scope": "admin:read",
    });
    let text = server.challenge(&body).await.text("message").to_owned();
    assert!(text.contains("'admin': 'read' for 'https://auth.example'"), "{text}");
    let owner = SignedIn::of(&server, wallet, asked, &[]).await;
    let claims = owner.answer.claims();
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(server.issuer), &json!("admin:read")));
    let keys = ask(&server, "GET", "/admin/keys", owner.access(), &owner.key).await;
    assert_eq!(keys.status, 200, "{keys:?}");
    assert!(keys.body["keys"].as_array().unwrap().iter().any(|key| key["state"] == "active"));
    // HEAD asks the same, with a proof of its own.
    let head = ask(&server, "HEAD", "/admin/keys", owner.access(), &owner.key).await;
    assert_eq!(head.status, 200);
    // A refresh goes on with what the operator still may do.
    let next = owner.refresh(&server, owner.refresh_token()).await;
    assert_eq!(next.claims()["scope"], "admin:read");
}

#[tokio::test]
async fn the_issuer_is_a_resource_for_operators_alone() {
    let reader = Operator::new();
    let server = Server::configured(&toml(&[(&reader.account(), "admin:read")], "")).await;
    let refused = reader.ask_token(&server, "admin:read admin:keys").await;
    refused.refused(400, "invalid_scope", "scope_not_allowed");
    reader.ask_token(&server, "admin:*").await.refused(400, "invalid_scope", "scope_unknown");
    let stranger = Operator::new();
    let refused = stranger.ask_token(&server, "admin:read").await;
    refused.refused(400, "invalid_grant", "account_not_allowed");
    // Who has not signed does not learn whose account is an operator's.
    let mut texts = Vec::new();
    for account in [reader.account(), stranger.account()] {
        let asked = json!({ "account": account, "resource": server.issuer, "scope": "admin:keys" });
        texts.push(server.challenge(&asked).await.status);
    }
    assert_eq!(texts, [200, 200]);
    // No bearer token, though the request could do without a proof elsewhere.
    server.clock.advance(10);
    let claims = json!({
        "iss": reader.account(), "sub": reader.account(), "aud": server.issuer,
        "resource": server.issuer, "iat": server.now(), "exp": server.now() + 60,
        "scope": "admin:read", "jti": "bearer",
    });
    let assertion = jws(&reader.key, &json!({ "alg": "EdDSA" }), &claims);
    let form = [("grant_type", JWT_BEARER), ("assertion", &*assertion)];
    server.token(&form, None).await.refused(400, "invalid_dpop_proof", "proof_required");
    // A message signed by a wallet that is no operator's gets as far as its signature.
    let wallet = EvmWallet::new();
    let asked = json!({
        "account": wallet.account(), "resource": server.issuer, "scope": "admin:read",
        "dpop_jkt": jkt(&stranger.key),
    });
    let refused = redeem(&server, &wallet, &asked, &[], Some(&stranger.key)).await;
    refused.refused(400, "invalid_grant", "account_not_allowed");
    // No other application asks operators for what they can do here.
    let domains = toml(&[(&reader.account(), "admin:read")], "");
    let server = Server::configured(&format!("domains = [\"app.example\"]\n{domains}")).await;
    let mut body = json!({
        "account": reader.account(), "resource": server.issuer, "scope": "admin:read",
        "domain": "app.example",
    });
    let refused = server.challenge(&body).await;
    refused.refused(400, "invalid_request", "domain_not_allowed");
    body["resource"] = json!(API);
    body["scope"] = json!("read");
    assert_eq!(server.challenge(&body).await.status, 200);
    // Without operators the issuer is no resource, in development either.
    for server in [Server::development().await, Server::configured(&toml(&[], "")).await] {
        let refused = stranger.ask_token(&server, "admin:read").await;
        refused.refused(400, "invalid_target", "resource_not_allowed");
        let nothing = format!("{}/admin/keys", server.operations.as_ref().unwrap());
        let nothing = Answer::read(server.http.get(nothing).send().await.unwrap()).await;
        nothing.refused(404, "invalid_request", "not_found");
    }
}

#[tokio::test]
async fn nothing_of_it_is_on_the_public_listener() {
    let (server, operator) = with_one().await;
    let token = operator.token(&server, EVERY_SCOPE).await;
    for endpoint in Endpoint::ALL {
        let (method, path) = endpoint.route();
        let request = server.http.request(method, format!("{}{path}", server.base()));
        let request = request.header("authorization", format!("DPoP {token}"));
        let answer = Answer::read(request.send().await.unwrap()).await;
        answer.refused(404, "invalid_request", "not_found");
    }
    let metadata = server.at("/.well-known/oauth-authorization-server");
    let metadata = server.http.get(metadata).send().await.unwrap().text().await.unwrap();
    assert!(!metadata.contains("admin"), "{metadata}");
    // The proof names where operators call, and not the issuer.
    let htu = format!("{}/admin/keys", server.issuer);
    let proof =
        dpop(&operator.key, &htu, server.now(), json!({ "htm": "GET", "ath": ath(&token) }));
    let fields = [("authorization", format!("DPoP {token}")), ("dpop", proof)];
    let answer = send(&server, "GET", "/admin/keys", &fields, None).await;
    answer.refused(401, "invalid_dpop_proof", "proof_invalid");
}

fn key_in<'a>(keys: &'a Answer, state: &str) -> &'a str {
    let mut found = keys.body["keys"].as_array().unwrap().iter();
    found.find(|key| key["state"] == state).unwrap()["kid"].as_str().unwrap()
}

#[tokio::test]
async fn a_key_is_revoked_by_one_where_one_is_enough() {
    let (server, operator) = with_one().await;
    let keys = operator.ask(&server, "GET", "/admin/keys").await;
    let active = key_in(&keys, "active").to_owned();
    // The token of the very request was signed by the key that ends.
    let token = operator.token(&server, EVERY_SCOPE).await;
    let path = format!("/admin/keys/{active}/revoke");
    let answer = ask(&server, "POST", &path, &token, &operator.key).await;
    assert_eq!((answer.status, &answer.body["key"]["kid"]), (200, &json!(active)), "{answer:?}");
    assert_eq!(answer.body["key"]["state"], "revoked");
    let gone = ask(&server, "GET", "/admin/keys", &token, &operator.key).await;
    gone.refused(401, "invalid_token", "token_invalid");
    server.clock.advance(1);
    let keys = operator.ask(&server, "GET", "/admin/keys").await;
    assert_ne!(key_in(&keys, "active"), active);
    assert_eq!(key_in(&keys, "revoked"), active);
    for (path, reason) in [
        (format!("/admin/keys/{}/revoke", jkt(&operator.key)), "key_unknown"),
        ("/admin/keys/none/retire".to_owned(), "key_unknown"),
    ] {
        operator.ask(&server, "POST", &path).await.refused(404, "invalid_request", reason);
    }
    let actions = operator.actions(&server).await;
    let of_keys = actions.into_iter().filter(|(_, action, ..)| action == "keys.revoke");
    let of_keys: Vec<_> = of_keys.map(|(_, _, outcome, reason)| (outcome, reason)).collect();
    let expected = [("done", "-"), ("done", "-"), ("failed", "key_unknown")];
    assert_eq!(of_keys, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[tokio::test]
async fn two_of_three_operators_rotate_a_key() {
    let (alice, bob, carol) = (Operator::new(), Operator::new(), Operator::new());
    let keyless = Operator::new();
    let accounts = [alice.account(), bob.account(), carol.account(), keyless.account()];
    let list = [
        (&*accounts[0], EVERY_SCOPE),
        (&*accounts[1], EVERY_SCOPE),
        (&*accounts[2], EVERY_SCOPE),
        (&*accounts[3], "admin:read admin:sessions"),
    ];
    let server = Server::configured(&toml(&list, "[admin]\napprovals = 2\n")).await;
    let active = key_in(&alice.ask(&server, "GET", "/admin/keys").await, "active").to_owned();
    let asked = alice.ask(&server, "POST", "/admin/keys/rotate").await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let approval = &asked.body["approval"];
    assert_eq!(approval["operation"], json!({ "action": "keys.rotate" }));
    assert_eq!((&approval["requested_by"], &approval["needed"]), (&json!(accounts[0]), &json!(1)));
    let path = format!("/admin/approvals/{}", approval["id"].as_str().unwrap());
    // Asking again is the same request, and no second voice.
    let again = alice.ask(&server, "POST", "/admin/keys/rotate").await;
    assert_eq!(again.body["approval"]["id"], approval["id"]);
    let alone = alice.approve(&server, &path).await;
    alone.refused(403, "access_denied", "approval_not_distinct");
    let token = keyless.token(&server, "admin:read admin:sessions").await;
    let fields = credentials(&server, "POST", &path, &token, &keyless.key);
    let rotation = json!({ "action": "keys.rotate" });
    let small = send(&server, "POST", &path, &fields, Some(&rotation)).await;
    small.refused(403, "insufficient_scope", "scope_insufficient");
    let seen = ask(&server, "GET", "/admin/approvals", &token, &keyless.key).await;
    assert_eq!(seen.body["approvals"], json!([approval]));
    let state = key_in(&bob.ask(&server, "GET", "/admin/keys").await, "active").to_owned();
    assert_eq!(state, active, "nothing has happened yet");
    // Who approves says what; what waits is that, and nothing else.
    let other = json!({ "action": "keys.revoke", "kid": active });
    let other = bob.post(&server, &path, &other).await;
    other.refused(403, "access_denied", "approval_mismatch");
    let unsaid = bob.ask(&server, "POST", &path).await;
    assert_eq!(unsaid.status, 415, "{unsaid:?}");
    let done = bob.approve(&server, &path).await;
    assert_eq!((done.status, done.body["key"].is_object()), (200, true), "{done:?}");
    let late = carol.approve(&server, &path).await;
    late.refused(404, "invalid_request", "approval_unknown");
    let actions = carol.actions(&server).await;
    let mut told = actions.iter().filter(|(_, action, ..)| !action.ends_with(".list"));
    let mut next = || {
        told.next().map(|(who, what, outcome, reason)| {
            let who = accounts.iter().position(|account| account == who).unwrap();
            (who, what.as_str(), outcome.as_str(), reason.as_str())
        })
    };
    assert_eq!(next(), Some((0, "keys.rotate", "requested", "-")));
    assert_eq!(next(), Some((0, "keys.rotate", "requested", "-")));
    assert_eq!(next(), Some((0, "approvals.approve", "refused", "approval_not_distinct")));
    assert_eq!(next(), Some((3, "approvals.approve", "refused", "scope_insufficient")));
    assert_eq!(next(), Some((1, "approvals.approve", "refused", "approval_mismatch")));
    assert_eq!(next(), Some((1, "approvals.approve", "refused", "content_type")));
    assert_eq!(next(), Some((1, "approvals.approve", "approved", "-")));
    assert_eq!(next(), Some((1, "keys.rotate", "done", "-")));
    assert_eq!(next(), Some((2, "approvals.approve", "refused", "approval_unknown")));
}

#[tokio::test]
async fn what_waits_ends_with_its_time_its_withdrawal_and_whoever_asked() {
    let (alice, bob) = (Operator::new(), Operator::new());
    let accounts = [alice.account(), bob.account()];
    let list = [(&*accounts[0], EVERY_SCOPE), (&*accounts[1], EVERY_SCOPE)];
    let more = "[admin]\napprovals = 2\napproval_window = 120\n";
    let server = Server::configured(&toml(&list, more)).await;
    let asked = async || {
        let asked = alice.ask(&server, "POST", "/admin/keys/rotate").await;
        format!("/admin/approvals/{}", asked.body["approval"]["id"].as_str().unwrap())
    };
    let path = asked().await;
    server.clock.advance(120);
    let late = bob.approve(&server, &path).await;
    late.refused(404, "invalid_request", "approval_unknown");
    // Whoever may approve may say no.
    let path = asked().await;
    assert_eq!(bob.ask(&server, "DELETE", &path).await.status, 204);
    let gone = bob.approve(&server, &path).await;
    gone.refused(404, "invalid_request", "approval_unknown");
    // Whatever the requester asked with was revoked since.
    let token = alice.token(&server, EVERY_SCOPE).await;
    let asked_by = ask(&server, "POST", "/admin/keys/rotate", &token, &alice.key).await;
    let path = format!("/admin/approvals/{}", asked_by.body["approval"]["id"].as_str().unwrap());
    let body = json!({ "token": { "jti": crate::support::part(&token, 1)["jti"] } });
    assert_eq!(bob.post(&server, "/admin/revocations", &body).await.status, 204);
    server.clock.advance(1);
    let void = bob.approve(&server, &path).await;
    void.refused(403, "access_denied", "approval_void");
    let gone = bob.approve(&server, &path).await;
    gone.refused(404, "invalid_request", "approval_unknown");
    // Asked for anew, it counts.
    let path = asked().await;
    assert_eq!(bob.approve(&server, &path).await.status, 200);
    // A key that is not there is not waited for.
    let unknown = format!("/admin/keys/{}/revoke", jkt(&bob.key));
    alice.ask(&server, "POST", &unknown).await.refused(404, "invalid_request", "key_unknown");
}

/// The store forgets a revocation after a while; what was void until then stays void.
#[tokio::test]
async fn what_waits_is_dropped_before_its_revocation_is_forgotten() {
    let (alice, bob) = (Operator::new(), Operator::new());
    let accounts = [alice.account(), bob.account()];
    let list = [(&*accounts[0], EVERY_SCOPE), (&*accounts[1], EVERY_SCOPE)];
    let more = "[admin]\napprovals = 2\napproval_window = 900\n";
    let server = Server::configured(&toml(&list, more)).await;
    let token = alice.token(&server, EVERY_SCOPE).await;
    let asked = ask(&server, "POST", "/admin/keys/rotate", &token, &alice.key).await;
    let id = asked.body["approval"]["id"].as_str().unwrap();
    let claims = crate::support::part(&token, 1);
    let body = json!({ "token": { "jti": claims["jti"], "exp": claims["exp"] } });
    assert_eq!(bob.post(&server, "/admin/revocations", &body).await.status, 204);
    let waiting = bob.ask(&server, "GET", "/admin/approvals").await;
    assert_eq!(waiting.body["approvals"], json!([]));
    // By now nothing of the revocation is left in the store, and the request would still have its time.
    server.clock.advance(600);
    let gone = bob.approve(&server, &format!("/admin/approvals/{id}")).await;
    gone.refused(404, "invalid_request", "approval_unknown");
    let actions = bob.actions(&server).await;
    let dropped = (&*accounts[0], "keys.rotate", "failed", "approval_void");
    assert!(actions.iter().any(|(a, b, c, d)| (&**a, &**b, &**c, &**d) == dropped), "{actions:?}");
}

#[tokio::test]
async fn of_many_approvals_at_once_one_runs_it() {
    let people: Vec<Operator> = (0..6).map(|_| Operator::new()).collect();
    let accounts: Vec<String> = people.iter().map(Operator::account).collect();
    let list: Vec<_> = accounts.iter().map(|account| (&**account, EVERY_SCOPE)).collect();
    let server = Server::configured(&toml(&list, "[admin]\napprovals = 2\n")).await;
    let asked = people[0].ask(&server, "POST", "/admin/keys/rotate").await;
    let path = format!("/admin/approvals/{}", asked.body["approval"]["id"].as_str().unwrap());
    let answers = futures_of(&people[1..], &server, &path).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    let others = answers.iter().filter(|status| **status == 404).count();
    assert_eq!(others, people.len() - 2, "{answers:?}");
}

async fn futures_of(people: &[Operator], server: &Server, path: &str) -> Vec<u16> {
    let mut tokens = Vec::new();
    for person in people {
        tokens.push(person.token(server, EVERY_SCOPE).await);
    }
    let requests = people.iter().zip(&tokens).map(|(person, token)| {
        let mut request =
            server.http.post(format!("{}{path}", server.operations.as_ref().unwrap()));
        for (name, value) in credentials(server, "POST", path, token, &person.key) {
            request = request.header(name, value);
        }
        let request = request.json(&json!({ "action": "keys.rotate" }));
        tokio::spawn(request.send())
    });
    let mut statuses = Vec::new();
    for sent in requests.collect::<Vec<_>>() {
        statuses.push(sent.await.unwrap().unwrap().status().as_u16());
    }
    statuses
}

#[tokio::test]
async fn sessions_are_found_by_subject_and_key_and_ended() {
    let (server, operator) = with_one().await;
    let asked = json!({ "resource": API, "scope": "escrow:read" });
    let victim =
        SignedIn::of(&server, EvmWallet::new(), asked, &[("session_label", "phone")]).await;
    let claims = victim.answer.claims();
    let subject = claims["sub"].as_str().unwrap();
    let by = async |query: String| {
        operator.ask(&server, "GET", &format!("/admin/sessions?{query}")).await
    };
    let proven = claims["proven_key"]["jkt"].as_str().unwrap();
    for query in
        [format!("subject={subject}"), format!("key={}", jkt(&victim.key)), format!("key={proven}")]
    {
        let found = by(query).await;
        let sessions = found.body["sessions"].as_array().unwrap();
        assert_eq!((found.status, sessions.len()), (200, 1), "{found:?}");
        assert_eq!(sessions[0]["id"], victim.session());
        assert_eq!(
            (&sessions[0]["label"], &sessions[0]["subject"]),
            (&json!("phone"), &json!(subject))
        );
        assert_eq!(sessions[0]["bound_to"], jkt(&victim.key));
    }
    let nobody = by(format!("key={}", jkt(&operator.key))).await;
    assert_eq!(nobody.body, json!({ "sessions": [], "more": false }));
    for query in ["", "subject=eip155:1:0x1", "key=short"] {
        assert_eq!(by(query.to_owned()).await.status, 400, "{query}");
    }
    let both = by(format!("subject={subject}&key={proven}")).await;
    both.refused(400, "invalid_request", "malformed_request");
    let path = format!("/admin/sessions/{}", victim.session());
    assert_eq!(operator.ask(&server, "DELETE", &path).await.status, 204);
    let again = operator.ask(&server, "DELETE", &path).await;
    again.refused(404, "invalid_request", "session_unknown");
    let over = victim.refresh(&server, victim.refresh_token()).await;
    over.refused(400, "invalid_grant", "session_ended");
    victim.ask(&server, "GET", "/sessions").await.refused(401, "invalid_token", "token_revoked");
}

/// One stolen session key, or one operator, does not put the others out.
#[tokio::test]
async fn what_puts_operators_out_takes_as_many_of_them() {
    let (alice, bob, wallet) = (Operator::new(), Operator::new(), EvmWallet::new());
    let sessions = "admin:read admin:sessions";
    let (account, accounts) = (wallet.account(), [alice.account(), bob.account()]);
    let list = [(&*accounts[0], EVERY_SCOPE), (&*accounts[1], EVERY_SCOPE), (&*account, sessions)];
    let server = Server::configured(&toml(&list, "[admin]\napprovals = 2\n")).await;
    let asked = json!({ "resource": server.issuer, "scope": sessions });
    let thief = SignedIn::of(&server, wallet, asked, &[]).await;
    let at_api = json!({ "resource": API, "scope": "read" });
    let victim = SignedIn::of(&server, EvmWallet::new(), at_api, &[]).await;
    let mine = bob.token(&server, EVERY_SCOPE).await;
    let revoke = async |body: &Value| {
        let fields = credentials(&server, "POST", "/admin/revocations", thief.access(), &thief.key);
        send(&server, "POST", "/admin/revocations", &fields, Some(body)).await
    };
    // Of a stranger at once; of an operator, of a key and of everybody once another one agrees.
    assert_eq!(revoke(&json!({ "session": victim.session() })).await.status, 204);
    for body in [
        json!({ "subject": accounts[1] }),
        json!({ "session": thief.session() }),
        json!({ "key": jkt(&bob.key) }),
        json!({ "everything": true }),
    ] {
        let waits = revoke(&body).await;
        assert_eq!(waits.status, 202, "{body}: {waits:?}");
    }
    let path = format!("/admin/sessions/{}", thief.session());
    let same = ask(&server, "DELETE", &path, thief.access(), &thief.key).await;
    assert_eq!(
        (same.status, &same.body["approval"]["operation"]["target"]),
        (202, &json!(thief.session()))
    );
    assert_eq!(ask(&server, "GET", "/admin/keys", &mine, &bob.key).await.status, 200);
    let waits = revoke(&json!({ "subject": accounts[1] })).await;
    let approval = &waits.body["approval"];
    let operation = json!({ "action": "revocations.add", "target": accounts[1] });
    assert_eq!(approval["operation"], operation);
    let path = format!("/admin/approvals/{}", approval["id"].as_str().unwrap());
    assert_eq!(alice.post(&server, &path, &operation).await.status, 204);
    let gone = ask(&server, "GET", "/admin/keys", &mine, &bob.key).await;
    gone.refused(401, "invalid_token", "token_revoked");
    let actions = alice.actions(&server).await;
    let done = (&*accounts[0], "revocations.add", "done");
    assert!(actions.iter().any(|(a, b, c, _)| (&**a, &**b, &**c) == done), "{actions:?}");
    // An old sign-in, which is what a thief of a session key has, asks for none of it.
    server.clock.advance(301);
    let next = thief.refresh(&server, thief.refresh_token()).await;
    let token = next.text("access_token");
    for body in [json!({ "subject": accounts[0] }), json!({ "key": jkt(&alice.key) })] {
        let fields = credentials(&server, "POST", "/admin/revocations", token, &thief.key);
        let old = send(&server, "POST", "/admin/revocations", &fields, Some(&body)).await;
        old.refused(401, "insufficient_user_authentication", "step_up_required");
    }
    // And what it may do, it does so many times a minute.
    server.clock.advance(60);
    let mut last = 0;
    for _ in 0..31 {
        let fields = credentials(&server, "POST", "/admin/revocations", token, &thief.key);
        let body = json!({ "subject": "did:key:nobody" });
        last = send(&server, "POST", "/admin/revocations", &fields, Some(&body)).await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn what_an_operator_revokes_is_revoked_and_told() {
    let (server, operator) = with_one().await;
    let agent = key(Curve::Ed25519);
    let alive = async |token: &Answer| {
        let token = token.text("access_token");
        crate::signed_in::ask(&server, "GET", "/sessions", token, &agent).await.status == 200
    };
    let mut jti = Value::Null;
    for name in ["token", "key", "subject"] {
        server.clock.advance(1);
        let token = agent_token(&server, &agent, API).await;
        assert!(alive(&token).await);
        let claims = token.claims();
        let body = match name {
            "token" => json!({ "token": { "jti": claims["jti"], "exp": claims["exp"] } }),
            "key" => json!({ "key": jkt(&agent) }),
            _ => json!({ "subject": did(&agent) }),
        };
        if name == "token" {
            jti = claims["jti"].clone();
        }
        let done = operator.post(&server, "/admin/revocations", &body).await;
        assert_eq!(done.status, 204, "{done:?}");
        assert!(!alive(&token).await, "{name}");
    }
    server.clock.advance(1);
    let list = operator.ask(&server, "GET", "/admin/revocations").await;
    let entries = list.body["entries"].as_array().unwrap();
    assert_eq!(entries[0]["token"], jti);
    assert_eq!(entries[1]["key"], jkt(&agent));
    assert_eq!(entries[2]["subject"], did(&agent));
    let cursor = list.text("cursor");
    let rest = operator.ask(&server, "GET", &format!("/admin/revocations?after={cursor}")).await;
    assert_eq!((rest.status, &rest.body["entries"]), (200, &json!([])));
    // Everything, and with it the operator's own token.
    let mine = operator.token(&server, EVERY_SCOPE).await;
    let fields = credentials(&server, "POST", "/admin/revocations", &mine, &operator.key);
    let body = json!({ "everything": true });
    let done = send(&server, "POST", "/admin/revocations", &fields, Some(&body)).await;
    assert_eq!(done.status, 204);
    let gone = ask(&server, "GET", "/admin/keys", &mine, &operator.key).await;
    gone.refused(401, "invalid_token", "token_revoked");
    server.clock.advance(1);
    let malformed = operator.post(&server, "/admin/revocations", &json!({ "all": true })).await;
    malformed.refused(400, "invalid_request", "malformed_request");
}

#[tokio::test]
async fn the_document_is_what_the_server_does() {
    let (server, operator) = with_one().await;
    let answer = send_plain(&server, OPENAPI_PATH).await;
    let document = std::fs::read_to_string("docs/openapi-admin.json").unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(answer, document);
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push((method.to_uppercase(), path.clone()));
        }
    }
    let routes = Endpoint::ALL.map(Endpoint::route);
    let mut served: Vec<(String, String)> =
        routes.iter().map(|(method, path)| (method.to_string(), (*path).to_owned())).collect();
    served.push(("GET".to_owned(), OPENAPI_PATH.to_owned()));
    described.sort();
    served.sort();
    assert_eq!(described, served);
    let victim = SignedIn::of(&server, EvmWallet::new(), json!({ "resource": API }), &[]).await;
    let subject = victim.answer.claims()["sub"].as_str().unwrap().to_owned();
    let sessions = format!("/admin/sessions?subject={subject}");
    operator.post(&server, "/admin/revocations", &json!({ "subject": subject })).await;
    SignedIn::of(&server, EvmWallet::new(), json!({ "resource": API }), &[]).await;
    let unknown = format!("/admin/keys/{}/retire", jkt(&operator.key));
    for (method, path, schema) in [
        ("GET", "/admin/keys", "Keys"),
        ("GET", &*sessions, "Sessions"),
        ("GET", "/admin/revocations", "Revocations"),
        ("GET", "/admin/audit", "AuditPage"),
        ("GET", "/admin/approvals", "Approvals"),
        ("POST", "/admin/keys/rotate", "KeyAnswer"),
        ("POST", &*unknown, "Error"),
        ("GET", "/admin/sessions", "Error"),
    ] {
        let answer = operator.ask(&server, method, path).await;
        fits(&document, schema, &answer.body);
    }
    let (alice, bob) = (operator.account(), Operator::new().account());
    let list = [(&*alice, EVERY_SCOPE), (&*bob, EVERY_SCOPE)];
    let server = Server::configured(&toml(&list, "[admin]\napprovals = 2\n")).await;
    let keys = operator.ask(&server, "GET", "/admin/keys").await;
    let path = format!("/admin/keys/{}/revoke", key_in(&keys, "active"));
    fits(&document, "ApprovalAnswer", &operator.ask(&server, "POST", &path).await.body);
    fits(&document, "Approvals", &operator.ask(&server, "GET", "/admin/approvals").await.body);
    let body = json!({ "action": "revocations.add", "target": alice });
    assert!(is_valid(&document, "Operation", &body));
    let waits = operator.post(&server, "/admin/revocations", &json!({ "subject": alice })).await;
    fits(&document, "ApprovalAnswer", &waits.body);
    for (body, good) in [
        (json!({ "everything": true }), true),
        (json!({ "token": { "jti": "a" } }), true),
        (json!({ "everything": true, "key": jkt(&operator.key) }), false),
        (json!({ "everything": false }), false),
    ] {
        assert_eq!(is_valid(&document, "Revocation", &body), good, "{body}");
    }
}

async fn send_plain(server: &Server, path: &str) -> Value {
    let url = format!("{}{path}", server.operations.as_ref().unwrap());
    serde_json::from_str(&server.http.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
}

fn is_valid(document: &Value, name: &str, value: &Value) -> bool {
    faults(document, &document["components"]["schemas"][name], value).is_empty()
}

#[track_caller]
fn fits(document: &Value, name: &str, value: &Value) {
    let found = faults(document, &document["components"]["schemas"][name], value);
    assert!(found.is_empty(), "{name}: {found:?} in {value}");
    // What the schema does not know is refused, so a member that is added has to be described.
    let mut more = value.clone();
    more["a member that is not described"] = json!(1);
    assert!(!is_valid(document, name, &more), "{name} takes anything");
}
