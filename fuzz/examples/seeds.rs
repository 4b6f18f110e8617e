//! Writes the seeds under `seeds/`: a few small inputs for each target, from the vectors and from the fixed keys.
//!
//! `cargo run --example seeds`, in this folder. Inputs that once broke something are kept under
//! `regressions/` instead, which no program writes.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_fuzz::material::{ISSUER, NOW, RESOURCE, jws, signer};
use countersign_sdk::key::{InMemorySigner, Signer as _};
use serde_json::{Value, json};

fn main() {
    texts();
    signatures();
    structures();
    recaps();
    proofs();
    tokens();
    keys();
    rest();
    requests();
    records();
    nodes();
    audit();
}

/// Writes one seed. The first of a name wins nothing: each has its own number.
fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("written");
}

fn vectors(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(file);
    serde_json::from_slice(&fs::read(path).expect("the vectors")).expect("JSON")
}

/// The case of a table by its id.
fn case(table: &Value, id: &str) -> Value {
    let cases = table["cases"].as_array().expect("cases");
    let found = cases.iter().find(|case| case["id"] == id);
    found.unwrap_or_else(|| panic!("no case {id}")).clone()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}"))
}

/// As `app.example wants … to sign in with your KIND:`, with every field.
fn full(kind: &str, address: &str, chain: &str) -> String {
    format!(
        "https://app.example wants you to sign in with your {kind}:\n{address}\n\nA statement.\n\n\
         URI: https://app.example/login?x=%20#y\nVersion: 1\n{chain}Nonce: 0123456789abcdef\n\
         Issued At: 2027-01-15T08:00:00.250Z\nExpiration Time: 2027-01-15T10:00:00+02:00\n\
         Not Before: 2027-01-15T08:00:00Z\nRequest ID: a:b@%41\nResources:\n\
         - https://[::1]:8080/a\n- urn:recap:eyJhdHQiOnt9fQ"
    )
}

fn texts() {
    let siwe =
        full("Ethereum account", "0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed", "Chain ID: 1\n");
    let siws = full(
        "Solana account",
        "47D7BSQhiQWPdeJ2hGqkmVTKW8BfzyNVZRckfhNqFw1M",
        "Chain ID: mainnet\n",
    );
    let key = full("key", &signer(0).public_key().to_did_key().expect("a did:key"), "");
    let chain = |kind: &str, address: &str, chain: &str| {
        let text = full(kind, address, &format!("Chain ID: {chain}\n"));
        text.replacen("https://", "", 1)
    };
    let bitcoin = chain(
        "Bitcoin account",
        "bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l",
        "000000000019d6689c085ae165831e93",
    );
    let tron = chain("Tron account", "TNWkgdg8kc3EzaXPQPHk6Z5rAfev3zbR5t", "0x2b6653dc");
    let cosmos =
        chain("Cosmos account", "cosmos14kylz6gvjqpgl3lghyeakxfqxaktw3nd3p34d8", "cosmoshub-4");
    let nostr = key.replace("your key:", "your Nostr account:");
    let hex = "0xf42afaab07c95bd1ff45ce45b4148f834eeac1f8eb0e31c1523f8cfc49bfc503";
    let lightning = key.replace("your key:", "your Lightning wallet:");
    let ssh = key.replace("your key:", "your SSH key:");
    let sui = chain("Sui account", hex, "mainnet");
    let near = chain("NEAR Protocol account", &hex[2..], "mainnet");
    let account = "GBXFXNDLV4LSWA4VB7YIL5GBD7BVNR22SGBTDKMO2SBZZHDXSKZYCP7L";
    let stellar = chain("Stellar account", account, "pubnet");
    let ton = chain("TON account", &hex.replacen('x', "%3A", 1), "-239");
    // The chain stands behind the request's id.
    let aptos =
        chain("Aptos account", hex, "aptos:mainnet").replace("Chain ID: aptos:mainnet\n", "");
    let aptos = aptos.replace("Resources:", "Chain ID: aptos:mainnet\nResources:");
    let paragraphs = siws.replace("A statement.", "One.\nTwo.\n\nThree.");
    let bare = "app.example wants you to sign in with your Solana account:\n47D7BSQhiQWPdeJ2hGqkmVTKW8BfzyNVZRckfhNqFw1M";
    for (name, text) in [
        ("siwe", &*siwe),
        ("siwe-no-statement", &siwe.replace("\nA statement.\n", "\n")),
        ("siws", &siws),
        ("siws-paragraphs", &paragraphs),
        ("siws-bare", bare),
        ("key", &key),
        ("bitcoin", &bitcoin),
        ("tron", &tron),
        ("cosmos", &cosmos),
        ("nostr", &nostr),
        ("lightning", &lightning),
        ("ssh", &ssh),
        ("sui", &sui),
        ("near", &near),
        ("stellar", &stellar),
        ("ton", &ton),
        ("aptos", &aptos),
    ] {
        seed("caip122", name, text);
        // Without the first line, and with a byte that puts one there.
        let profiles = [
            "siwe",
            "siws",
            "key",
            "bitcoin",
            "tron",
            "cosmos",
            "nostr",
            "ssh",
            "sui",
            "near",
            "stellar",
            "ton",
            "aptos",
            "lightning",
        ];
        let profile = profiles.iter().position(|p| name.starts_with(p));
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        let number = u8::try_from(profile.expect("a profile")).expect("small");
        seed("caip122", &format!("{name}-headed"), [&[number], rest.as_bytes()].concat());
    }
}

fn signatures() {
    let pair = |signature: &str, text: &str| [signature.as_bytes(), &[0], text.as_bytes()].concat();
    let siwe = vectors("generated/siwe.json");
    let right = case(&siwe, "siwe-ok-full");
    let (message, signature) = (text(&right, "message"), text(&right, "signature"));
    seed("siwe_signature", "vector", pair(signature, message));
    seed("siwe_signature", "compact", pair(&signature[..130], message));
    let right = case(&vectors("generated/siws.json"), "siws-ok-full");
    let (message, signature) = (text(&right, "message"), text(&right, "signature_b64"));
    seed("siws_signature", "vector", pair(signature, message));
    let base58 = bs58::encode(STANDARD.decode(signature).expect("base64")).into_string();
    seed("siws_signature", "base58", pair(&base58, message));
    let did = signer(0).public_key().to_did_key().expect("a did:key");
    let message = full("key", &did, "");
    let signature = signer(0).sign_now(message.as_bytes()).expect("signed");
    seed("key_signature", "hex", pair(&format!("0x{}", hex::encode(signature)), &message));
    for target in [
        "siwe_signature",
        "siws_signature",
        "key_signature",
        "bip322_signature",
        "bip137_signature",
        "sui_signature",
        "aptos_signature",
        "nep413_signature",
        "sep53_signature",
        "sep10_transaction",
        "lnurl_answer",
        "ssh_signature",
        "ton_signature",
        "ton_state_init",
        "tip191_signature",
        "adr36_signature",
        "nostr_signature",
        "sha256_signature",
    ] {
        for choice in [0, 1, 2, 7, 0x80, 0x81, 0xc0, 0xc1] {
            seed(target, &format!("disturbed-{choice:02x}"), [1, choice, 3, 0, 1]);
        }
    }
}

/// First states as other libraries write them, and an armoured signature.
fn structures() {
    let table = vectors("generated/ton-proof.json");
    for id in ["ton-ok-v3r2", "ton-ok-v4", "ton-ok-v5r1"] {
        let state = case(&table, id)["proof"]["state_init"].as_str().expect("a text").to_owned();
        let bag = STANDARD.decode(state).expect("base64");
        seed("ton_state_init", id, [&[0], &bag[..]].concat());
    }
    let table = vectors("generated/sep10.json");
    let signed = case(&table, "sep10-ok")["challenge_xdr"].as_str().expect("a text").to_owned();
    let bytes = STANDARD.decode(signed).expect("base64");
    seed("sep10_transaction", "vector", [&[0], &bytes[..]].concat());
    let answer = case(&vectors("generated/lnurl-auth.json"), "lnurl-base");
    let answer = format!("{}&{}", text(&answer, "key"), text(&answer, "sig"));
    seed("lnurl_answer", "vector", [&[0], answer.as_bytes()].concat());
    let hash = countersign_sdk::chain::sshsig::Hash::Sha512;
    let key = signer(0).public_key().as_bytes().try_into().expect("32 bytes");
    let ssh = countersign_sdk::chain::sshsig::SshSignature { key, signature: [1; 64], hash };
    seed("ssh_signature", "armoured", ssh.armoured());
}

fn records() {
    use countersign::model::revocation::Revocation;
    use countersign::model::session::{ContractProof, Session, SessionId, Usage};
    use countersign::store::embedded::record::{of_entry, of_session};
    let now = countersign_fuzz::material::now();
    let id = SessionId::from_bytes([7; 16]);
    let jkt = signer(0).public_key().thumbprint();
    let account = "eip155:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed";
    let bound = Session {
        id,
        subject: format!("did:pkh:{account}"),
        account: account.to_owned(),
        client_id: "app.example".to_owned(),
        method: "siwe".to_owned(),
        proven: None,
        proven_did: None,
        contract: None,
        bound_to: Some(jkt),
        resource: RESOURCE.to_owned(),
        scope: "escrow:read".to_owned(),
        label: Some("a phone".to_owned()),
        created_at: now,
        ends_at: now.plus(2_592_000),
        usage: Usage::begun(300, now),
    };
    let bearer = Session { bound_to: None, proven: Some(jkt), label: None, ..bound.clone() };
    let proof = ContractProof { digest: [9; 32], signature: vec![8; 65] };
    let contract = Session { contract: Some(proof), method: "eip1271".to_owned(), ..bound.clone() };
    for (name, session) in [("bound", &bound), ("bearer", &bearer), ("contract", &contract)] {
        seed("store_record", name, [&[0], &of_session(session)[..]].concat());
    }
    for (name, revocation) in [
        ("token", Revocation::Token { jti: "a".to_owned(), expires_at: now }),
        ("session", Revocation::Session(id)),
        ("key", Revocation::Key(jkt)),
        ("subject", Revocation::Subject("did:key:z".to_owned())),
        ("everything", Revocation::Everything),
    ] {
        seed("store_record", name, [&[1], &of_entry(&revocation.entry(now))[..]].concat());
    }
}

fn nodes() {
    let word = |number: u64| format!("{number:064x}");
    for said in 0..8 {
        let rest = [word(31_337), word(5), word(1000), "11".repeat(32)].concat();
        let words = format!("\"0x{}{rest}\"", word(said));
        seed("rpc_answer", &format!("words-{said}"), format!("\x02{words}"));
    }
    let whole = r#"{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted"}}"#;
    seed("rpc_answer", "error", format!("\x00{whole}"));
    let full = r#"{"nonce":1,"permission":"FullAccess","block_height":7,"block_hash":"x"}"#;
    seed("rpc_answer", "full", format!("\x03{full}"));
    let call = full.replace("\"FullAccess\"", r#"{"FunctionCall":{"receiver_id":"a.near"}}"#);
    seed("rpc_answer", "call", format!("\x03{call}"));
    let cause = r#"{"name":"UNKNOWN_ACCESS_KEY","info":{"block_height":7}}"#;
    let unknown =
        format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"cause":{cause},"code":-32000}}}}"#);
    seed("rpc_answer", "unknown", format!("\x01{unknown}"));
    let head = ["0".repeat(24), "07".repeat(20), word(96), word(160)].concat();
    let bytes = ["ab".to_owned() + &"0".repeat(62), "cd".to_owned() + &"0".repeat(62)];
    let [call, signature] = bytes.map(|padded| word(1) + &padded);
    let wrapped = hex::decode([head, call, signature, "6492".repeat(16)].concat()).expect("hex");
    seed("contract_signature", "wrapped", wrapped);
    seed("contract_signature", "plain", [1; 65]);
    seed("contract_signature", "parts", [&[4], &[3; 80][..]].concat());
}

fn audit() {
    use countersign::audit::Event;
    use countersign::audit::event::{Checkpoint, RefusalsOmitted};
    use countersign::audit::evidence::{
        Given, NonceKind, Policy, Proof as Signed, SignIn, SignedText,
    };
    use countersign::audit::proof::{Found, Proof};
    use countersign::audit::record::{Hash, Record};
    use countersign_sdk::time::Timestamp;

    let now = Timestamp::from_unix(1_800_000_000);
    let jkt = signer(0).public_key().thumbprint();
    let sign_in = SignIn {
        sub: "did:key:z".to_owned(),
        account: "did:key:z".to_owned(),
        proven_key: Some("did:key:z".to_owned()),
        proven_jkt: Some(jkt),
        chain: None,
        proof: Signed::Message(SignedText {
            format: "siwe".to_owned(),
            message: "YQ".to_owned(),
            signature: "0x00".to_owned(),
            public_key: None,
            nonce: NonceKind::Challenge,
            nonce_at: now,
        }),
        policy: Policy {
            issuer: ISSUER.to_owned(),
            domain: "auth.example".to_owned(),
            resource: RESOURCE.to_owned(),
            requested_scope: None,
            signed_scope: Some("escrow:read".to_owned()),
            challenge_lifetime: 300,
            clock_skew: 60,
            session_lifetime: 2_592_000,
        },
        token: Given {
            jti: "a".to_owned(),
            scope: "escrow:read".to_owned(),
            jkt: Some(jkt),
            sid: None,
            exp: now.plus(300),
            kid: "k".to_owned(),
        },
    };
    seed("audit_record", "evidence", serde_json::to_vec(&sign_in).unwrap());
    let event = Event::SignIn(Box::new(sign_in));
    let record = Record::of(1, now, Hash::BEGINNING, &event).unwrap();
    seed("audit_record", "sign_in", record.line());
    let omitted = Event::RefusalsOmitted(RefusalsOmitted { count: 7 });
    let next = Record::of(2, now, record.hash, &omitted).unwrap();
    seed("audit_record", "omitted", next.line());
    let checkpoint = Checkpoint {
        upto: 2,
        hash: next.hash,
        jws: "e30.e30.AA".to_owned(),
        key: json!({ "kty": "OKP" }),
    };
    let found = Found { leaves: vec![next.leaf()], record, checkpoint };
    seed("audit_proof", "sign_in", serde_json::to_vec(&Proof::of(found)).unwrap());
}

fn recaps() {
    let json =
        r#"{"att":{"https://escrow.example":{"escrow/read":[{}],"oauth/read":[{}]}},"prf":[]}"#;
    let uri = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
    seed("recap", "json", json);
    seed("recap", "uri", format!("urn:recap:{uri}"));
    seed("recap", "parts", "https://escrow.example\0escrow:read read a:b\0Hello.");
}

fn proofs() {
    for number in 0..3_u8 {
        let key = signer(usize::from(number));
        let jwk = serde_json::to_value(key.public_key().to_jwk()).expect("a JWK");
        let header = json!({"typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": jwk});
        let ath = countersign_sdk::proof::dpop::AccessTokenHash::of("an.access.token");
        let claims = json!({
            "jti": "one", "htm": "POST", "htu": "https://auth.example/token", "iat": NOW,
            "ath": ath.to_string(), "nonce": "n",
        });
        let (header, claims) = (header.to_string(), claims.to_string());
        let choice = number << 4;
        let signed = |choice: u8| [&[choice], header.as_bytes(), &[0], claims.as_bytes()].concat();
        seed("jws_dpop", &format!("signed-{number}"), signed(choice | 2));
        seed("jws_dpop", &format!("bound-{number}"), signed(choice | 14));
        seed("jws_dpop", &format!("disturbed-{number}"), [choice | 1, 9, 0, 1]);
        let whole = jws(key, header.as_bytes(), claims.as_bytes());
        seed("jws_dpop", &format!("whole-{number}"), [&[0], whole.as_bytes()].concat());
    }
    for number in 0..2_u8 {
        let key = signer(usize::from(number));
        let did = key.public_key().to_did_key().expect("a did:key");
        let header = json!({"typ": "JWT", "alg": key.algorithm().name()}).to_string();
        let claims = json!({
            "iss": did, "sub": did, "aud": [ISSUER], "jti": "one", "iat": NOW, "nbf": NOW,
            "exp": NOW + 60, "scope": "escrow:read", "resource": RESOURCE,
        });
        let parts = [header.as_bytes(), &[0], claims.to_string().as_bytes()].concat();
        seed(
            "jwt_assertion",
            &format!("signed-{number}"),
            [&[number << 4 | 2], &parts[..]].concat(),
        );
        seed("jwt_assertion", &format!("disturbed-{number}"), [number << 4 | 1, 9, 0, 1]);
    }
    seed("nonce_open", "context", b"\0\x10\x05before\0after\0\x02\0\x01");
    seed("nonce_open", "digits", "01".repeat(32));
}

fn tokens() {
    let mut set = Vec::new();
    for number in 0..3_u8 {
        let key = signer(usize::from(number));
        let header =
            json!({"typ": "at+jwt", "alg": key.algorithm().name(), "kid": number.to_string()});
        let claims = json!({
            "iss": ISSUER, "sub": "did:key:z", "aud": [RESOURCE], "jti": "one", "iat": NOW,
            "nbf": NOW, "exp": NOW + 60, "scope": "escrow:read", "client_id": "app.example",
            "auth_time": NOW, "account": "eip155:1:0x", "sid": "s", "amr": ["swk"],
            "cnf": {"jkt": key.public_key().thumbprint().to_string()},
            "proven_key": {"method": "siwe"},
        });
        let parts = [header.to_string().as_bytes(), &[0], claims.to_string().as_bytes()].concat();
        seed(
            "access_token",
            &format!("signed-{number}"),
            [&[number << 4 | 2], &parts[..]].concat(),
        );
        seed("access_token", &format!("disturbed-{number}"), [number << 4 | 1, 9, 0, 1]);
        let mut jwk = serde_json::to_value(key.public_key().to_jwk()).expect("a JWK");
        seed("jwk", &format!("{number}"), jwk.to_string());
        for (member, value) in
            [("kid", json!("a")), ("use", json!("sig")), ("key_ops", json!(["verify"]))]
        {
            jwk[member] = value;
        }
        jwk["kid"] = json!(number.to_string());
        set.push(jwk);
    }
    seed("jwks", "three", json!({ "keys": set }).to_string());
}

fn keys() {
    for number in 0..2_u8 {
        let key = signer(usize::from(number)).public_key();
        seed("did_key", &format!("text-{number}"), key.to_did_key().expect("a did:key"));
        seed("account", &format!("did-{number}"), key.to_did_key().expect("a did:key"));
    }
    let ed = signer(0).public_key().as_bytes();
    seed("did_key", "ed-bytes", [&[0], ed].concat());
    let whole = signer(1).public_key().as_bytes();
    seed("did_key", "k1-bytes", [&[1, 2 + (whole[64] & 1)], &whole[1..33]].concat());
    let signature = signer(0).sign_now(b"text").expect("signed");
    seed("ed25519_strict", "right", [&[0], ed, &signature, b"text"].concat());
    seed("ed25519_strict", "disturbed", [1, 5, 0, 1]);
    for kinds in 0..8_u8 {
        // A component of small order in the key, and the one in R that balances it for some texts.
        seed(
            "ed25519_strict",
            &format!("mixed-{kinds}"),
            [2, kinds | (8 - kinds) << 4, 3, 5, kinds & 1, b'a' + kinds],
        );
    }
    // y = 1 (small order), y = p, and y = p + 1.
    let mut top = [0xff; 32];
    top[31] = 0x7f;
    for low in [0xed, 0xee] {
        top[0] = low;
        seed(
            "ed25519_strict",
            &format!("top-{low:02x}"),
            [&[0], &top[..], &signature, b"text"].concat(),
        );
    }
    let mut one = [0; 32];
    one[0] = 1;
    seed("ed25519_strict", "one", [&[0], &one[..], &signature, b"text"].concat());
    let order = hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
        .expect("hex");
    let digest = [1; 32];
    for (name, r, s) in [
        ("order", &order[..], &[1; 32][..]),
        ("ones", &[1; 32], &[1; 32]),
        ("s-order", &[1; 32], &order),
    ] {
        seed("secp256k1_differential", name, [&[0], &digest[..], r, s, whole].concat());
    }
    seed(
        "secp256k1_differential",
        "hybrid",
        [&[0], &digest[..], &[1; 64], &[6 + (whole[64] & 1)], &whole[1..]].concat(),
    );
    seed("secp256k1_differential", "disturbed", [1, 5, 0, 1]);
    seed("secp256k1_differential", "disturbed-compressed", [3, 5, 0, 1]);
}

fn rest() {
    for (name, account) in [
        ("ethereum", "eip155:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed"),
        ("lower", "eip155:137:0xf3f4f90b63eb726bf2778b99c98cb9a8227518ed"),
        (
            "solana",
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:47D7BSQhiQWPdeJ2hGqkmVTKW8BfzyNVZRckfhNqFw1M",
        ),
        ("bitcoin", "bip122:000000000019d6689c085ae165831e93:128Lkh3S7CkDTBZ8W7BbpsN3YYizJMp8p6"),
    ] {
        seed("account", name, account);
    }
    for (name, parts) in [
        ("plain", "https://api.example/a/%7Eb?q#f\0/c/d"),
        ("dots", "HTTPS://API.example:443/x/../a/./%7Eb\0/%2e%2e/c"),
        ("address", "http://[::1]:8080/\0/"),
        ("percent", "http://127.1/%25%32%65/%c3%a9\0/a//b"),
    ] {
        seed("target_uri", name, parts);
    }
    seed(
        "form",
        "token",
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c&scope=a+b&resource=",
    );
    seed("form", "secret", "a=1&b=2&seed=3");
    let example = include_str!("../../examples/countersign.toml");
    let short: Vec<&str> =
        example.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    seed("config", "example", short.join("\n"));
    seed("config", "after-base", "\0token_ttl = 60\n[limits]\nburst = 5\n");
}

fn requests() {
    let did = signer(0).public_key().to_did_key().expect("a did:key");
    let jkt = signer(2).public_key().thumbprint().to_string();
    let ethereum = "eip155:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed";
    let bodies = [
        json!({"account": did, "resource": "http://127.0.0.1:8800", "scope": "read a:b", "dpop_jkt": jkt,
            "domain": "localhost:3000", "session_expires_in": 60}),
        json!({"account": ethereum, "resource": RESOURCE, "scope": "escrow:read", "format": "siwe",
            "domain": "app.example"}),
    ];
    for (number, body) in (0_u8..).zip(&bodies) {
        seed(
            "challenge_json",
            &format!("body-{number}"),
            [&[number], body.to_string().as_bytes()].concat(),
        );
    }
    seed("resource_layer", "right", countersign_fuzz::resource::right_request());
    seed("resource_layer", "unsigned", "\0/a?b\0a.b.c\0d.e.f");
    let (until, jkt) = (NOW + 900, signer(1).public_key().thumbprint());
    let entries = json!([
        {"jti": "AAAAAAAAAAAAAAAAAAAAAA", "until": until}, {"sid": "BBBBBBBBBBBBBBBBBBBBBB", "until": until},
        {"jkt": jkt, "not_before": NOW, "until": until}, {"sub": did, "not_before": NOW, "until": until},
        {"not_before": NOW, "until": until},
    ]);
    let payload =
        json!({"iss": ISSUER, "iat": NOW, "entries": entries, "cursor": "c5", "more": false});
    seed("revocation_feed", "every-kind", format!("\0{payload}"));
    seed("revocation_feed", "one", format!("\x01{}", entries[2]));
    seed("revocation_feed", "unknown-kind", "\x01{\"aud\":\"x\",\"not_before\":1,\"until\":2}");
    let recap = r#"{"att":{"https://escrow.example":{"escrow/read":[{}]}},"prf":[]}"#;
    let recap = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(recap);
    let sentence =
        countersign::wallet::recap::Grant::new(RESOURCE, &"escrow:read".parse().expect("a scope"));
    let sentence = sentence.expect("a grant").sentence();
    let jkt_uri = signer(2).public_key().thumbprint().to_uri();
    for (name, kind, address, chain, key) in [
        (
            "siwe",
            "Ethereum account",
            "0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed",
            "Chain ID: 1\n",
            "",
        ),
        (
            "siws",
            "Solana account",
            "47D7BSQhiQWPdeJ2hGqkmVTKW8BfzyNVZRckfhNqFw1M",
            "Chain ID: mainnet\n",
            &*jkt_uri,
        ),
        ("key", "key", &did, "", ""),
    ] {
        let key = if key.is_empty() { String::new() } else { format!("- {key}\n") };
        seed(
            "client_challenge",
            name,
            format!(
                "app.example wants you to sign in with your {kind}:\n{address}\n\nSign in to {RESOURCE}. {sentence}\n\nURI: {ISSUER}\n\
             Version: 1\n{chain}Nonce: 0123456789abcdef\nIssued At: 2027-01-15T08:00:00Z\n\
             Expiration Time: 2027-01-15T08:05:00Z\nResources:\n{key}- urn:recap:{recap}"
            ),
        );
    }
    let grant = |name: &str| format!("grant_type=urn%3A{name}&");
    let key = signer(0);
    let claims = json!({
        "iss": did, "sub": did, "aud": "https://auth.example/tenant", "jti": "seed", "iat": NOW, "exp": NOW + 60,
        "scope": "read", "resource": "https://open.example",
    });
    let assertion = jws(key, br#"{"alg":"EdDSA"}"#, claims.to_string().as_bytes());
    let jwk = serde_json::to_value(key.public_key().to_jwk()).expect("a JWK");
    let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk}).to_string();
    let proof_claims = json!({
        "jti": "seed", "htm": "POST", "htu": "https://auth.example/tenant/token", "iat": NOW,
    });
    let proof = jws(key, header.as_bytes(), proof_claims.to_string().as_bytes());
    let bearer = format!(
        "{}assertion={assertion}",
        grant("ietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer")
    );
    let right = case(&vectors("generated/siwe.json"), "siwe-ok-full");
    let encode = |text: &str| text.replace('%', "%25").replace('\n', "%0A").replace('&', "%26");
    let message = format!(
        "{}message={}&signature={}",
        grant("countersign%3Aparams%3Aoauth%3Agrant-type%3Asigned-message"),
        encode(text(&right, "message")),
        text(&right, "signature")
    );
    seed("token_form", "assertion", [&[1], proof.as_bytes(), &[0], bearer.as_bytes()].concat());
    seed("token_form", "assertion-unbound", [&[1, 0], bearer.as_bytes()].concat());
    seed("token_form", "message", [&[1], proof.as_bytes(), &[0], message.as_bytes()].concat());
    sessions(key, &did);
    let form = "content-type: application/x-www-form-urlencoded";
    for (name, request) in [
        ("metadata", "\0GET\0/.well-known/oauth-authorization-server\0origin: http://localhost:3000\0".to_owned()),
        ("metadata-path", "\x01GET\0/.well-known/oauth-authorization-server/tenant\0\0".to_owned()),
        ("jwks", "\0HEAD\0/.well-known/jwks.json\0\0".to_owned()),
        ("nonce", "\x01GET\0/tenant/nonce\0accept: text/plain\0".to_owned()),
        ("preflight", "\x01OPTIONS\0/tenant/token\0origin: https://app.example\naccess-control-request-method: POST\0".to_owned()),
        ("token", format!("\x01POST\0/tenant/token\0{form}\ndpop: {proof}\0{bearer}")),
        ("challenge", format!("\0POST\0/challenge\0content-type: application/json\norigin: http://localhost:3000\0{}", bodies[0])),
        ("sessions", format!("\x01GET\0/tenant/sessions\0authorization: DPoP a.b.c\ndpop: {proof}\0")),
        ("session", "\0DELETE\0/sessions/AAAAAAAAAAAAAAAAAAAAAA\0authorization: DPoP a.b.c\0".to_owned()),
        ("revoke", format!("\x01POST\0/tenant/revoke\0{form}\ndpop: {proof}\0token=a.b.c&everything_of=key")),
        ("revocations", "\0GET\0/revocations?wait=30&after=AAAAAAAAAAAAAAAAAAAAAA\0\0".to_owned()),
        ("introspect", format!("\0POST\0/introspect\0{form}\nauthorization: Basic YTpi\0token=a.b.c")),
        ("nowhere", "\0DELETE\0/sessions/%00?x=%ff\0content-length: 5\0hello".to_owned()),
    ] {
        seed("http_router", name, request);
    }
}

/// Refresh tokens, places in the feed, and who asks about tokens.
fn sessions(key: &InMemorySigner, did: &str) {
    seed("refresh_token", "text", [&[0][..], b"cs_rt_", &[b'A'; 64]].concat());
    seed("refresh_token", "right", [&[1], &[5; 16][..], &[0, 0, 0, 9]].concat());
    seed("refresh_token", "disturbed", [&[1], &[5; 16][..], &[0, 0, 0, 9, 30, 0, 1]].concat());
    seed("feed_cursor", "text", "kd5Jf2Qk1NAAAAAAAAAABA");
    seed("feed_cursor", "short", "kd5Jf2Qk1NA");
    seed("basic_auth", "field", "Basic aHR0cHMlM0ElMkYlMkZlc2Nyb3cuZXhhbXBsZTpjc19pc19B");
    seed("basic_auth", "encoded", "\0https://escrow.example\0cs_is_A+b%c");
    seed("basic_auth", "plain", "\x01https://escrow.example\0cs_is_A-b_c");
    let claims = json!({
        "iss": did, "sub": did, "aud": "https://auth.example/tenant", "jti": "introspect", "iat": NOW,
        "exp": NOW + 60,
    });
    let assertion = jws(key, br#"{"alg":"EdDSA"}"#, claims.to_string().as_bytes());
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let form = format!("token=a.b.c&client_assertion_type={kind}&client_assertion={assertion}");
    seed("introspect_form", "assertion", [&[1, 0], form.as_bytes()].concat());
    let secret = format!("https%3A%2F%2Fescrow.example:cs_is_{}", "A".repeat(43));
    seed(
        "introspect_form",
        "secret",
        [&[3], secret.as_bytes(), &[0], b"token=a.b.c&client_id=https%3A%2F%2Fescrow.example"]
            .concat(),
    );
    seed("introspect_form", "other", "\x01Bearer x\0token=a.b.c");
}
