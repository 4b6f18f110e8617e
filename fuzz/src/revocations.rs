//! Payloads of the revocation feed, as a resource server reads them.

use countersign_sdk::resource::{FeedAnswer, MAX_FEED_BYTES, RevocationEntry};
use countersign_sdk::time::Timestamp;
use serde_json::Value;

use crate::cut::Cut;
use crate::material::independently;

/// What goes before and behind the entries where the first byte says that only they are given.
const FRAME: [&[u8]; 2] = [
    br#"{"iss":"https://auth.example","iat":1800000000,"cursor":"c1","more":false,"entries":["#,
    b"]}",
];

/// A payload, or after an odd first byte the entries of one.
pub fn feed(data: &[u8]) {
    let mut cut = Cut(data);
    let payload = match cut.byte() & 1 {
        1 => [FRAME[0], cut.0, FRAME[1]].concat(),
        _ => cut.0.to_vec(),
    };
    let Ok(answer) = FeedAnswer::from_payload(&payload) else {
        return;
    };
    assert!(payload.len() <= MAX_FEED_BYTES);
    let Some(read) = independently(&payload) else {
        return;
    };
    assert!(read.is_object(), "a payload is a JSON object");
    assert_eq!(read["iss"].as_str(), Some(answer.issuer()));
    assert_eq!(read["iat"].as_u64(), Some(answer.issued_at().as_unix()));
    assert_eq!(read["cursor"].as_str(), Some(answer.cursor()));
    assert_eq!(read["more"].as_bool(), Some(answer.has_more()));
    let listed = read["entries"].as_array().expect("entries are a list");
    assert_eq!(listed.len(), answer.entries().len(), "no entry is passed over");
    for (entry, listed) in answer.entries().iter().zip(listed) {
        agree(entry, listed, answer.issued_at());
    }
}

/// The farthest ahead of the answer that a moment is believed, in seconds (protocol.md §7).
const FARTHEST_AHEAD: u64 = 121;

/// An entry revokes what its members say, by no moment that lies far ahead of the answer, and says when it
/// may be forgotten.
fn agree(entry: &RevocationEntry, listed: &Value, told_at: Timestamp) {
    let members = listed.as_object().expect("an entry is a JSON object");
    let seconds = |name: &str| members[name].as_u64().map(Timestamp::from_unix).expect("seconds");
    let moment = || seconds("not_before").min(told_at.plus(FARTHEST_AHEAD));
    let names = ["jti", "sid", "jkt", "sub"];
    let named = names.into_iter().filter(|name| members.contains_key(*name));
    let named: Vec<&str> = named.collect();
    let (name, value, not_before, until) = match entry {
        RevocationEntry::Token { jti, until } => ("jti", jti.clone(), None, until),
        RevocationEntry::Session { sid, until } => ("sid", sid.clone(), None, until),
        RevocationEntry::Key { jkt, not_before, until } => {
            ("jkt", jkt.to_string(), Some(not_before), until)
        }
        RevocationEntry::Subject { sub, not_before, until } => {
            ("sub", sub.clone(), Some(not_before), until)
        }
        RevocationEntry::Everything { not_before, until } => {
            assert_eq!(members.len(), 2, "what names anything is not everything");
            assert_eq!((moment(), seconds("until")), (*not_before, *until));
            return;
        }
    };
    assert_eq!(named, [name], "one thing is named");
    assert_eq!(listed[name], value);
    assert!(!value.is_empty());
    assert_eq!(seconds("until"), *until);
    if let Some(not_before) = not_before {
        assert_eq!(moment(), *not_before);
    }
}
