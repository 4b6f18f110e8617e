//! No arrow points up, libraries stay in their places, and the documents keep up with the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use countersign::http::error::{Refused, wire};
use countersign::model::reason::Reason;

/// The floors of the server, from the ground up; a module may import from lower floors alone.
const SERVER_FLOORS: &[&[&str]] = &[
    &["model", "telemetry", "batch"],
    &["rpc"],
    &["wallet", "keyring"],
    &["limit", "store", "audit"],
    &["token"],
    &["service"],
    &["http", "vectors", "config", "control"],
    &["app"],
    &["cli"],
];

/// The floors of the SDK.
const SDK_FLOORS: &[&[&str]] = &[
    &["time", "entropy", "json"],
    &["key"],
    &["account", "chain"],
    &["proof"],
    &["client", "resource"],
];

/// Libraries that belong to some places only: the crate, and the paths that may name it.
const PLACES: &[(&str, &[&str])] = &[
    ("axum", &["src/http/", "src/app.rs", "sdk/src/resource/layer", "sdk/src/resource/metadata"]),
    ("dashmap", &["sdk/src/proof/replay.rs", "sdk/src/resource/used_proofs.rs"]),
    ("k256", &["sdk/src/key/"]),
    ("secp256k1", &["sdk/src/key/"]),
    ("ed25519_dalek", &["sdk/src/key/"]),
    ("jsonwebtoken", &["src/token/jws.rs"]),
    ("siwe", &["src/wallet/siwe.rs"]),
    ("toml", &["src/config/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    ("argon2", &["src/keyring/custody/sealed.rs"]),
    ("cryptoki", &["src/keyring/custody/pkcs11"]),
    ("governor", &["src/limit.rs"]),
    ("redb", &["src/store/embedded/"]),
    ("reqwest", &["src/rpc/node.rs", "sdk/src/client/", "sdk/src/resource/"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The words that follow `prefix` in `line`, such as the modules after `crate::`.
fn named_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).map(move |(at, _)| {
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn arrows_fall(folder: &str, floors: &[&[&str]]) -> Vec<String> {
    let floor_of = |module: &str| floors.iter().position(|floor| floor.contains(&module));
    let source = root().join(folder);
    let mut faults = Vec::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if first == "lib" || first == "main" {
            continue;
        }
        let Some(own) = floor_of(first) else {
            faults.push(format!("{folder}/{first} stands on no floor"));
            continue;
        };
        for line in fs::read_to_string(&file).unwrap().lines() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for target in named_after(line, "crate::").filter(|target| *target != first) {
                if floor_of(target).is_some_and(|floor| floor >= own) {
                    faults.push(format!("{}: `{}`", file.display(), line.trim()));
                }
            }
        }
    }
    faults
}

#[test]
fn no_arrow_points_up() {
    let mut faults = arrows_fall("src", SERVER_FLOORS);
    faults.extend(arrows_fall("sdk/src", SDK_FLOORS));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn libraries_stay_in_their_places() {
    let root = root();
    let mut faults = Vec::new();
    for file in ["src", "sdk/src"].into_iter().flat_map(|folder| rust_files(&root.join(folder))) {
        let inside = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().map(str::trim_start).filter(|line| line.starts_with("use ")) {
            let named = line["use ".len()..].split(':').next().unwrap().trim_end_matches(';');
            for (library, places) in PLACES.iter().filter(|(library, _)| *library == named) {
                if !places.iter().any(|place| inside.starts_with(place)) {
                    faults.push(format!("{inside}: {library} belongs to {places:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_stands_in_the_architecture_page() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let words: BTreeSet<&str> =
        page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let mut missing = Vec::new();
    for folder in ["src", "sdk/src"] {
        let source = root().join(folder);
        for file in rust_files(&source) {
            let inside = file.strip_prefix(&source).unwrap();
            // Modules and their direct parts; what lies deeper is told by the module's own `//!`.
            for part in inside.iter().take(2) {
                let name = part.to_str().unwrap().trim_end_matches(".rs");
                if !["mod", "lib", "main"].contains(&name)
                    && !name.ends_with("tests")
                    && !words.contains(name)
                {
                    missing.push(format!("{folder}: {name}"));
                }
            }
        }
    }
    missing.dedup();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md does not name {missing:?}");
}

#[test]
fn every_file_says_what_it_decides() {
    let root = root();
    for file in ["src", "sdk/src", "examples", "benches"]
        .into_iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
    {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not begin with //!", file.display());
        let lines = text.lines().count();
        assert!(lines <= 450, "{} has {lines} lines: what does it decide?", file.display());
    }
}

/// One generation of each crypto crate, with what `siwe` pins as the one exception.
#[test]
fn one_generation_of_cryptography() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let versions = |name: &str| -> Vec<&str> {
        let named = packages.iter().filter(|package| package["name"].as_str() == Some(name));
        named.map(|package| package["version"].as_str().unwrap()).collect()
    };
    for single in ["ed25519-dalek", "curve25519-dalek", "aws-lc-rs", "jsonwebtoken", "secp256k1"] {
        assert_eq!(versions(single).len(), 1, "{single}: {:?}", versions(single));
    }
    for banned in ["openssl", "native-tls", "rsa", "libsecp256k1", "serde_yaml"] {
        assert!(versions(banned).is_empty(), "{banned} is in the tree");
    }
    // `siwe` 0.6 is in the tree for parsing alone and brings k256 0.13 and sha3 0.10 with it.
    for (named, new) in [("k256", "0.14"), ("sha3", "0.12")] {
        let found = versions(named);
        assert!(found.len() == 2 && found.iter().any(|v| v.starts_with(new)), "{named}: {found:?}");
    }
}

/// The table of reasons in docs/API.md, as the code has it.
fn reasons_table() -> String {
    let mut table = String::from("| reason | status | error | meaning |\n|---|---|---|---|\n");
    for reason in Reason::ALL {
        let (status, error) = wire(*reason, Refused::Request);
        let (_, at_token) = wire(*reason, Refused::Grant);
        let (code, meaning) = (reason.code(), reason.meaning().trim());
        let (held, to_holder) = wire(*reason, Refused::Holder);
        let mut errors = format!("`{error}`");
        if at_token != error {
            errors += &format!("; at `/token` `{at_token}`");
        }
        if (held, to_holder) != (status, error) {
            errors += &format!("; with an access token {} `{to_holder}`", held.as_u16());
        }
        table += &format!("| `{code}` | {} | {errors} | {meaning} |\n", status.as_u16());
    }
    table
}

#[test]
fn every_reason_stands_in_the_api_page() {
    let page = fs::read_to_string(root().join("docs/API.md")).unwrap();
    let table = reasons_table();
    assert!(page.contains(&table), "docs/API.md lacks this table of reasons:\n\n{table}");
}

#[test]
fn every_event_and_recorded_reason_stands_in_the_audit_page() {
    use countersign::audit::event::EVENTS;
    use countersign::audit::refusals::is_decision;
    let page = fs::read_to_string(root().join("docs/AUDIT.md")).unwrap();
    let mut table = String::from("| event | |\n|---|---|\n");
    for (name, meaning) in EVENTS {
        table += &format!("| `{name}` | {} |\n", meaning.trim());
    }
    assert!(page.contains(&table), "docs/AUDIT.md lacks this table of events:\n\n{table}");
    let recorded = Reason::ALL.iter().filter(|reason| is_decision(**reason));
    let codes: Vec<_> = recorded.map(|reason| format!("`{}`", reason.code())).collect();
    let list = format!("\n{}.\n", codes.join(", "));
    assert!(page.contains(&list), "docs/AUDIT.md lacks these reasons:\n{list}");
}
