//! Kept sessions come back as they were, in this version and from the first.

use serde_json::{Value, json};

use super::*;
use crate::entropy::OsEntropy;
use crate::key::{Curve, Signer as _};

fn session() -> KeptSession {
    let key = InMemorySigner::generate(Curve::P256, &OsEntropy).unwrap();
    KeptSession {
        issuer: "https://auth.example".to_owned(),
        domain: Some("app.example".to_owned()),
        label: Some("laptop".to_owned()),
        token: Token {
            access_token: AccessToken::new("token-1").unwrap(),
            issued_at: Timestamp::from_unix(1),
            expires_at: Timestamp::from_unix(u64::MAX),
            scope: "read".to_owned(),
            sub: "did:key:x".to_owned(),
            resource: Some("https://a.example".to_owned()),
            refresh_token: RefreshToken::new("refresh-1"),
            session_id: Some("s1".to_owned()),
        },
        jkt: Some(key.public_key().thumbprint().to_string()),
        key: KeptKey::Session(KeyPem::of(&key).unwrap()),
    }
}

fn altered(alter: impl FnOnce(&mut Value)) -> Result<KeptSession, KeptError> {
    let mut json: Value = serde_json::from_str(&session().to_json().unwrap()).unwrap();
    alter(&mut json);
    KeptSession::from_json(&json.to_string())
}

#[test]
fn a_session_comes_back() {
    let kept = session();
    let read = KeptSession::from_json(&kept.to_json().unwrap()).unwrap();
    assert_eq!(read.to_json().unwrap(), kept.to_json().unwrap());
    assert!(read.continues_as(&kept));
    let (KeptKey::Session(pem), Some(jkt)) = (&read.key, &read.jkt) else { panic!("{read:?}") };
    let key = pem.signer().unwrap();
    assert!(read.is_signed_by(key.public_key()));
    assert_eq!(*jkt, key.public_key().thumbprint().to_string());
    let printed = format!("{read:?}");
    for secret in ["token-1", "refresh-1", "BEGIN"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn the_first_version_is_read() {
    for (signed_by, agents) in
        [(json!({"agent_key_file": "/a.pem"}), true), (json!({"key_file": "/a.pem"}), false)]
    {
        let text = json!({
            "version": 1, "issuer": "https://auth.example", "resource": null, "scope": "read",
            "sub": "did:key:x", "access_token": "token-1", "issued_at": 1, "expires_at": 300,
            "signed_by": signed_by,
        });
        let read = KeptSession::from_json(&text.to_string()).unwrap();
        assert!(read.token.refresh_token.is_none() && read.jkt.is_none());
        match (&read.key, agents) {
            (KeptKey::Agent(place), true) | (KeptKey::Elsewhere(place), false) => {
                assert_eq!(place, "/a.pem");
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_not_a_session_is_refused() {
    assert!(altered(|_| {}).is_ok());
    let alterations: [&dyn Fn(&mut Value); 8] = [
        &|json| json["access_token"] = json!("a b"),
        &|json| json["refresh_token"] = json!(""),
        &|json| json["session_id"] = json!("../x"),
        &|json| json["expires_at"] = json!(-1),
        &|json| json["signed_by"] = json!({"mind": "x"}),
        &|json| json["more"] = json!(1),
        &|json| json["label"] = json!("a".repeat(MAX_KEPT_BYTES)),
        &|json| *json = json!([]),
    ];
    for (number, alter) in alterations.iter().enumerate() {
        assert_eq!(altered(alter).unwrap_err(), KeptError::Broken, "{number}");
    }
    assert_eq!(altered(|json| json["version"] = json!(3)).unwrap_err(), KeptError::Newer);
    let whole = session().to_json().unwrap();
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        assert_eq!(KeptSession::from_json(&whole[..cut]).unwrap_err(), KeptError::Broken);
    }
}

#[test]
fn another_sign_in_does_not_continue_this_one() {
    let ours = session();
    let alterations: [&dyn Fn(&mut KeptSession); 4] = [
        &|other| other.issuer.push('2'),
        &|other| other.token.resource = None,
        &|other| other.token.sub.push('2'),
        &|other| other.jkt = Some("another".to_owned()),
    ];
    for alter in alterations {
        let mut other = ours.clone();
        alter(&mut other);
        assert!(!ours.continues_as(&other));
    }
    let mut renewed = ours.clone();
    renewed.token.access_token = AccessToken::new("token-2").unwrap();
    renewed.token.session_id = Some("s2".to_owned());
    assert!(ours.continues_as(&renewed));
}
