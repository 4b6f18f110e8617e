//! Every kind of fault, each alone and all together, word for word.

use super::*;

/// `LEAST` with one more line at its top gives exactly this fault, and no other.
#[test]
fn each_misspelt_key_and_wrong_number_is_told_with_its_place() {
    for (line, fault) in [
        ("isuer = 1", "FILE:1: isuer: is not a known key; did you mean `issuer`?"),
        ("secret = \"hush\"", "FILE:1: secret: is not a known key"),
        (
            "challenge_lifetime = 9",
            "FILE:1: challenge_lifetime: is not a known key; did you mean `challenge.lifetime`?",
        ),
        (
            "challenge.lifetme = 60",
            "FILE:1: challenge.lifetme: is not a known key; did you mean `challenge.lifetime`?",
        ),
        ("challenge = 60", "FILE:1: challenge = 60: must be a table, written [challenge]"),
        (
            "challenge.lifetime = 5",
            "FILE:1: challenge.lifetime = 5: must be at least 30 seconds (accepted: a whole number of seconds, 30 to 900)",
        ),
        (
            "challenge.lifetime = 0x1000",
            "FILE:1: challenge.lifetime = 4096: must be at most 900 seconds (accepted: a whole number of seconds, 30 to 900)",
        ),
        (
            "challenge.lifetime = \"5m\"",
            "FILE:1: challenge.lifetime = \"5m\": must be a whole number, without quotes (accepted: a whole number of seconds, 30 to 900)",
        ),
        (
            "challenge.lifetime = 60.5",
            "FILE:1: challenge.lifetime = (a number with a fraction): must be a whole number (accepted: a whole number of seconds, 30 to 900)",
        ),
        (
            "limits.burst = -1",
            "FILE:1: limits.burst = -1: must be at least 1 requests (accepted: a whole number of requests, 1 to 100000)",
        ),
        (
            "limits.requests_per_minute = \"none\"",
            "FILE:1: limits.requests_per_minute = \"none\": must be a whole number without quotes, or \"off\" (accepted: a whole number of requests, 1 to 1000000, or \"off\")",
        ),
        (
            "dpop.require_nonce = \"true\"",
            "FILE:1: dpop.require_nonce = \"true\": must be true or false, without quotes (accepted: true or false)",
        ),
    ] {
        let faults = loaded(&format!("{line}\n{LEAST}"), &[], Flags::default()).unwrap_err();
        assert_eq!(faults, [fault], "{line}");
    }
}

#[test]
fn each_wrong_word_and_contradiction_is_told_with_its_place() {
    for (line, fault) in [
        (
            "signing.algorithm = \"RS256\"",
            "FILE:1: signing.algorithm = \"RS256\": is not one of the choices (accepted: \"EdDSA\" or \"ES256\")",
        ),
        (
            "listen = 8700",
            "FILE:1: listen = 8700: must be a string, in quotes (accepted: an IP address and a port, such as 127.0.0.1:8700 or [::1]:8700)",
        ),
        (
            "listen = \"\"",
            "FILE:1: listen = \"\": must not be empty (accepted: an IP address and a port, such as 127.0.0.1:8700 or [::1]:8700)",
        ),
        (
            "domains = \"app.example\"",
            "FILE:1: domains = \"app.example\": must be a list, in square brackets (accepted: a list, each a host without scheme or path, such as app.example or localhost:5173)",
        ),
        (
            "domains = [\"app.example\", \"App.example\"]",
            "FILE:1: domains[1] = \"App.example\": is listed already, as domains[0]",
        ),
        (
            "domains = [\n\"app.example\",\n\"https://b.example\"]",
            "FILE:3: domains[1] = \"https://b.example\": must not have a scheme: write b.example (accepted: a host without scheme or path, such as app.example or localhost:5173)",
        ),
        (
            "chains = []",
            "FILE:1: chains = []: accepts no chain at all: leave it out to accept every one (accepted: a list, each a CAIP-2 chain such as eip155:1 or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp)",
        ),
        (
            "session.lifetime = 300\nchallenge.lifetime = 600",
            "FILE:1: session.lifetime = 300: must not be shorter than challenge.lifetime, 600 seconds",
        ),
        (
            "operations_listen = \"127.0.0.1:8700\"",
            "FILE:1: operations_listen = \"127.0.0.1:8700\": meets the public listener, 127.0.0.1:8700",
        ),
        (
            "listen = \"0.0.0.0:8701\"",
            "FILE:1: listen = \"0.0.0.0:8701\": meets operations_listen, which is 127.0.0.1:8701 unless set",
        ),
    ] {
        let faults = loaded(&format!("{line}\n{LEAST}"), &[], Flags::default()).unwrap_err();
        assert_eq!(faults, [fault], "{line}");
    }
}

/// `LEAST` with one more line at its end, inside the resource.
#[test]
fn each_fault_of_a_resource_is_told_with_its_place() {
    for (line, fault) in [
        ("scope = []", "FILE:5: resources[0].scope: is not a known key; did you mean `scopes`?"),
        (
            "token_ttl = 1200",
            "FILE:5: resources[0].token_ttl = 1200: must be at most 900 seconds (accepted: a whole number of seconds, 30 to 900)",
        ),
        (
            "binding = \"none\"",
            "FILE:5: resources[0].binding = \"none\": is not one of the choices (accepted: \"required\" or \"optional\")",
        ),
        (
            "default_scopes = [\"write\"]",
            "FILE:5: resources[0].default_scopes[0] = \"write\": is not one of this resource's scopes (accepted: read, escrow:release)",
        ),
        (
            "allow = []",
            "FILE:5: resources[0].allow = []: would let nobody in: leave it out to let everyone in (accepted: a list, each a CAIP-10 account such as eip155:1:0x… or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:…, or a did:key:z…)",
        ),
        (
            "allow = [\"eip155:1:0x00000000219ab540356cBB839Cbe05303d7705Fa\"]\ndeny = [\"eip155:1:0x00000000219ab540356cbb839cbe05303d7705fa\"]",
            "FILE:6: resources[0].deny[0] = \"eip155:1:0x00000000219ab540356cbb839cbe05303d7705fa\": is allowed as well, as resources[0].allow[0]",
        ),
        (
            "[[resources]]\nuri = \"https://escrow.example/\"\nscopes = [\"read\"]",
            "FILE:6: resources[1].uri = \"https://escrow.example/\": is the uri of resources[0] already (a closing slash makes no difference here)",
        ),
        (
            "[[resources]]\nscopes = [\"read\"]",
            "FILE:5: resources[1].uri: is required (accepted: an https URL (http for loopback) without fragment, such as https://escrow.example)",
        ),
    ] {
        let faults = loaded(&format!("{LEAST}{line}\n"), &[], Flags::default()).unwrap_err();
        assert_eq!(faults, [fault], "{line}");
    }
}

#[test]
fn a_format_that_is_not_registered_is_told_with_those_that_are() {
    let line = "formats = [\"siwe\", \"jwt\"]\n";
    let faults = loaded(&format!("{LEAST}{line}"), &[], Flags::default()).unwrap_err();
    let known: Vec<_> = crate::wallet::registry::FORMATS.iter().map(|it| it.name()).collect();
    let expected =
        "FILE:5: resources[0].formats[1] = \"jwt\": is not a registered format (accepted: one of ";
    assert_eq!(faults, [format!("{expected}{})", known.join(", "))]);
}

#[test]
fn what_is_required_is_missed_and_tables_are_told_from_lists() {
    let issuer = "FILE: issuer: is required (accepted: an https URL (http for loopback) without query, fragment or closing slash, such as https://auth.example)";
    let resources = "FILE: resources: at least one is required (accepted: a [[resources]] table with uri and scopes for each API)";
    assert_eq!(loaded("", &[], Flags::default()).unwrap_err(), [resources, issuer]);

    let single = loaded("[resources]\nuri = \"https://a.example\"\n", &[], Flags::default());
    let form =
        "FILE:1: resources = (a table): must be a list of tables, each written [[resources]]";
    assert!(single.unwrap_err().contains(&form.to_owned()));
}

#[test]
fn every_fault_is_listed_in_the_order_of_the_file() {
    let text = "\
issuer = \"http://auth.example\"
colour = \"red\"
[challenge]
lifetime = \"soon\"
[[resources]]
uri = \"https://escrow.example#top\"
scopes = []
token_ttl = 1
";
    let variables = [("COUNTERSIGN_LISTEN", "nowhere"), ("COUNTERSIGN_ISUER", "x")];
    let flags = Flags { log_level: Some("loud".to_owned()), ..Flags::default() };
    let faults = loaded(text, &variables, flags).unwrap_err();
    let beginnings = [
        "FILE:1: issuer = \"http://auth.example\": must be https",
        "FILE:2: colour: is not a known key",
        "FILE:4: challenge.lifetime = \"soon\"",
        "FILE:6: resources[0].uri = \"https://escrow.example#top\"",
        "FILE:7: resources[0].scopes = []",
        "FILE:8: resources[0].token_ttl = 1: must be at least 30 seconds",
        "COUNTERSIGN_ISUER: sets no known key; did you mean COUNTERSIGN_ISSUER?",
        "COUNTERSIGN_LISTEN: listen = \"nowhere\": is not an IP address with a port",
        "--log-level: log.level = \"loud\": names no level in \"loud\"",
    ];
    assert_eq!(faults.len(), beginnings.len(), "{faults:#?}");
    for (fault, beginning) in faults.iter().zip(beginnings) {
        assert!(fault.starts_with(beginning), "{fault}");
    }
}

#[test]
fn a_file_that_cannot_be_read_as_toml_is_one_fault() {
    let faults = loaded("issuer = \"https://a\n[x", &[], Flags::default()).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("FILE:1:"), "{faults:?}");
    assert!(faults[0].contains(": is not TOML: "), "{faults:?}");

    let twice = loaded("listen = \"a\"\nlisten = \"b\"\n", &[], Flags::default()).unwrap_err();
    assert!(twice.len() == 1 && twice[0].starts_with("FILE:2:1: is not TOML: dup"), "{twice:?}");

    let flags = Flags { config: Some(PathBuf::from("/nonexistent/c.toml")), ..Flags::default() };
    let missing = load(&flags, &[]).unwrap_err().to_string();
    assert!(
        missing.contains("--config: the configuration file /nonexistent/c.toml cannot be read")
    );
}

#[test]
fn what_is_written_strangely_is_shown_safely() {
    let long = "x".repeat(5000);
    let text = format!("listen = \"{long}\"\n\"a\\nb\\u001b[31m\" = 1\n{LEAST}");
    let faults = loaded(&text, &[], Flags::default()).unwrap_err();
    assert!(faults[0].len() < 300, "{}", faults[0].len());
    assert!(faults[1].starts_with("FILE:2: a\\nb\\u{1b}[31m: is not a known key"), "{}", faults[1]);
}
