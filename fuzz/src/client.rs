//! The client's own look at a challenge before it signs: nothing passes that was not asked for.

use countersign::wallet::caip122::UnverifiedMessage;
use countersign::wallet::recap::Grant;
use countersign::wallet::registry;
use countersign_sdk::account::Account;
use countersign_sdk::client::challenge::{Expected, check};
use countersign_sdk::key::{Signer as _, Thumbprint};

use crate::material::{ISSUER, RESOURCE, now, signer};

/// The nonce that the issuer's answer named beside its text.
const NONCE: &str = "0123456789abcdef";
const ETHEREUM: &str = "eip155:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed";
const SOLANA: &str =
    "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:47D7BSQhiQWPdeJ2hGqkmVTKW8BfzyNVZRckfhNqFw1M";

/// Any text against what was asked for, for an account of each format, with a session key and
/// without; what the client would sign, the server's own parser reads as that and no more.
pub fn challenge(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let did = signer(0).public_key().to_did_key().expect("a did:key");
    let jkt = signer(2).public_key().thumbprint();
    for account in [ETHEREUM, SOLANA, &did] {
        let account: Account = account.parse().expect("an account");
        for session_key in [None, Some(jkt)] {
            let expected = Expected {
                domain: "app.example",
                issuer: ISSUER,
                account: &account,
                session_key,
                resource: Some(RESOURCE),
                scope: Some("escrow:read"),
                nonce: NONCE,
                now: now(),
            };
            if check(text, &expected).is_ok() {
                // Stricter in some places, the server refuses a few texts that a client would sign.
                let format = registry::by_text(text).expect("a known first line");
                if let Ok(message) = format.read(text) {
                    assert_eq!(format.accounts().account_of(&message), Ok(account.clone()));
                    check_message(&message, session_key);
                }
            }
        }
    }
}

fn check_message(message: &UnverifiedMessage<'_>, session_key: Option<Thumbprint>) {
    let fields = message.fields();
    assert_eq!((fields.scheme, fields.domain), (None, "app.example"));
    assert_eq!((fields.uri, fields.nonce), (Some(ISSUER), Some(NONCE)));
    let (last, before) = message.resources().split_last().expect("a grant");
    let named: Vec<_> = before.iter().map(|uri| Thumbprint::from_uri(uri)).collect();
    let wanted: Vec<_> = session_key.into_iter().map(|key| Some(Ok(key))).collect();
    assert_eq!(named, wanted, "another session key");
    if let Some(Ok(grant)) = Grant::from_uri(last) {
        assert_eq!(grant.resource(), RESOURCE);
        assert_eq!(grant.scopes().to_string(), "escrow:read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise every input would be refused, and nothing be compared.
    #[test]
    fn seeds_are_signed() {
        for (name, session_key) in [("siwe", false), ("siws", true), ("key", false)] {
            let path = format!("{}/seeds/client_challenge/{name}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            let did = signer(0).public_key().to_did_key().unwrap();
            let account = match name {
                "siwe" => ETHEREUM,
                "siws" => SOLANA,
                _ => &did,
            };
            let expected = Expected {
                domain: "app.example",
                issuer: ISSUER,
                account: &account.parse().unwrap(),
                session_key: session_key.then(|| signer(2).public_key().thumbprint()),
                resource: Some(RESOURCE),
                scope: Some("escrow:read"),
                nonce: NONCE,
                now: now(),
            };
            assert_eq!(check(&text, &expected), Ok(()), "{name}");
        }
    }
}
