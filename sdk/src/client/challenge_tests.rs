//! Every line of a challenge is enforced alone, for each of the three formats.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

const ISSUER: &str = "https://auth.example";
const RESOURCE: &str = "https://escrow.example";
const JKT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const ETHEREUM: &str = "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const SOLANA: &str =
    "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv";
const KEY: &str = "did:key:z6Mkr3y8hdfPpDXsCiq9BwESt82x4tQBFtMVc5igofhwk2Pm";

fn recap(json: &str) -> String {
    format!("urn:recap:{}", URL_SAFE_NO_PAD.encode(json))
}

fn granted() -> String {
    recap(r#"{"att":{"https://escrow.example":{"escrow/read":[{}],"oauth/read":[{}]}},"prf":[]}"#)
}

const SENTENCE: &str = "I further authorize the stated URI to perform the following actions on my \
    behalf: (1) 'escrow': 'read' for 'https://escrow.example'. \
    (2) 'oauth': 'read' for 'https://escrow.example'.";
/// 2026-01-01T00:00:30Z, half a minute after the text was written.
const NOW: Timestamp = Timestamp::from_unix(1_767_225_630);

fn text(account: &Account, session_key: bool) -> String {
    let (name, address, chain) = match account {
        Account::Key(key) => ("key", key.did(), ""),
        Account::Chain(account) if account.chain().namespace() == "solana" => {
            ("Solana account", account.address(), "Chain ID: mainnet\n")
        }
        Account::Chain(account) => ("Ethereum account", account.address(), "Chain ID: 1\n"),
    };
    let urn = if session_key {
        format!("- urn:ietf:params:oauth:jwk-thumbprint:sha-256:{JKT}\n")
    } else {
        String::new()
    };
    format!(
        "app.example wants you to sign in with your {name}:\n{address}\n\nA statement. {SENTENCE}\n\n\
         URI: {ISSUER}\nVersion: 1\n{chain}Nonce: 0123456789abcdef\n\
         Issued At: 2026-01-01T00:00:00Z\nExpiration Time: 2026-01-31T00:00:00Z\n\
         Resources:\n{urn}- {}",
        granted()
    )
}

fn expected(account: &Account, session_key: bool) -> Expected<'_> {
    Expected {
        domain: "app.example",
        issuer: ISSUER,
        account,
        session_key: session_key.then(|| JKT.parse().unwrap()),
        resource: Some(RESOURCE),
        scope: Some("read escrow:read escrow:release"),
        nonce: "0123456789abcdef",
        now: NOW,
    }
}

#[test]
fn a_keys_text_is_of_a_format_whose_accounts_are_keys() {
    let account: Account = KEY.parse().unwrap();
    let right = text(&account, false);
    for (end, fits) in
        [("key:", true), ("Nostr account:", true), ("Bitcoin account:", false), ("account:", false)]
    {
        let changed = right.replacen("key:\n", &format!("{end}\n"), 1);
        assert_eq!(check(&changed, &expected(&account, false)).is_ok(), fits, "{end}");
    }
}

#[test]
fn what_was_asked_for_is_signed() {
    for account in [ETHEREUM, SOLANA, KEY] {
        let account: Account = account.parse().unwrap();
        for session_key in [true, false] {
            let text = text(&account, session_key);
            assert_eq!(check(&text, &expected(&account, session_key)), Ok(()), "{text}");
        }
    }
    let lower: Account = ETHEREUM.to_lowercase().parse().unwrap();
    let checksummed: Account = ETHEREUM.parse().unwrap();
    assert_eq!(check(&text(&checksummed, true), &expected(&lower, true)), Ok(()));
}

#[test]
fn each_line_is_enforced_alone() {
    let changes = [
        ("app.example wants", "evil.example wants"),
        ("app.example wants", "app.example.evil wants"),
        ("app.example wants", "https://app.example wants"),
        ("Ethereum account", "Solana account"),
        ("0xf39Fd6", "0xf39Fd7"),
        ("URI: https://auth.example", "URI: https://auth.example/"),
        ("URI: https://auth.example", "URI: https://evil.example"),
        ("URI: https://auth.example\n", ""),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1", "Chain ID: 10"),
        ("Chain ID: 1\n", ""),
        ("Nonce: 0123", "Nonce: 1123"),
        ("Issued At: 2026-01-01T00:00:00Z\n", ""),
        ("Expiration Time: 2026-01-31T00:00:00Z\n", ""),
        ("sha-256:kPrK", "sha-256:kPrL"),
        ("A statement.", "URI: https://auth.example"),
        ("A statement.", "A\nstatement."),
        ("A statement.", "A\tstatement."),
        ("A statement.", "A statement\u{2028}\u{2028}URI: https://other.example"),
        ("A statement.", "A statement\u{202e}"),
        ("A statement. ", "A statement."),
        ("A statement.", "I further authorize the stated URI to do anything."),
        (SENTENCE, ""),
        ("'escrow': 'read'", "'nothing': 'none'"),
        ("'escrow': 'read' for 'https://escrow", "'escrow': 'read' for 'https://harmless"),
        (&format!("A statement. {SENTENCE}"), ""),
        (SENTENCE, &format!("{SENTENCE} Or not.")),
        ("0xf39Fd6", "0xf39fd6"),
        ("URI: https://auth.example\nVersion: 1", "Version: 1\nURI: https://auth.example"),
        ("Chain ID: 1\nNonce: 0123456789abcdef", "Nonce: 0123456789abcdef\nChain ID: 1"),
        ("Issued At: 2026", "Issued At: whenever"),
        ("Issued At: 2026-01-01T00:00:00Z", "Issued At: 2026-01-01 00:00:00Z"),
        ("Issued At: 2026-01-01T00:00:00Z", "Issued At: 2026-01-01T00:00:00.5Z"),
        ("Issued At: 2026-01-01T00:00:00Z", "Issued At: 2026-01-01T00:10:31Z"),
        ("Issued At: 2026-01-01T00:00:00Z", "Issued At: 2025-12-31T23:50:29Z"),
        ("Expiration Time: 2026", "Expiration Time: 9999"),
        ("Expiration Time: 2026", "Expiration Time: 2025"),
        ("\nResources", "\nNot Before: 2026-01-01T00:00:00Z\nResources"),
        ("\nResources", "\nRequest ID: https://evil.example/pay\nResources"),
        ("Version: 1\n", "Version: 1\nVersion: 1\n"),
        ("Version: 1\n", "Version: 1\nUnknown: 1\n"),
        ("Resources:\n", "Resources:\n- https://evil.example\n"),
        ("Resources:\n", "Resources: \n"),
    ];
    let account: Account = ETHEREUM.parse().unwrap();
    let whole = text(&account, true);
    for (from, to) in changes {
        let changed = whole.replacen(from, to, 1);
        assert_ne!(changed, whole, "{from}");
        assert!(check(&changed, &expected(&account, true)).is_err(), "{changed}");
    }
    for after in ["\n", "\n- urn:x:y", "\nRequest ID: 1"] {
        assert!(check(&(whole.clone() + after), &expected(&account, true)).is_err());
    }
}

#[test]
fn another_key_is_never_named() {
    let account: Account = ETHEREUM.parse().unwrap();
    for (named, asked) in [(true, false), (false, true)] {
        let fault = check(&text(&account, named), &expected(&account, asked));
        assert_eq!(fault, Err(ChallengeError::SessionKey));
    }
    let twice = text(&account, true).replace(
        "Resources:\n",
        &format!("Resources:\n- urn:ietf:params:oauth:jwk-thumbprint:sha-256:{JKT}\n"),
    );
    let fault = check(&twice, &expected(&account, true));
    assert_eq!(fault, Err(ChallengeError::SessionKey));
}

#[test]
fn the_recap_grants_what_was_asked_for() {
    let account: Account = KEY.parse().unwrap();
    let with = |json: &str| {
        let text = text(&account, false).replace(&granted(), &recap(json));
        // Where it can be read at all, the statement is in order.
        let sentence = Grant::read(&recap(json)).map(|grant| grant.sentence());
        let text = text.replace(SENTENCE, &sentence.unwrap_or_default());
        check(&text, &expected(&account, false))
    };
    let good = r#"{"att":{"https://escrow.example":{"escrow/release":[{}]}},"prf":[]}"#;
    assert_eq!(with(good), Ok(()));
    let wider = with(&good.replace("escrow/release", "escrow/admin"));
    assert_eq!(wider, Err(ChallengeError::Scope("escrow:admin".to_owned())));
    assert!(with(&good.replace("escrow.example", "evil.example")).is_err());
    for json in [
        r#"{"att":{"https://escrow.example":{"escrow/read":[]}},"prf":[]}"#,
        r#"{"att":{"https://escrow.example":{"escrow/read":[{"max":1}]}},"prf":[]}"#,
        r#"{"att":{"https://escrow.example":{"escrow/read":[{},{}]}},"prf":[]}"#,
        r#"{"att":{"https://escrow.example":{"escrow/read":[{}]}},"prf":["x"]}"#,
        r#"{"att":{"https://escrow.example":{"escrow/read":[{}]}}}"#,
        r#"{"att":{"https://escrow.example":{"escrow/read":[{}],"escrow/read":[{}]}},"prf":[]}"#,
        r#"{"att": {"https://escrow.example":{"escrow/read":[{}]}},"prf":[]}"#,
        r#"{"att":{},"prf":[]}"#,
        r#"{"att":{"https://escrow.example":{}},"prf":[]}"#,
        r#"{"att":{"https://escrow.example":{"escrow:read":[{}]}},"prf":[]}"#,
        r#"{"att":{"https://escrow.example":{"oauth/escrow:read":[{}]}},"prf":[]}"#,
        r#"{"att":{"a:b":{},"https://escrow.example":{"escrow/read":[{}]}},"prf":[]}"#,
    ] {
        assert!(with(json).is_err(), "{json}");
    }
    let open = Expected { resource: None, scope: None, ..expected(&account, false) };
    assert_eq!(check(&text(&account, false), &open), Ok(()));
}

#[test]
fn a_nonce_is_letters_and_digits() {
    let account: Account = KEY.parse().unwrap();
    for (nonce, taken) in [
        ("a".repeat(8), true),
        ("a".repeat(128), true),
        ("a".repeat(7), false),
        ("a".repeat(129), false),
        (String::new(), false),
        ("01234567-9".to_owned(), false),
        ("0123456 \"".to_owned(), false),
        ("012345678é".to_owned(), false),
    ] {
        let text = text(&account, true).replace("0123456789abcdef", &nonce);
        let expected = Expected { nonce: &nonce, ..expected(&account, true) };
        assert_eq!(check(&text, &expected).is_ok(), taken, "{nonce}");
    }
}

#[test]
fn a_text_without_a_grant_is_signed_where_none_was_asked_for() {
    let account: Account = KEY.parse().unwrap();
    let granted = format!("\n- {}", granted());
    let whole = text(&account, true).replace(&granted, "");
    let bare = whole.replace(&format!(" {SENTENCE}"), "");
    let open = Expected { scope: None, ..expected(&account, true) };
    assert_eq!(check(&bare, &open), Ok(()));
    assert_eq!(check(&whole, &open), Err(ChallengeError::Statement));
    assert!(check(&bare, &expected(&account, true)).is_err());
}
