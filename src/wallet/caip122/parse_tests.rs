//! The one spelling of a text, and everything near it.

use super::super::profile::{KEY, SIWE, SIWS};
use super::*;

const ETHEREUM: &str = "app.example wants you to sign in with your Ethereum account:\n\
    0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed\n\nSign in.\n\nURI: https://app.example/login\n\
    Version: 1\nChain ID: 1\nNonce: T4USqnCFk4Ct5Jsl2\nIssued At: 2025-06-01T12:00:00.000Z\n\
    Expiration Time: 2025-06-01T12:10:00Z\nNot Before: 2025-06-01T12:00:00Z\n\
    Request ID: req-1\nResources:\n- https://a.example/\n- urn:x:y";

#[test]
fn reads_every_field_and_the_text_around_the_nonce() {
    let message = parse(&SIWE, ETHEREUM).unwrap();
    let fields = message.fields();
    assert_eq!(fields.domain, "app.example");
    assert_eq!(fields.statement, Some("Sign in."));
    assert_eq!(fields.request_id, Some("req-1"));
    assert_eq!(message.resources(), ["https://a.example/", "urn:x:y"]);
    let (before, after) = message.around_nonce().unwrap();
    assert!(before.ends_with("Nonce: ") && after.starts_with("\nIssued At"));
    assert_eq!(format!("{before}T4USqnCFk4Ct5Jsl2{after}"), ETHEREUM);
}

#[test]
fn a_siwe_text_has_one_spelling() {
    let with = |from: &str, to: &str| ETHEREUM.replace(from, to);
    for text in [
        String::new(),
        format!("{ETHEREUM}\n"),
        format!(" {ETHEREUM}"),
        ETHEREUM.replace('\n', "\r\n"),
        with("\n\nSign in.\n\n", "\n\n"),
        with("\n\nSign in.\n\n", "\n\n\n\n"),
        with("Sign in.", "Sign\nin."),
        with("Sign in.", "Sign \"in\"."),
        with("Version: 1", "Version:1"),
        with("Version: 1\n", "Version: 1\nVersion: 1\n"),
        with("Version: 1\nChain ID: 1\n", "Chain ID: 1\nVersion: 1\n"),
        with("Nonce: T4USqnCFk4Ct5Jsl2", "Nonce: T4USqnC"),
        with("Nonce: T4USqnCFk4Ct5Jsl2", "Nonce: T4USqnCFk4_t5Jsl2"),
        with("- urn:x:y", "- ***"),
        with("- urn:x:y", "-urn:x:y"),
        with("Request ID: req-1", "Request ID: req 1"),
        with("Ethereum", "ethereum"),
    ] {
        assert!(parse(&SIWE, &text).is_err(), "{text}");
    }
    for field in SIWE.required {
        let text: Vec<_> = ETHEREUM.split('\n').filter(|l| !l.starts_with(field.tag())).collect();
        assert!(parse(&SIWE, &text.join("\n")).is_err(), "{field:?}");
    }
    let error = parse(&SIWE, &with("Version: 1", "Version: 2")).unwrap_err();
    assert_eq!((error.fault, error.line, error.column), (Fault::Version, 7, 10));
    let large = parse(&SIWE, &"a".repeat(MAX_MESSAGE + 1)).unwrap_err();
    assert_eq!(large.fault, Fault::TooLarge);
}

#[test]
fn without_statement_ethereum_leaves_two_lines_and_solana_one() {
    let ethereum = ETHEREUM.replace("\n\nSign in.\n\n", "\n\n\n");
    assert_eq!(parse(&SIWE, &ethereum).unwrap().fields().statement, None);
    let solana = "solana.com wants you to sign in with your Solana account:\nA";
    for (rest, statement, uri) in [
        ("", None, None),
        ("\n\nS", Some("S"), None),
        ("\n\nS\n\nS", Some("S\n\nS"), None),
        ("\n\nS\nT", Some("S\nT"), None),
        ("\n\nURI: https://a.b", None, Some("https://a.b")),
        ("\n\nS\n\nURI: https://a.b", Some("S"), Some("https://a.b")),
        ("\n\nS\n\nS\n\nURI: https://a.b", Some("S\n\nS"), Some("https://a.b")),
    ] {
        let text = format!("{solana}{rest}");
        let message = parse(&SIWS, &text).unwrap();
        assert_eq!((message.fields().statement, message.fields().uri), (statement, uri));
    }
    for rest in [
        "\n",
        "\n\n",
        "\nS",
        "\n\n\nURI: https://a.b",
        "\n\nS\n",
        "\n\nS\n\n\nS",
        "\n\nS\nURI: https://a.b",
        "\n\nURI: https://a.b\n",
        "\n\nURI: https://a.b\n\nNonce: 1",
        "\n\nNonce: 1\nURI: https://a.b\n\nURI: https://c.d",
    ] {
        assert!(parse(&SIWS, &format!("{solana}{rest}")).is_err(), "{rest:?}");
    }
}

#[test]
fn a_key_text_names_no_chain() {
    let text = ETHEREUM
        .replace("Ethereum account", "key")
        .replace("0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed", "did:key:z6Mk")
        .replace("Chain ID: 1\n", "");
    assert_eq!(parse(&KEY, &text).unwrap().fields().address, "did:key:z6Mk");
    let chained = text.replace("Version: 1\n", "Version: 1\nChain ID: 1\n");
    assert!(parse(&KEY, &chained).is_err());
}

#[test]
fn a_scheme_stands_before_an_ethereum_domain_alone() {
    let with_scheme = |text: &str| format!("https://{text}");
    assert!(parse(&SIWE, &with_scheme(ETHEREUM)).is_ok());
    let solana =
        "a.example wants you to sign in with your Solana account:\nA\n\nURI: https://a.example";
    assert!(parse(&SIWS, solana).is_ok());
    assert!(parse(&SIWS, &with_scheme(solana)).is_err());
}

#[test]
fn a_statement_hides_nothing() {
    let with = |c: char| {
        format!("a.example wants you to sign in with your Solana account:\nA\n\nSign{c}in.")
    };
    for shown in ['é', '漢', 'ש', '❤', '\u{fe0f}'] {
        assert!(parse(&SIWS, &with(shown)).is_ok(), "{shown:?}");
    }
    for hidden in ['\u{200b}', '\u{feff}', '\u{a0}', '\u{202e}', '\u{3164}', '\u{e0041}', '\u{ad}']
    {
        assert!(parse(&SIWS, &with(hidden)).is_err(), "{hidden:?}");
    }
}
