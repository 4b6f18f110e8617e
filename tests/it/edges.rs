//! Garbage, limits, CORS, health, draining.

use std::time::Duration;

use countersign_sdk::key::Curve;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::flows::CONFIGURED;
use crate::signed_in::SignedIn;
use crate::support::{Answer, EvmWallet, RESOURCE, SIGNED_MESSAGE, Server, jkt, key};

/// Sends bytes and reads until the server closes or half a second has passed without a byte.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let address = server.at("").replace("http://", "");
    let address = address.split('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close while garbage is still being written; what it said is read all the same.
    let _ = stream.write_all(bytes).await;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer);
        match tokio::time::timeout(Duration::from_millis(500), read).await {
            Ok(Ok(0) | Err(_)) | Err(_) => break,
            Ok(Ok(count)) => answer.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Endpoint, content type, body; status and reason.
fn garbage() -> Vec<(&'static str, &'static str, Vec<u8>, u16, &'static str)> {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let json_type = "application/json";
    let form_type = "application/x-www-form-urlencoded";
    vec![
        (
            "/challenge",
            json_type,
            b"".to_vec(),
            400,
            "malformed_request",
        ),
        (
            "/challenge",
            json_type,
            b"null".to_vec(),
            400,
            "malformed_request",
        ),
        (
            "/challenge",
            json_type,
            b"[1,2".to_vec(),
            400,
            "malformed_request",
        ),
        (
            "/challenge",
            json_type,
            b"{\"account\":\"\xff\xfe\"}".to_vec(),
            400,
            "malformed_request",
        ),
        (
            "/challenge",
            json_type,
            deep.into_bytes(),
            400,
            "malformed_request",
        ),
        (
            "/challenge",
            json_type,
            br#"{"account":"a","account":"b"}"#.to_vec(),
            400,
            "parameter_repeated",
        ),
        ("/challenge", json_type, b"{}".to_vec(), 400, "parameter_missing"),
        (
            "/challenge",
            json_type,
            br#"["did:key:z6Mkr3y8hdfPpDXsCiq9BwESt82x4tQBFtMVc5igofhwk2Pm","http://127.0.0.1:9",null,null,null,null,null]"#.to_vec(),
            400,
            "malformed_request",
        ),
        ("/challenge", form_type, b"{}".to_vec(), 415, "content_type"),
        (
            "/challenge",
            json_type,
            vec![b' '; 60_000],
            413,
            "body_too_large",
        ),
        ("/token", json_type, b"{}".to_vec(), 415, "content_type"),
        ("/token", form_type, b"".to_vec(), 400, "parameter_missing"),
        (
            "/token",
            form_type,
            b"grant_type=x&grant_type=y".to_vec(),
            400,
            "parameter_repeated",
        ),
        (
            "/token",
            form_type,
            b"grant_type=%ff".to_vec(),
            400,
            "malformed_request",
        ),
        ]
}

#[tokio::test]
async fn garbage_gets_a_clear_4xx() {
    let server = Server::development().await;
    for (path, content_type, body, status, reason) in garbage() {
        let request = server.http.post(server.at(path)).header("content-type", content_type);
        let answer = Answer::read(request.body(body).send().await.unwrap()).await;
        answer.refused(status, "invalid_request", reason);
    }
    let unknown = server.token(&[("grant_type", "password")], None).await;
    unknown.refused(400, "unsupported_grant_type", "grant_unsupported");
    let nowhere = server.http.get(server.at("/nowhere")).send().await.unwrap();
    Answer::read(nowhere).await.refused(404, "invalid_request", "not_found");
    let wrong = Answer::read(server.http.get(server.at("/token")).send().await.unwrap()).await;
    wrong.refused(405, "invalid_request", "method_not_allowed");
    assert_eq!(wrong.header("allow"), Some("POST"));
}

#[tokio::test]
async fn repeated_header_fields_are_refused() {
    let server = Server::development().await;
    for (field, reason) in [
        ("DPoP: a", "proof_invalid"),
        ("Content-Type: application/x-www-form-urlencoded", "parameter_repeated"),
        ("Host: y", "parameter_repeated"),
    ] {
        let request = format!(
            "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             DPoP: b\r\n{field}\r\nContent-Length: 3\r\nConnection: close\r\n\r\na=b"
        );
        let answer = raw(&server, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains(reason), "{answer}");
    }
}

#[tokio::test]
async fn broken_http_is_closed_and_the_server_goes_on() {
    let server = Server::development().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000));
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /token HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /token HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"\r\n\r\n\r\n\0\0\0",
        long.as_bytes(),
    ] {
        let answer = raw(&server, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.nonce().await.len(), 64);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let toml = format!("{CONFIGURED}\n[limits]\nbody_timeout = 1\nheader_timeout = 1\n");
    let server = Server::configured(&toml).await;
    let address = server.at("").replace("http://", "");
    let mut stream = TcpStream::connect(address.split('/').next().unwrap()).await.unwrap();
    let head = "POST /tenant/challenge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    // A head that does not arrive: the connection is closed.
    let mut half_open =
        TcpStream::connect(server.at("").replace("http://", "").split('/').next().unwrap())
            .await
            .unwrap();
    half_open.write_all(b"GET /nonce HT").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), half_open.read_to_end(&mut rest))
        .await
        .expect("closed")
        .unwrap();
}

/// Pipelines requests without end and never reads an answer.
#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let toml = format!(
        "{CONFIGURED}\n[limits]\nrequests_per_minute = \"off\"\nbody_timeout = 1\nheader_timeout = 1\nmax_connections = 1\n"
    );
    let server = Server::configured(&toml).await;
    let address = server.at("").replace("http://", "");
    let mut deaf = TcpStream::connect(address.split('/').next().unwrap()).await.unwrap();
    let request = "GET /tenant/.well-known/oauth-authorization-server HTTP/1.1\r\nHost: x\r\n\r\n";
    let many = request.repeat(1000);
    let flood = async { while deaf.write_all(many.as_bytes()).await.is_ok() {} };
    let ended = tokio::time::timeout(Duration::from_secs(30), flood).await;
    assert!(ended.is_ok(), "the connection was never closed");
    // The one slot is free again.
    assert_eq!(server.nonce().await.len(), 64);
}

#[tokio::test]
async fn in_development_a_name_that_leads_here_is_not_enough() {
    let server = Server::development().await;
    for (host, status) in [("localhost:8700", 200), ("evil.example", 400), ("a@localhost", 400)] {
        let request = server.http.get(server.at("/nonce")).header("host", host);
        assert_eq!(request.send().await.unwrap().status(), status, "{host}");
    }
    let nameless = raw(&server, b"GET /nonce HTTP/1.1\r\n\r\n").await;
    assert!(nameless.starts_with("HTTP/1.1 400"), "{nameless}");
}

#[tokio::test]
async fn a_client_over_its_limit_is_told_when_to_return() {
    let toml = format!("{CONFIGURED}\n[limits]\nrequests_per_minute = 1\nburst = 3\n");
    let server = Server::configured(&toml).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = Answer::read(server.http.get(server.at("/nonce")).send().await.unwrap()).await;
        statuses.push(answer.status);
        if answer.status != 200 {
            answer.refused(429, "temporarily_unavailable", "rate_limited");
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        }
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    // What an API reads to verify tokens is counted apart.
    for (path, status) in [
        ("/revocations", 200),
        ("/.well-known/jwks.json", 200),
        ("/.well-known/oauth-authorization-server", 200),
        ("/revocations", 429),
    ] {
        assert_eq!(
            server.http.get(server.at(path)).send().await.unwrap().status(),
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_full_store_answers_503_and_mints_nothing() {
    let toml = format!(
        "{CONFIGURED}\n[limits]\nrequests_per_minute = \"off\"\nspent_nonces = 1000\nproofs = 1000\n"
    );
    let server = Server::configured(&toml).await;
    let session = key(Curve::Ed25519);
    let mut full = None;
    for _ in 0..1002 {
        let wallet = EvmWallet::new();
        let challenge = server
            .challenge(&json!({
                "account": wallet.account(), "resource": "https://escrow.example",
                "dpop_jkt": jkt(&session), "domain": "app.example",
            }))
            .await;
        let message = challenge.text("message").to_owned();
        let signature = wallet.sign(&message);
        let form =
            [("grant_type", SIGNED_MESSAGE), ("message", &*message), ("signature", &*signature)];
        let answer = server.token(&form, Some(&server.proof(&session))).await;
        if answer.status != 200 {
            full = Some(answer);
            break;
        }
    }
    let answer = full.expect("the store has a bound");
    answer.refused(503, "temporarily_unavailable", "store_unavailable");
    assert!(answer.header("retry-after").is_some());
}

/// Nobody has to sign again since a server was full.
#[tokio::test]
async fn a_message_that_found_no_room_opens_its_session_when_there_is_some() {
    let more = "[limits]\nrequests_per_minute = \"off\"\nsessions = 10\n";
    let server = Server::configured(&format!("{CONFIGURED}\n{more}")).await;
    let asked =
        json!({ "domain": "app.example", "resource": "https://api.example", "scope": "read" });
    let mut first = None;
    for _ in 0..10 {
        first = Some(SignedIn::of(&server, EvmWallet::new(), asked.clone(), &[]).await);
    }
    let (first, wallet, session) = (first.unwrap(), EvmWallet::new(), key(Curve::Ed25519));
    let mut body = asked;
    body["account"] = json!(wallet.account());
    body["dpop_jkt"] = json!(jkt(&session));
    let message = server.challenge(&body).await.text("message").to_owned();
    let signature = wallet.sign(&message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", &*message), ("signature", &*signature)];
    for _ in 0..2 {
        let full = server.token(&form, Some(&server.proof(&session))).await;
        full.refused(503, "temporarily_unavailable", "store_unavailable");
    }
    let path = format!("/sessions/{}", first.session());
    assert_eq!(first.ask(&server, "DELETE", &path).await.status, 204);
    let opened = server.token(&form, Some(&server.proof(&session))).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let again = server.token(&form, Some(&server.proof(&session))).await;
    again.refused(400, "invalid_grant", "nonce_used");
}

#[tokio::test]
async fn cors_is_for_allowed_pages_alone_and_on_errors_too() {
    let server = Server::configured(CONFIGURED).await;
    let preflight = |origin: &'static str| {
        server
            .http
            .request(reqwest::Method::OPTIONS, server.at("/token"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "dpop,content-type")
            .send()
    };
    let allowed = Answer::read(preflight("https://app.example").await.unwrap()).await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("dpop"));
    assert!(allowed.header("access-control-allow-credentials").is_none());
    for foreign in ["https://evil.example", "http://app.example", "null"] {
        let answer = Answer::read(preflight(foreign).await.unwrap()).await;
        assert!(answer.header("access-control-allow-origin").is_none(), "{foreign}");
    }
    let error = server.http.post(server.at("/token")).header("origin", "https://app.example");
    let error = Answer::read(error.send().await.unwrap()).await;
    assert_eq!(error.status, 415);
    assert_eq!(error.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(error.header("access-control-expose-headers").unwrap().contains("dpop-nonce"));
}

#[tokio::test]
async fn a_page_asks_for_its_own_domain_alone() {
    let server = Server::configured(CONFIGURED).await;
    let body = json!({
        "account": EvmWallet::new().account(), "resource": "https://escrow.example",
        "domain": "app.example",
    });
    for (origin, status) in
        [("https://app.example", 200), ("https://auth.example", 400), ("null", 400)]
    {
        let request = server.http.post(server.at("/challenge")).header("origin", origin);
        let answer = Answer::read(request.json(&body).send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
}

#[tokio::test]
async fn metadata_stands_where_rfc_8414_looks_for_it() {
    let server = Server::configured(CONFIGURED).await;
    let base = server.at("").replace("/tenant", "");
    let well_known = format!("{base}/.well-known/oauth-authorization-server/tenant");
    let answer = Answer::read(server.http.get(well_known).send().await.unwrap()).await;
    assert_eq!(answer.text("issuer"), "https://auth.example/tenant");
    assert_eq!(answer.text("token_endpoint"), "https://auth.example/tenant/token");
    assert_eq!(
        answer.body["protected_resources"],
        json!(["https://escrow.example", "https://api.example"])
    );
    let names: Vec<&Value> = answer.body["message_formats_supported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["name"])
        .collect();
    let known = countersign::wallet::registry::FORMATS.iter().map(|format| json!(format.name()));
    assert_eq!(names.into_iter().cloned().collect::<Vec<_>>(), known.collect::<Vec<_>>());
    let jwks = server.http.get(server.at("/.well-known/jwks.json")).send().await.unwrap();
    let jwks = Answer::read(jwks).await;
    assert_eq!(
        jwks.header("cache-control"),
        Some("public, max-age=300, must-revalidate"),
        "no cache may show a key for longer"
    );
    assert!(jwks.body["keys"][0].get("d").is_none());
    assert_eq!(jwks.body["keys"][0]["alg"], "ES256");
}

#[tokio::test]
async fn a_stopping_server_finishes_what_it_began() {
    let server = Server::development().await;
    let operations = server.operations.clone().unwrap();
    let ready = format!("{operations}/health/ready");
    assert_eq!(server.http.get(&ready).send().await.unwrap().status(), 200);
    let live = server.http.get(format!("{operations}/health/live")).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let address = server.at("").replace("http://", "");
    let mut open = TcpStream::connect(&address).await.unwrap();
    let body = json!({ "account": EvmWallet::new().account(), "resource": RESOURCE }).to_string();
    let head = format!(
        "POST /challenge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    open.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.tell_to_stop();
    // Draining is visible, and the open request is answered.
    loop {
        match server.http.get(&ready).send().await {
            Ok(answer) if answer.status() == 503 => break,
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("the operations listener ended before the drain: {error}"),
        }
    }
    open.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.shut_down().await;
    assert!(TcpStream::connect(&address).await.is_err());
}
