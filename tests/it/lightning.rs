//! A Lightning wallet answers by its call-back, and whoever asked comes for the token, and nobody else.

use countersign_sdk::chain::lnurl::Answer as WalletAnswer;
use countersign_sdk::key::{Curve, InMemorySigner};
use k256::ecdsa::{Signature, SigningKey};
use k256::sha2::{Digest as _, Sha256};
use serde_json::{Value, json};

use crate::support::{Answer, EvmWallet, RESOURCE, SIGNED_MESSAGE, Server, did, jkt, key};

/// A browser that shows a link and asks whether it was answered.
struct Browser<'a> {
    server: &'a Server,
    session: InMemorySigner,
    message: String,
    url: String,
}

impl<'a> Browser<'a> {
    async fn new(server: &'a Server) -> Self {
        Self::asking(server, json!({})).await
    }

    async fn asking(server: &'a Server, more: Value) -> Self {
        let session = key(Curve::P256);
        let mut body = json!({
            "format": "lnurl", "resource": RESOURCE, "scope": "escrow:read", "dpop_jkt": jkt(&session),
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let challenge = server.challenge(&body).await;
        assert_eq!(challenge.status, 200, "{challenge:?}");
        assert_eq!(challenge.body["payload"]["interval"], json!(2));
        let link = challenge.body["payload"]["lnurl"].as_str().unwrap();
        let encoded = link.strip_prefix("lightning:LNURL1").unwrap();
        let message = challenge.text("message").to_owned();
        Self { server, session, message, url: decoded(encoded) }
    }

    /// The parameter of the link.
    fn said(&self, name: &str) -> String {
        let url = reqwest::Url::parse(&self.url).unwrap();
        let found = url.query_pairs().find(|(other, _)| other == name);
        found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
    }

    async fn ask(&self) -> Answer {
        self.ask_with(Some(&self.server.proof(&self.session))).await
    }

    async fn ask_with(&self, proof: Option<&str>) -> Answer {
        let form =
            [("grant_type", SIGNED_MESSAGE), ("message", &self.message), ("format", "lnurl")];
        self.server.token(&form, proof).await
    }

    /// What a wallet does with the link.
    async fn answered_by(&self, wallet: &SigningKey) -> Answer {
        let k1: [u8; 32] = hex::decode(self.said("k1")).unwrap().try_into().unwrap();
        let (signature, _) = wallet.sign_prehash_recoverable(&k1);
        self.called_back(&signature, wallet).await
    }

    async fn called_back(&self, signature: &Signature, wallet: &SigningKey) -> Answer {
        let sig = hex::encode(signature.to_der().as_bytes());
        get(self.server, &format!("{}&sig={sig}&key={}", self.url, point(wallet))).await
    }
}

/// The characters of bech32 behind its prefix, as the bytes that they stand for; the checksum, which
/// is the library's to make, is dropped.
fn decoded(text: &str) -> String {
    const ALPHABET: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let digits = text[..text.len() - 6].chars().map(|c| ALPHABET.find(c).unwrap());
    let bits: Vec<bool> = digits.flat_map(|d| (0..5).rev().map(move |b| d >> b & 1 == 1)).collect();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    String::from_utf8(bits.chunks_exact(8).map(byte).collect()).unwrap()
}

fn wallet(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

fn point(wallet: &SigningKey) -> String {
    hex::encode(wallet.verifying_key().to_sec1_point(true).as_bytes())
}

fn did_of(byte: u8) -> String {
    did(&InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap())
}

async fn get(server: &Server, url: &str) -> Answer {
    // The issuer is what the link names; the server is at its own address.
    let path = url.strip_prefix(&server.issuer).unwrap();
    Answer::read(server.http.get(server.at(path)).send().await.unwrap()).await
}

#[track_caller]
fn refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!((answer.status, &answer.body["status"]), (status, &json!("ERROR")), "{answer:?}");
    assert!(answer.text("reason").contains(why), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[track_caller]
fn taken(answer: &Answer) {
    assert_eq!((answer.status, &answer.body), (200, &json!({"status": "OK"})), "{answer:?}");
}

#[tokio::test]
async fn whoever_answers_is_signed_in_where_the_link_was_shown() {
    let server = Server::development().await;
    let browser = Browser::new(&server).await;
    assert!(browser.message.contains("with your Lightning wallet:\nany\n"), "{}", browser.message);
    assert!(browser.url.starts_with(&format!("{}/lnurl?", server.issuer)), "{}", browser.url);
    assert_eq!((browser.said("tag"), browser.said("action")), ("login".into(), "login".into()));
    for _ in 0..2 {
        browser.ask().await.refused(400, "authorization_pending", "authorization_pending");
    }
    taken(&browser.answered_by(&wallet(9)).await);
    // A wallet that lost the answer asks again; another one comes too late.
    taken(&browser.answered_by(&wallet(9)).await);
    refused(&browser.answered_by(&wallet(8)).await, 400, "another wallet");

    let answer = browser.ask().await;
    let claims = answer.claims();
    assert_eq!((&claims["sub"], &claims["account"]), (&json!(did_of(9)), &json!(did_of(9))));
    assert_eq!(claims["proven_key"]["method"], json!("lnurl"));
    assert_eq!(claims["cnf"]["jkt"], json!(jkt(&browser.session)));
    assert_eq!(claims["scope"], json!("escrow:read"));
    assert!(answer.body.get("refresh_token").is_some());
    browser.ask().await.refused(400, "invalid_grant", "nonce_used");
    taken(&browser.answered_by(&wallet(9)).await);
}

#[tokio::test]
async fn whoever_answered_is_proven_to_somebody_who_was_not_there() {
    let server = Server::development().await;
    let refused = Browser::new(&server).await;
    let elsewhere = refused.message.replacen("127.0.0.1", "evil.example", 1);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &elsewhere), ("format", "lnurl")];
    let answer = server.token(&form, Some(&server.proof(&refused.session))).await;
    assert_eq!(answer.text("reason"), "message_mismatch", "{answer:?}");
    let browser = Browser::new(&server).await;
    taken(&browser.answered_by(&wallet(9)).await);
    let claims = browser.ask().await.claims();

    let data = server.shut_down_and_keep().await;
    let data = data.path().join("store");
    let verdict = crate::audit::verdict(&data, &claims["jti"]);
    assert_eq!((json!(verdict.sub), json!(verdict.account)), (json!(did_of(9)), json!(did_of(9))));
    assert_eq!(json!(verdict.bound_to), claims["cnf"]["jkt"]);
    assert_eq!(verdict.method, "lnurl");
    // Of whoever did not answer there is no account to tell of.
    let told = crate::audit::bodies(&data, "sign_in_refused");
    assert!(told.len() == 1 && told[0].get("account").is_none(), "{told:?}");
}

#[tokio::test]
async fn nobody_else_comes_for_it() {
    let server = Server::development().await;
    let browser = Browser::new(&server).await;
    taken(&browser.answered_by(&wallet(9)).await);
    // Whoever has the text, and not the key that it names.
    let theirs = server.proof(&key(Curve::P256));
    let answer = browser.ask_with(Some(&theirs)).await;
    answer.refused(400, "invalid_dpop_proof", "proof_key_mismatch");
    browser.ask_with(None).await.refused(400, "invalid_dpop_proof", "proof_required");
    // Another challenge of the same browser has had no answer.
    let other = Browser::asking(&server, json!({"dpop_jkt": jkt(&browser.session)})).await;
    let other = Browser { session: browser.session, ..other };
    other.ask().await.refused(400, "authorization_pending", "authorization_pending");
    // A text that was altered is another text.
    let altered = other.message.replace("escrow:read", "escrow:write");
    let altered = Browser { message: altered.replace("'read'", "'write'"), ..other };
    altered.ask().await.refused(400, "invalid_grant", "message_mismatch");
}

#[tokio::test]
async fn a_question_uses_up_its_proof_and_nothing_else() {
    let server = Server::development().await;
    let browser = Browser::new(&server).await;
    let proof = server.proof(&browser.session);
    let pending = browser.ask_with(Some(&proof)).await;
    pending.refused(400, "authorization_pending", "authorization_pending");
    taken(&browser.answered_by(&wallet(9)).await);
    let replayed = browser.ask_with(Some(&proof)).await;
    replayed.refused(400, "invalid_dpop_proof", "proof_replayed");
    assert_eq!(browser.ask().await.status, 200);
}

#[tokio::test]
async fn a_challenge_for_one_account_is_for_no_other() {
    let server = Server::development().await;
    let browser = Browser::asking(&server, json!({"account": did_of(9)})).await;
    // A stranger who saw the link does not stand in the way of the one that it is for.
    refused(&browser.answered_by(&wallet(8)).await, 400, "another wallet's key");
    browser.ask().await.refused(400, "authorization_pending", "authorization_pending");
    // Nor does the word of a link that is for the stranger, or for whoever answers.
    for more in [json!({"account": did_of(8)}), json!({})] {
        let other = Browser::asking(&server, more).await;
        let url = browser.url.replace(&browser.said("state"), &other.said("state"));
        for byte in [8, 9] {
            let mixed = Browser {
                server: &server,
                session: key(Curve::P256),
                message: browser.message.clone(),
                url: url.clone(),
            };
            refused(&mixed.answered_by(&wallet(byte)).await, 400, "another wallet's key");
        }
    }
    taken(&browser.answered_by(&wallet(9)).await);
    assert_eq!(browser.ask().await.text("sub"), did_of(9));
}

#[tokio::test]
async fn answers_that_are_none_are_refused_and_not_held() {
    let server = Server::development().await;
    let browser = Browser::new(&server).await;
    let ours = wallet(9);
    let k1: [u8; 32] = hex::decode(browser.said("k1")).unwrap().try_into().unwrap();
    let (right, _) = ours.sign_prehash_recoverable(&k1);
    // Over another digest, by another key, in its second form.
    let (other, _) = ours.sign_prehash_recoverable(&[7; 32]);
    refused(&browser.called_back(&other, &ours).await, 400, "not made by");
    refused(&browser.called_back(&right, &wallet(8)).await, 400, "not made by");
    let (r, s) = right.split_scalars();
    let high = Signature::from_scalars(r, -*s).unwrap();
    refused(&browser.called_back(&high, &ours).await, 400, "high S");
    let rs: [u8; 64] = right.to_bytes().into();
    let (sig, key) = (hex::encode(right.to_der().as_bytes()), point(&ours));
    let url = &browser.url;
    for (url, why) in [
        (format!("{url}&sig={}&key={key}", hex::encode(rs)), "DER"),
        (format!("{url}&sig={sig}00&key={key}"), "DER"),
        (format!("{url}&sig={sig}&key={}", &key[2..]), "33 bytes"),
        (format!("{url}&sig={sig}&key=04{}", &key[2..]), "33"),
        (format!("{url}&sig={sig}"), "key is missing"),
        (format!("{url}&key={key}"), "sig is missing"),
        (url.clone(), "sig is missing"),
        (format!("{url}&sig={sig}&key={key}&key={key}"), "once"),
        (format!("{url}&sig={sig}&key={key}&k1={}", "00".repeat(32)), "once"),
        (format!("{url}&sig={sig}&key={key}").replace("tag=login", "tag=pay"), "tag"),
        (format!("{url}&sig={sig}&key={key}").replace("k1=", "k1=00"), "k1"),
        (format!("{url}&sig={sig}&key={key}&pad={}", "x".repeat(2048)), "too long"),
    ] {
        refused(&get(&server, &url).await, 400, why);
    }
    // The word of the issuer is one for this digest alone.
    let second = Browser::new(&server).await;
    let swapped = url.replace(&browser.said("state"), &second.said("state"));
    let swapped = Browser { url: swapped, ..second };
    refused(&swapped.answered_by(&ours).await, 400, "");
    for state in ["00".repeat(32), server.nonce().await] {
        let made_up = url.replace(&browser.said("state"), &state);
        refused(&get(&server, &format!("{made_up}&sig={sig}&key={key}")).await, 400, "nonce");
    }
    browser.ask().await.refused(400, "authorization_pending", "authorization_pending");
    taken(&browser.answered_by(&ours).await);
    assert_eq!(browser.ask().await.status, 200, "nothing before has burnt it");
}

#[tokio::test]
async fn both_halves_end_with_the_challenge() {
    let server = Server::development().await;
    let [early, late] = [Browser::new(&server).await, Browser::new(&server).await];
    taken(&early.answered_by(&wallet(9)).await);
    server.clock.advance(301);
    refused(&late.answered_by(&wallet(9)).await, 400, "time to be redeemed");
    for browser in [&early, &late] {
        browser.ask().await.refused(400, "invalid_grant", "challenge_expired");
    }
}

#[tokio::test]
async fn what_must_be_said_when_it_is_asked_for() {
    let server = Server::development().await;
    let body = json!({"format": "lnurl", "resource": RESOURCE});
    let answer = server.challenge(&body).await;
    answer.refused(400, "invalid_request", "parameter_missing");
    for body in [json!({"format": "siwe", "resource": RESOURCE}), json!({"resource": RESOURCE})] {
        let answer = server.challenge(&body).await;
        answer.refused(400, "invalid_request", "parameter_missing");
    }
    for account in [did(&key(Curve::Ed25519)), "eip155:1:0x0".to_owned()] {
        let session = jkt(&key(Curve::P256));
        let body = json!({"format": "lnurl", "account": account, "dpop_jkt": session, "resource": RESOURCE});
        assert_eq!(server.challenge(&body).await.status, 400, "{account}");
    }
    // A text of another format has no call-back, and a client that writes its own has none either.
    let form = [("grant_type", SIGNED_MESSAGE), ("message", "x"), ("format", "siwe")];
    server.token(&form, None).await.refused(400, "invalid_request", "parameter_missing");
    let browser = Browser::new(&server).await;
    let issued = browser.message.split("Nonce: ").nth(1).unwrap().split('\n').next().unwrap();
    let own = Browser {
        message: browser.message.replace(issued, &server.nonce().await),
        ..Browser::new(&server).await
    };
    let proof = server.proof(&browser.session);
    own.ask_with(Some(&proof)).await.refused(400, "invalid_grant", "account_invalid");
    let named = own.message.replace("\nany\n", &format!("\n{}\n", did_of(9)));
    let named = Browser { message: named, ..own };
    let answer = named.ask_with(Some(&proof)).await;
    answer.refused(400, "invalid_request", "parameter_missing");
    // Nothing of that has used the proof up, nor the nonce: whose key it is may sign at once.
    let k1: [u8; 32] = Sha256::digest(&named.message).into();
    let sig = hex::encode(wallet(9).sign_prehash_recoverable(&k1).0.to_der().as_bytes());
    let point = point(&wallet(9));
    let form = [
        ("grant_type", SIGNED_MESSAGE),
        ("message", &named.message),
        ("format", "lnurl"),
        ("signature", &sig),
        ("public_key", &point),
    ];
    assert_eq!(server.token(&form, Some(&proof)).await.text("sub"), did_of(9));
}

/// A proof that was sent with a question that nothing could answer is still unused.
#[tokio::test]
async fn a_question_that_nothing_can_answer_uses_nothing_up() {
    let evm = EvmWallet::new();
    let takes = format!(
        "{CONFIGURED}formats = [\"lnurl\", \"siwe\"]\nallow = [\"{}\", \"{}\"]\n",
        did_of(9),
        evm.account()
    );
    let writer = Server::configured(&takes).await;
    for (toml, reason) in [(CONFIGURED, "format_unsupported"), (&*takes, "account_not_allowed")] {
        let server = Server::configured(toml).await;
        let browser = Browser::new(&writer).await;
        let issued = browser.message.split("Nonce: ").nth(1).unwrap().split('\n').next().unwrap();
        let message = browser.message.replace(issued, &server.nonce().await);
        let message = message.replace("\nany\n", &format!("\n{}\n", did_of(8)));
        let proof = server.proof(&browser.session);
        let form = [("grant_type", SIGNED_MESSAGE), ("message", &message), ("format", "lnurl")];
        let answer = server.token(&form, Some(&proof)).await;
        assert_eq!((answer.status, answer.text("reason")), (400, reason), "{answer:?}");
        // Whoever does sign in, does so with that proof.
        let challenge = server
            .challenge(&json!({
                "account": evm.account(), "resource": RESOURCE, "scope": "escrow:read",
                "dpop_jkt": jkt(&browser.session),
            }))
            .await;
        let message = challenge.text("message");
        let signature = evm.sign(message);
        let form =
            [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
        let answer = server.token(&form, Some(&proof)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let replayed = server.token(&form, Some(&proof)).await;
        assert_eq!(replayed.text("reason"), "proof_replayed");
    }
}

const CONFIGURED: &str = r#"
issuer = "https://id.example/tenant"
domains = ["app.example"]
[limits]
answers = 100
[[resources]]
uri = "http://127.0.0.1:8800"
scopes = ["escrow:read"]
"#;

#[tokio::test]
async fn a_resource_names_it_and_says_who_may() {
    let usual = Server::configured(CONFIGURED).await;
    let body = json!({"format": "lnurl", "resource": RESOURCE, "dpop_jkt": jkt(&key(Curve::P256))});
    let answer = usual.challenge(&body).await;
    answer.refused(400, "invalid_request", "format_unsupported");

    for (rule, of) in [("allow", 9), ("deny", 8)] {
        let rule = format!("{rule} = [\"{}\"]", did_of(of));
        let toml = format!("{CONFIGURED}formats = [\"lnurl\"]\n{rule}\n");
        let server = Server::configured(&toml).await;
        for (byte, allowed) in [(9, true), (8, false)] {
            let browser = Browser::new(&server).await;
            let link = format!("{}/lnurl?", server.issuer);
            assert!(browser.url.starts_with(&link), "{}", browser.url);
            taken(&browser.answered_by(&wallet(byte)).await);
            let answer = browser.ask().await;
            if allowed {
                assert_eq!(answer.text("sub"), did_of(byte));
            } else {
                answer.refused(400, "invalid_grant", "account_not_allowed");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_wallets_one_answers() {
    let server = Server::development().await;
    let browser = Browser::new(&server).await;
    let k1: [u8; 32] = hex::decode(browser.said("k1")).unwrap().try_into().unwrap();
    let calls = (1..=16).map(|byte| {
        let wallet = wallet(byte);
        let sig = wallet.sign_prehash_recoverable(&k1).0.to_der();
        let (sig, key) = (hex::encode(sig.as_bytes()), point(&wallet));
        server.http.get(format!("{}&sig={sig}&key={key}", browser.url))
    });
    let statuses = all(calls).await;
    let winners: Vec<usize> = (0..16).filter(|at| statuses[*at].status == 200).collect();
    let [winner] = winners[..] else { panic!("{winners:?}") };
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &browser.message), ("format", "lnurl")];
    let questions = (0..8).map(|_| {
        let proof = server.proof(&browser.session);
        server.http.post(server.at("/token")).form(&form).header("DPoP", proof)
    });
    let answers = all(questions).await;
    let tokens: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(tokens.len(), 1, "one token for one challenge");
    assert_eq!(tokens[0].text("sub"), did_of(u8::try_from(winner + 1).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_full_of_answers_says_so() {
    let off = CONFIGURED.replace("[limits]", "[limits]\nrequests_per_minute = \"off\"");
    let server = Server::configured(&format!("{off}formats = [\"lnurl\"]\n")).await;
    let ours = wallet(9);
    let first = Browser::new(&server).await;
    taken(&first.answered_by(&ours).await);
    for _ in 1..100 {
        taken(&Browser::new(&server).await.answered_by(&ours).await);
    }
    let late = Browser::new(&server).await;
    let answer = late.answered_by(&ours).await;
    refused(&answer, 503, "try again");
    assert_eq!(answer.header("retry-after"), Some("2"));
    late.ask().await.refused(400, "authorization_pending", "authorization_pending");
    // Whoever comes for an answer makes room for another.
    assert_eq!(first.ask().await.status, 200);
    taken(&late.answered_by(&ours).await);
    let other = Browser::new(&server).await;
    refused(&other.answered_by(&ours).await, 503, "try again");
    first.ask().await.refused(400, "invalid_grant", "nonce_used");
}

/// The answers to requests that are all sent at once.
async fn all(requests: impl Iterator<Item = reqwest::RequestBuilder>) -> Vec<Answer> {
    let sent: Vec<_> = requests
        .map(|request| {
            tokio::spawn(async move { Answer::read(request.send().await.unwrap()).await })
        })
        .collect();
    let mut answers = Vec::new();
    for one in sent {
        answers.push(one.await.unwrap());
    }
    answers
}

#[test]
fn the_library_and_this_test_spell_alike() {
    let k1 = [7; 32];
    let ours = wallet(9);
    let (signature, _) = ours.sign_prehash_recoverable(&k1);
    let sig = hex::encode(signature.to_der().as_bytes());
    let answer = WalletAnswer::read(&point(&ours), &sig).unwrap();
    assert!(answer.verify(&k1).unwrap().compressed_secp256k1().is_some());
}
