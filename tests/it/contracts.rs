//! Contract accounts and named ones, before a node that says what a test tells it: that the chain decides, that a chain that is
//! silent changes nothing, and that keys do without it. A real chain stands behind them in `tests/clients`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_sdk::chain::near::{Signed, nonce_of};
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use countersign_sdk::time::{ManualClock, Timestamp};
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};

use crate::signed_in::{SignedIn, redeem, refresh};
use crate::support::{Answer, EvmWallet, RESOURCE, SIGNED_MESSAGE, START, Server, Siwe, jkt, key};

const CHAIN: u64 = 10;

/// A node that answers what it is told, and keeps what it was asked.
#[derive(Clone, Default)]
struct Node(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// What every answer says; without it, an error.
    says: Option<Says>,
    /// How old the block of an answer is at the start of a test, in seconds; without it, never too old.
    age: Option<u64>,
    /// How many seconds an answer takes.
    takes: Option<(Arc<ManualClock>, u64)>,
    asked: VecDeque<Value>,
}

#[derive(Clone)]
enum Says {
    Verdict(u64),
    Result(Value),
}

/// The program that nodes are handed, as it stands in the source.
fn checker() -> &'static str {
    let source = include_str!("../../src/rpc/contract.rs");
    let (_, rest) = source.split_once("const CHECKER: &str =").unwrap();
    rest.split('"').nth(1).unwrap()
}

/// The five words that the program would give for the call `request`.
fn words(request: &Value, verdict: u64, age: Option<u64>) -> Value {
    let program = request["params"][0]["data"].as_str().unwrap();
    let input = program.strip_prefix("0x").unwrap().strip_prefix(checker()).unwrap();
    let asked = Keccak256::digest(hex::decode(input).unwrap());
    let time = age.map_or(START * 2, |age| START - age);
    json!(format!("0x{verdict:064x}{CHAIN:064x}{:064x}{time:064x}{}", 77, hex::encode(asked)))
}

impl Node {
    async fn start() -> (Self, String) {
        let node = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/", routing::post(Self::answer)).with_state(node.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (node, url)
    }

    async fn answer(
        State(node): State<Self>,
        Json(request): Json<Value>,
    ) -> (StatusCode, Json<Value>) {
        let mut told = node.0.lock().unwrap();
        let id = request["id"].clone();
        let result = match (&told.says, request["method"].as_str()) {
            (None, _) => None,
            (Some(_), Some("status")) => Some(json!({"chain_id": "mainnet", "validators": []})),
            (Some(Says::Verdict(verdict)), _) => Some(words(&request, *verdict, told.age)),
            (Some(Says::Result(result)), _) => Some(result.clone()),
        };
        if let Some((clock, seconds)) = &told.takes {
            clock.advance(*seconds);
        }
        told.asked.push_back(request);
        match result {
            Some(result) => {
                (StatusCode::OK, Json(json!({"jsonrpc": "2.0", "id": id, "result": result})))
            }
            None => (StatusCode::BAD_GATEWAY, Json(json!({}))),
        }
    }

    /// What the program of the contract question gives from now on.
    fn says(&self, verdict: u64) {
        self.0.lock().unwrap().says = Some(Says::Verdict(verdict));
    }

    fn permits(&self, permission: &str) {
        let viewed =
            json!({"nonce": 1, "permission": permission, "block_height": 7, "block_hash": "x"});
        self.0.lock().unwrap().says = Some(Says::Result(viewed));
    }

    fn is_silent(&self) {
        self.0.lock().unwrap().says = None;
    }

    /// Its block was made so many seconds before the start of a test.
    fn is_of(&self, age: u64) {
        self.0.lock().unwrap().age = Some(age);
    }

    /// Every answer takes so many seconds by this clock.
    fn is_slow(&self, clock: &Arc<ManualClock>, seconds: u64) {
        self.0.lock().unwrap().takes = Some((Arc::clone(clock), seconds));
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<Value> {
        self.0.lock().unwrap().asked.drain(..).collect()
    }
}

const TAKES: u64 = 1;
const REFUSES: u64 = 2;
const DELEGATED_TAKES: u64 = 6;

fn toml(more: &str) -> String {
    format!(
        "issuer = \"http://127.0.0.1:8700\"\n{more}[[resources]]\nuri = \"{RESOURCE}\"\n\
         scopes = [\"escrow:read\", \"escrow:release\"]\ndefault_scopes = [\"escrow:read\"]\n"
    )
}

fn with_node(url: &str, more: &str) -> String {
    let tables = toml(more);
    format!(
        "{tables}[[rpc]]\nchain = \"eip155:{CHAIN}\"\nurls = [\"{url}\"]\n\
         [[rpc]]\nchain = \"near:mainnet\"\nurls = [\"{url}\"]\n"
    )
}

async fn server(more: &str) -> (Server, Node, String) {
    let (node, url) = Node::start().await;
    let toml = with_node(&url, more);
    (Server::configured(&toml).await, node, toml)
}

/// A contract of which nothing is known but its address.
fn contract() -> String {
    format!("eip155:{CHAIN}:{}", EvmWallet::new().address())
}

async fn signed_in(server: &Server, account: &str) -> SignedIn {
    SignedIn::of(server, EvmWallet::new(), json!({"account": account}), &[]).await
}

#[tokio::test]
async fn the_proof_of_a_contract_says_what_to_ask_its_chain() {
    use countersign::audit::evidence::Proof;
    use countersign::service::arbiter::{self, Asked, NotProven};
    let (server, node, _) = server("").await;
    node.says(TAKES);
    let account = contract();
    let owner = signed_in(&server, &account).await;
    let jti = owner.answer.claims()["jti"].as_str().unwrap().to_owned();
    let data = server.shut_down_and_keep().await;
    let data = data.path().join("store");
    let file = data.join("proof.json");
    let (code, told) =
        crate::audit::audit(&["prove", &jti, "--out", file.to_str().unwrap()], Some(&data)).await;
    assert_eq!(code, 0, "{told}");
    let (code, told) = crate::audit::audit(&["check", file.to_str().unwrap()], None).await;
    assert!(code == 1 && told.contains("\"digest\"") && told.contains("block 77"), "{told}");
    let proof = crate::audit::proof_of(&data, &json!(jti));
    let Err(NotProven::OnChain(asked)) = arbiter::check(&proof, None) else { panic!("{told}") };
    assert_eq!((asked.account, asked.block), (account, 77));
    assert_eq!(asked.block_time, Some(Timestamp::from_unix(START * 2)));
    assert!(matches!(asked.asked, Asked::Contract { .. }));
    // Everything else is judged: another binding, and a key that nobody has.
    let true_one = countersign::audit::proof::sign_in_of(&proof.record).unwrap();
    let at = proof.record.time;
    assert!(matches!(arbiter::evidence(&true_one, at), Err(NotProven::OnChain(_))));
    for what in ["jkt", "no session key", "key", "exp"] {
        let mut forged = true_one.clone();
        match what {
            "jkt" => forged.token.jkt = None,
            // What owners signed in a list that anybody reads, and what no server gives anything for.
            "no session key" => {
                forged.token.jkt = None;
                let Proof::Message(signed) = &mut forged.proof else { panic!("{forged:?}") };
                let text = URL_SAFE_NO_PAD.decode(&signed.message).unwrap();
                let text = String::from_utf8(text).unwrap();
                let mut lines: Vec<&str> = text.split('\n').collect();
                lines.retain(|line| !line.contains("jwk-thumbprint"));
                assert_eq!(lines.len() + 1, text.split('\n').count(), "{text}");
                signed.message = URL_SAFE_NO_PAD.encode(lines.join("\n"));
            }
            "key" => forged.proven_jkt = forged.token.jkt,
            _ => forged.token.exp = forged.token.exp.plus(901),
        }
        let judged = arbiter::evidence(&forged, at);
        assert!(matches!(judged, Err(NotProven::Evidence(_))), "{what}: {judged:?}");
    }
}

#[tokio::test]
async fn a_contract_is_its_chains_and_no_key_is_named() {
    let (server, node, _) = server("").await;
    node.says(TAKES);
    let account = contract();
    let owner = signed_in(&server, &account).await;
    let claims = owner.answer.claims();
    assert_eq!(claims["sub"], json!(format!("did:pkh:{account}")));
    assert_eq!(claims["account"], json!(account));
    assert_eq!(claims["proven_key"], json!({"method": "eip1271"}));
    assert_eq!(claims["cnf"], json!({"jkt": jkt(&owner.key)}));
    let [asked] = node.asked().try_into().unwrap();
    assert_eq!(asked["method"], "eth_call");
    assert_eq!(asked["params"][1], "latest");
    let program = asked["params"][0]["data"].as_str().unwrap();
    let address = account.rsplit_once("0x").unwrap().1.to_lowercase();
    assert!(program.contains(&address));
    // The holder sees and ends it like any session.
    let listed = owner.list(&server).await;
    assert_eq!(listed[0]["id"], owner.answer.body["session_id"]);
    let path = format!("/sessions/{}", owner.session());
    assert_eq!(owner.ask(&server, "DELETE", &path).await.status, 204);
    owner.refresh(&server, owner.refresh_token()).await.refused(
        400,
        "invalid_grant",
        "session_ended",
    );
    assert!(node.asked().is_empty(), "what has ended is not asked about");
}

/// A client knows before anybody signs whether a contract or a name can sign in.
#[tokio::test]
async fn metadata_says_on_which_chains_contracts_and_names_are_taken() {
    let listed = async |toml: &str| {
        let server = Server::configured(toml).await;
        let path = "/.well-known/oauth-authorization-server";
        let answer = Answer::read(server.http.get(server.at(path)).send().await.unwrap()).await;
        let formats = answer.body["message_formats_supported"].as_array().unwrap().clone();
        let listed = formats.into_iter().filter_map(|format| {
            let chains = format.get("on_chain_accounts")?;
            Some((format["name"].as_str().unwrap().to_owned(), chains.clone()))
        });
        listed.collect::<Vec<_>>()
    };
    let both = with_node("http://127.0.0.1:9", "");
    let more = format!("{both}[[rpc]]\nchain = \"eip155:1\"\nurls = [\"http://127.0.0.1:9\"]\n");
    let named = |name: &str, chains: Value| (name.to_owned(), chains);
    let near = || named("nep413", json!(["near:mainnet"]));
    assert_eq!(listed(&both).await, [named("siwe", json!(["eip155:10"])), near()]);
    assert_eq!(listed(&more).await, [named("siwe", json!(["eip155:1", "eip155:10"])), near()]);
    assert_eq!(listed(&toml("")).await, []);
    let keys_alone = both.replace("default_scopes", "contract_accounts = false\ndefault_scopes");
    assert_eq!(listed(&keys_alone).await, []);
    let of_near = with_node("http://127.0.0.1:9", "chains = [\"near:mainnet\"]\n");
    assert_eq!(listed(&of_near).await, [near()]);
}

#[tokio::test]
async fn a_chain_that_says_no_ends_the_session_and_its_tokens() {
    let (server, node, _) = server("").await;
    node.says(TAKES);
    let account = contract();
    let (first, second) = (signed_in(&server, &account).await, signed_in(&server, &account).await);
    let renewed = first.refresh(&server, first.refresh_token()).await;
    assert_eq!(renewed.claims()["proven_key"], json!({"method": "eip1271"}));
    assert_eq!(node.asked().len(), 3);
    node.says(REFUSES);
    let next = renewed.text("refresh_token");
    first.refresh(&server, next).await.refused(400, "invalid_grant", "session_ended");
    node.says(TAKES);
    first.refresh(&server, next).await.refused(400, "invalid_grant", "session_ended");
    first.ask(&server, "GET", "/sessions").await.refused(401, "invalid_token", "token_revoked");
    let feed =
        server.http.get(server.at("/revocations")).send().await.unwrap().text().await.unwrap();
    let entries = crate::support::part(&feed, 1);
    let told = entries["entries"].as_array().unwrap();
    assert!(told.iter().any(|entry| entry["sid"] == first.answer.body["session_id"]), "{told:?}");
    // The other session was not asked about yet, and is alive where the chain says yes again.
    assert_eq!(second.refresh(&server, second.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn a_silent_chain_changes_nothing_and_keys_do_without_it() {
    let (server, node, _) = server("").await;
    node.says(TAKES);
    let account = contract();
    let owner = signed_in(&server, &account).await;
    let waits = |answer: &Answer| {
        answer.refused(503, "temporarily_unavailable", "chain_unavailable");
        assert_eq!(answer.header("retry-after"), Some("2"));
    };
    node.is_silent();
    for _ in 0..3 {
        waits(&owner.refresh(&server, owner.refresh_token()).await);
    }
    let session = key(Curve::P256);
    let body = json!({"account": account, "resource": RESOURCE, "dpop_jkt": jkt(&session)});
    let message = server.challenge(&body).await.text("message").to_owned();
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &*message), ("signature", "0xab")];
    waits(&server.token(&form, Some(&server.proof(&session))).await);
    node.asked();
    let wallet = EvmWallet::new();
    let on_that_chain = format!("eip155:{CHAIN}:{}", wallet.address());
    let asked = json!({"account": on_that_chain});
    let key_holder = SignedIn::of(&server, wallet, asked, &[]).await;
    assert_eq!(key_holder.answer.claims()["proven_key"]["method"], "siwe");
    assert_eq!(key_holder.refresh(&server, key_holder.refresh_token()).await.status, 200);
    assert!(node.asked().is_empty(), "a key needs no node");

    node.says(TAKES);
    // Neither the refresh token nor the nonce was used up.
    assert_eq!(owner.refresh(&server, owner.refresh_token()).await.status, 200);
    let late = server.token(&form, Some(&server.proof(&session))).await;
    assert_eq!(late.claims()["sub"], json!(format!("did:pkh:{account}")));
}

#[tokio::test]
async fn a_session_of_a_contract_outlives_a_restart_and_is_asked_about_as_before() {
    let (server, node, toml) = server("").await;
    node.says(TAKES);
    let account = contract();
    let owner = signed_in(&server, &account).await;
    let [asked] = node.asked().try_into().unwrap();
    let server = server.restart(&toml).await;
    server.clock.advance(10);
    let proof = |server: &Server| server.proof(&owner.key);
    let renewed = refresh(&server, owner.refresh_token(), Some(&proof(&server)), &[]).await;
    assert_eq!(renewed.claims()["proven_key"], json!({"method": "eip1271"}));
    let [again] = node.asked().try_into().unwrap();
    let data = |asked: &Value| asked["params"][0]["data"].clone();
    assert_eq!(data(&again), data(&asked), "the same account, digest and signature");
    for member in ["/id", "/params/0/from"] {
        assert_ne!(again.pointer(member), asked.pointer(member), "{member} is not to be foreseen");
    }
    // A server whose configuration has no nodes of the chain any more lets nobody on, and ends nothing.
    let server = server.restart(&self::toml("")).await;
    server.clock.advance(10);
    let token = renewed.text("refresh_token");
    refresh(&server, token, Some(&proof(&server)), &[]).await.refused(
        400,
        "invalid_grant",
        "chain_not_allowed",
    );
    let server = server.restart(&toml).await;
    server.clock.advance(10);
    node.says(REFUSES);
    refresh(&server, token, Some(&proof(&server)), &[]).await.refused(
        400,
        "invalid_grant",
        "session_ended",
    );
}

/// A session that a wrapped signature opened goes on when its factory is called no more: its account is there.
#[tokio::test]
async fn a_session_outlives_the_factory_that_its_account_came_from() {
    const DEPLOYED_TAKES: u64 = 4;
    let (node, url) = Node::start().await;
    let toml = with_node(&url, "");
    let factory = format!("0x{}", "07".repeat(20));
    let listed = format!("[[rpc]]\nfactories = [\"{factory}\"]\nchain = \"eip155");
    let listed = toml.replace("[[rpc]]\nchain = \"eip155", &listed);
    let server = Server::configured(&listed).await;
    node.says(DEPLOYED_TAKES);
    let (message, session) = challenge(&server, &contract()).await;
    let (word, suffix) = (|number: u8| format!("{number:064x}"), "6492".repeat(16));
    let head = format!("{:0>64}{}{}", "07".repeat(20), word(96), word(128));
    let inner = "ab".repeat(32);
    let wrapped = format!("0x{head}{}{}{inner}{suffix}", word(0), word(32));
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &*message), ("signature", &*wrapped)];
    let opened = server.token(&form, Some(&server.proof(&session))).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let called = |asked: Vec<Value>| {
        let [asked] = asked.try_into().unwrap();
        let program = asked["params"][0]["data"].as_str().unwrap().to_owned();
        assert!(program.ends_with(&inner), "what the contract is asked about is not wrapped");
        program.contains(&"07".repeat(20))
    };
    assert!(called(node.asked()));
    let server = server.restart(&toml).await;
    server.clock.advance(10);
    node.says(TAKES);
    let token = opened.text("refresh_token");
    let renewed = refresh(&server, token, Some(&server.proof(&session)), &[]).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert!(!called(node.asked()));
    // Without code there is nobody whom it could be.
    node.says(0);
    let token = renewed.text("refresh_token");
    let over = refresh(&server, token, Some(&server.proof(&session)), &[]).await;
    over.refused(400, "invalid_grant", "session_ended");
    // Who signs in with it is refused as before, and nobody is asked.
    node.asked();
    let (message, session) = challenge(&server, &contract()).await;
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &*message), ("signature", &*wrapped)];
    let refused = server.token(&form, Some(&server.proof(&session))).await;
    refused.refused(400, "invalid_grant", "factory_not_allowed");
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn a_contracts_session_ends_by_its_own_lifetime() {
    let (server, node, toml) = server("[contract]\nsession_lifetime = 1000\n").await;
    node.says(TAKES);
    let account = contract();
    let owner = signed_in(&server, &account).await;
    server.clock.advance(900);
    let renewed = owner.refresh(&server, owner.refresh_token()).await;
    assert_eq!(renewed.claims()["exp"], json!(START + 1000), "no token outlives its session");
    let other = signed_in(&server, &account).await;
    server.clock.advance(100);
    let token = renewed.text("refresh_token");
    owner.refresh(&server, token).await.refused(400, "invalid_grant", "session_ended");
    // A configuration that became stricter holds for sessions of before.
    let server = server.restart(&toml.replace("1000", "300")).await;
    server.clock.advance(300);
    let token = other.refresh_token();
    refresh(&server, token, Some(&server.proof(&other.key)), &[]).await.refused(
        400,
        "invalid_grant",
        "session_ended",
    );
    // Shorter than a token would be: no session, and a shorter token.
    let session = key(Curve::P256);
    let longer =
        toml.replace("1000", "300").replace("default_scopes", "token_ttl = 900\ndefault_scopes");
    let server = server.restart(&longer).await;
    server.clock.advance(10);
    let body = json!({"account": account, "resource": RESOURCE, "dpop_jkt": jkt(&session)});
    let answer = redeem(&server, &EvmWallet::new(), &body, &[], Some(&session)).await;
    assert_eq!(answer.body["expires_in"], json!(300), "{answer:?}");
    assert!(answer.body.get("refresh_token").is_none());
}

#[tokio::test]
async fn where_no_node_is_asked_a_contract_is_refused_as_a_wrong_key_is() {
    let (server, node, _) = server("").await;
    node.says(TAKES);
    let session = key(Curve::P256);
    for (account, signature, reason) in [
        ("eip155:1", "0xab", "signature_malformed"),
        ("eip155:1", &EvmWallet::new().sign("something"), "signature_mismatch"),
        ("eip155:1", &format!("0x{}", "00".repeat(600)), "signature_malformed"),
    ] {
        let account = format!("{account}:{}", EvmWallet::new().address());
        let body = json!({"account": account, "resource": RESOURCE, "dpop_jkt": jkt(&session)});
        let message = server.challenge(&body).await.text("message").to_owned();
        let form =
            [("grant_type", SIGNED_MESSAGE), ("message", &*message), ("signature", signature)];
        let answer = server.token(&form, Some(&server.proof(&session))).await;
        answer.refused(400, "invalid_grant", reason);
    }
    assert!(node.asked().is_empty());
}

/// A NEAR key that signs for a name, as wallets do.
async fn near(
    server: &Server,
    name: &str,
    signer: &InMemorySigner,
    session: Option<&InMemorySigner>,
) -> Answer {
    let mut body = json!({"account": format!("near:mainnet:{name}"), "resource": RESOURCE});
    match session {
        Some(session) => body["dpop_jkt"] = json!(jkt(session)),
        None => body["session_expires_in"] = json!(3000),
    }
    let message = server.challenge(&body).await.text("message").to_owned();
    let recipient = message.split_once(' ').unwrap().0;
    let nonce = nonce_of(&message);
    let signed =
        Signed { message: message.as_bytes(), nonce: &nonce, recipient, callback_url: None };
    let signature = STANDARD.encode(signer.sign_now(&signed.digest().unwrap()).unwrap());
    let public_key =
        format!("ed25519:{}", bs58::encode(signer.public_key().as_bytes()).into_string());
    let answer =
        json!({"accountId": name, "publicKey": public_key, "signature": signature}).to_string();
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &*message), ("signature", &*answer)];
    server.token(&form, session.map(|session| server.proof(session)).as_deref()).await
}

/// Nobody is logged out for the time that nodes take: what is given is dated after they have answered.
#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_however_long_the_nodes_took() {
    let (node, url) = Node::start().await;
    let bearers = "binding = \"optional\"\nbearer_sessions = true\ndefault_scopes";
    let toml = with_node(&url, "").replace("default_scopes", bearers);
    let server = Server::configured(&toml).await;
    node.permits("FullAccess");
    let signer = key(Curve::Ed25519);
    let opened = near(&server, "alice.near", &signer, None).await;
    assert_eq!(opened.body["token_type"], "Bearer", "{opened:?}");
    let first = opened.text("refresh_token");
    let turn = || refresh(&server, first, None, &[]);
    server.clock.advance(10);
    node.is_slow(&server.clock, 8);
    let lost = turn().await;
    assert_eq!((lost.status, server.now()), (200, START + 18), "{lost:?}");
    assert_eq!(lost.claims()["iat"], json!(START + 18));
    node.is_slow(&server.clock, 0);
    server.clock.advance(4);
    let again = turn().await;
    assert_eq!(again.text("refresh_token"), lost.text("refresh_token"), "{again:?}");
}

#[tokio::test]
async fn a_name_is_proven_by_a_full_access_key_for_as_long_as_it_is_one() {
    let (server, node, _) = server("").await;
    node.permits("FullAccess");
    let (signer, session) = (key(Curve::Ed25519), key(Curve::P256));
    let opened = near(&server, "alice.near", &signer, Some(&session)).await;
    let claims = opened.claims();
    assert_eq!(claims["sub"], "did:pkh:near:mainnet:alice.near");
    assert_eq!(claims["proven_key"], json!({"jkt": jkt(&signer), "method": "nep413"}));
    let [status, asked] = node.asked().try_into().unwrap();
    assert_eq!(status["method"], "status", "the network is asked once");
    assert_eq!(asked["params"]["account_id"], "alice.near");
    assert_eq!(asked["params"]["finality"], "final");
    let turn = |token: String| {
        let (server, session) = (&server, &session);
        async move { refresh(server, &token, Some(&server.proof(session)), &[]).await }
    };
    let renewed = turn(opened.text("refresh_token").to_owned()).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let [again] = node.asked().try_into().unwrap();
    assert_eq!(again["params"], asked["params"]);
    node.is_silent();
    let next = renewed.text("refresh_token").to_owned();
    turn(next.clone()).await.refused(503, "temporarily_unavailable", "chain_unavailable");
    near(&server, "alice.near", &signer, Some(&session)).await.refused(
        503,
        "temporarily_unavailable",
        "chain_unavailable",
    );
    node.permits("FunctionCall");
    near(&server, "alice.near", &signer, Some(&session)).await.refused(
        400,
        "invalid_grant",
        "signature_mismatch",
    );
    turn(next.clone()).await.refused(400, "invalid_grant", "session_ended");
    node.permits("FullAccess");
    turn(next).await.refused(400, "invalid_grant", "session_ended");
}

/// A challenge for an account, its form with a signature of no key, and the session key.
async fn challenge(server: &Server, account: &str) -> (String, InMemorySigner) {
    let session = key(Curve::P256);
    let body = json!({"account": account, "resource": RESOURCE, "dpop_jkt": jkt(&session)});
    (server.challenge(&body).await.text("message").to_owned(), session)
}

async fn send(server: &Server, message: &str, proof: Option<&str>) -> Answer {
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", "0xab")];
    server.token(&form, proof).await
}

#[tokio::test]
async fn nobody_is_asked_for_a_stranger_and_only_so_often_for_anybody() {
    let (server, node, _) = server("").await;
    node.says(REFUSES);
    let (message, session) = challenge(&server, &contract()).await;
    let stranger = server.proof(&key(Curve::P256));
    send(&server, &message, None).await.refused(400, "invalid_dpop_proof", "proof_required");
    send(&server, &message, Some(&stranger)).await.refused(
        400,
        "invalid_dpop_proof",
        "proof_key_mismatch",
    );
    let proof = server.proof(&session);
    assert!(node.asked().is_empty());
    let wrong = ("invalid_grant", "signature_mismatch");
    send(&server, &message, Some(&proof)).await.refused(400, wrong.0, wrong.1);
    send(&server, &message, Some(&proof)).await.refused(
        400,
        "invalid_dpop_proof",
        "proof_replayed",
    );
    for _ in 0..2 {
        let proof = server.proof(&session);
        send(&server, &message, Some(&proof)).await.refused(400, wrong.0, wrong.1);
    }
    assert_eq!(node.asked().len(), 3);
    node.says(TAKES);
    let proof = server.proof(&session);
    send(&server, &message, Some(&proof)).await.refused(400, "invalid_grant", "nonce_used");
    assert!(node.asked().is_empty());
}

/// What a chain took, and what then failed for another reason, is sent again without being signed again.
#[tokio::test]
async fn a_yes_uses_up_none_of_the_refusals_that_a_message_may_have() {
    let (server, node, _) = server("").await;
    node.says(TAKES);
    let (message, session) = challenge(&server, &contract()).await;
    let first = send(&server, &message, Some(&server.proof(&session))).await;
    assert_eq!(first.status, 200, "{first:?}");
    for _ in 1..12 {
        let again = send(&server, &message, Some(&server.proof(&session))).await;
        again.refused(400, "invalid_grant", "nonce_used");
    }
    assert_eq!(node.asked().len(), 9, "three times were it a refusal; not without end");
}

#[tokio::test]
async fn a_contract_gets_nothing_without_a_session_key_even_where_bearers_are_taken() {
    let (node, url) = Node::start().await;
    let toml = with_node(&url, "");
    let optional = "binding = \"optional\"\nbearer_sessions = true\ndefault_scopes";
    let server = Server::configured(&toml.replace("default_scopes", optional)).await;
    node.says(TAKES);
    let body = json!({"account": contract(), "resource": RESOURCE});
    let message = server.challenge(&body).await.text("message").to_owned();
    send(&server, &message, None).await.refused(400, "invalid_grant", "session_key_invalid");
    let proof = server.proof(&key(Curve::P256));
    send(&server, &message, Some(&proof)).await.refused(
        400,
        "invalid_dpop_proof",
        "proof_key_mismatch",
    );
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn delegated_code_is_no_contract_unless_the_operator_says_so() {
    let (server, node, toml) = server("").await;
    node.says(DELEGATED_TAKES);
    let account = contract();
    let (message, session) = challenge(&server, &account).await;
    let proof = server.proof(&session);
    let refused = send(&server, &message, Some(&proof)).await;
    refused.refused(400, "invalid_grant", "signature_malformed");
    let taken =
        toml.replace("[[rpc]]\nchain = \"eip155", "[[rpc]]\ndelegated = true\nchain = \"eip155");
    let server = Server::configured(&taken).await;
    let owner = signed_in(&server, &account).await;
    assert_eq!(owner.answer.claims()["sub"], json!(format!("did:pkh:{account}")));
    assert_eq!(owner.refresh(&server, owner.refresh_token()).await.status, 200);
}

/// What delegated code takes may be made of what its key signed: a nonce opens for one of the two.
#[tokio::test]
async fn a_key_and_the_code_that_it_delegated_to_spend_one_nonce() {
    let (node, url) = Node::start().await;
    let taken = "[[rpc]]\ndelegated = true\nchain = \"eip155";
    let toml = with_node(&url, "").replace("[[rpc]]\nchain = \"eip155", taken);
    let server = Server::configured(&toml).await;
    node.says(DELEGATED_TAKES);
    let (wallet, session) = (EvmWallet::new(), key(Curve::P256));
    let siwe = Siwe::new(&server, &wallet).await.with_session_key(&session);
    let text = siwe.text().replace("Chain ID: 1\n", &format!("Chain ID: {CHAIN}\n"));
    let form = |signature: &str| {
        [("grant_type", SIGNED_MESSAGE), ("message", &*text), ("signature", signature)]
            .map(|(name, value)| (name, value.to_owned()))
    };
    let send = |signature: String| {
        let (server, form, proof) = (&server, form(&signature), server.proof(&session));
        async move {
            let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
            server.token(&form, Some(&proof)).await
        }
    };
    let signature = wallet.sign(&text);
    let opened = send(signature.clone()).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    assert!(node.asked().is_empty());
    let prefixed = format!("0x01{}", &signature[2..]);
    send(prefixed).await.refused(400, "invalid_grant", "nonce_used");
    assert_eq!(node.asked().len(), 1);
    send(format!("{signature}00")).await.refused(400, "invalid_grant", "nonce_used");
    send(signature).await.refused(400, "invalid_grant", "nonce_used");
}

#[tokio::test]
async fn a_node_that_is_behind_says_nothing() {
    let (server, node, _) = server("").await;
    node.says(TAKES);
    let (message, session) = challenge(&server, &contract()).await;
    node.is_of(301);
    let proof = server.proof(&session);
    send(&server, &message, Some(&proof)).await.refused(
        503,
        "temporarily_unavailable",
        "chain_unavailable",
    );
    node.is_of(300);
    let proof = server.proof(&session);
    assert_eq!(send(&server, &message, Some(&proof)).await.status, 200);
}
