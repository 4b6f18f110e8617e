//! Whole configurations, good and bad, through the one door that the server uses.

use std::io::Write;
use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::*;
use crate::keyring::custody::secret::SecretSource;
use crate::model::operator::Care;

mod faults;
mod operators;
mod rpc;

/// The least that a configured server needs.
const LEAST: &str = "\
issuer = \"https://auth.example\"
[[resources]]
uri = \"https://escrow.example\"
scopes = [\"read\", \"escrow:release\"]
";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn pairs(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads `text` as a file; the faults come back as lines in which the file is called `FILE`.
fn loaded(text: &str, variables: &[(&str, &str)], flags: Flags) -> Result<Settings, Vec<String>> {
    let file = file(text);
    let path = file.path().display().to_string();
    let data_dir = flags.data_dir.or_else(|| Some("data".to_owned()));
    let flags = Flags { config: Some(file.path().to_owned()), data_dir, ..flags };
    let mut environment = pairs(variables);
    if !text.contains("keys.") && !variables.iter().any(|(name, _)| name.contains("_KEYS__")) {
        environment.push(("COUNTERSIGN_KEYS__KEY_FILE".to_owned(), "/k".to_owned()));
    }
    load(&flags, &environment).map_err(|faults| {
        faults.0.iter().map(|fault| fault.to_string().replace(&path, "FILE")).collect()
    })
}

fn development(variables: &[(&str, &str)], flags: &Flags) -> Result<Settings, Vec<String>> {
    load(flags, &pairs(variables))
        .map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
}

fn listening(address: &str) -> Flags {
    Flags { listen: Some(address.to_owned()), ..Flags::default() }
}

#[test]
fn the_least_configuration_takes_the_defaults_of_the_page() {
    let settings = loaded(LEAST, &[], Flags::default()).unwrap();
    let rules = ResourceRules {
        scopes: ScopeRule::Listed(vec!["read".to_owned(), "escrow:release".to_owned()]),
        default_scopes: Vec::new(),
        token_ttl: 300,
        binding: Binding::Required,
        bearer_sessions: false,
        formats: None,
        allow: Vec::new(),
        allow_on_chain: Vec::new(),
        deny: Vec::new(),
        contract_accounts: true,
        introspection_keys: Vec::new(),
        introspection_secret: None,
    };
    let expected = Settings {
        mode: Mode::Configured,
        issuer: Issuer { url: "https://auth.example".to_owned(), host: "auth.example".to_owned() },
        listen: "127.0.0.1:8700".parse().unwrap(),
        operations_listen: Some("127.0.0.1:8701".parse().unwrap()),
        operations_url: None,
        operators: Vec::new(),
        care: Care { approvals: 1, approval_window: 600, step_up: 300 },
        domains: DomainPolicy::Listed(vec!["auth.example".to_owned()]),
        resources: ResourcePolicy::Listed(vec![Resource {
            uri: "https://escrow.example".to_owned(),
            rules,
        }]),
        chains: None,
        challenge_lifetime: 300,
        session_lifetime: 2_592_000,
        contract_session_lifetime: 3600,
        rpc: Vec::new(),
        stellar_signing_key_file: None,
        signing_algorithm: SigningAlgorithm::EdDsa,
        keys: KeySettings {
            custody: CustodySettings::Sealed(SecretSource::KeyFile(PathBuf::from("/k"))),
            rotate_every: 2_592_000,
            publish_before: 900,
        },
        dpop: DpopSettings { require_nonce: false, max_age: 60, max_future_skew: 5 },
        audit: AuditSettings {
            on_failure: crate::audit::OnFailure::Refuse,
            retention: crate::audit::retention::Retention::default(),
            stream: None,
            checkpoint_records: 1000,
            checkpoint_seconds: 60,
        },
        store: StoreSettings::Embedded { directory: PathBuf::from("data") },
        limits: Limits {
            max_body_bytes: 49_152,
            requests_per_minute: Some(600),
            burst: 60,
            max_connections: 10_000,
            connections_per_address: 1000,
            header_timeout: 10,
            body_timeout: 10,
            spent_nonces: 10_000_000,
            proofs: 10_000_000,
            answers: 100_000,
            sessions: 10_000_000,
            sessions_per_subject: 100,
            revocations: 800_000,
            feed_waiters: 1000,
            shutdown_grace: 20,
            trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        },
        log: LogSettings { format: LogFormat::Text, level: "info".to_owned() },
    };
    assert_eq!(settings, expected);
}

#[test]
fn a_store_that_forgets_is_chosen_in_so_many_words() {
    let load_with = |line: &str, flags: Flags| {
        let custody = if line.contains("memory") { "" } else { "keys.custody = \"memory\"" };
        let file = file(&format!("{line}\n{custody}\n{LEAST}"));
        let path = file.path().display().to_string();
        let flags = Flags { config: Some(file.path().to_owned()), ..flags };
        load(&flags, &[])
            .map(|settings| settings.store)
            .map_err(|faults| faults.to_string().replace(&path, "FILE"))
    };
    let none = load_with("", Flags::default()).unwrap_err();
    for part in
        ["FILE: store.directory: is required", "engine = \"memory\"", "/var/lib/countersign"]
    {
        assert!(none.contains(part), "{none}");
    }
    let memory = load_with("store.engine = \"memory\"", Flags::default());
    assert_eq!(memory, Ok(StoreSettings::Memory));
    let kept = |directory: &str| Ok(StoreSettings::Embedded { directory: directory.into() });
    let in_file = "store.directory = \"/a\"";
    assert_eq!(load_with(in_file, Flags::default()), kept("/a"));
    let by_flag = || Flags { data_dir: Some("/b".to_owned()), ..Flags::default() };
    assert_eq!(load_with(in_file, by_flag()), kept("/b"));
    let both = load_with("store.engine = \"memory\"", by_flag()).unwrap_err();
    assert!(both.contains("is of no use to the engine"), "{both}");
    let empty = load_with("store.directory = \"\"", Flags::default()).unwrap_err();
    assert!(empty.contains("must not be empty") && !empty.contains("is required"), "{empty}");
}

#[test]
fn keys_that_end_with_the_process_are_chosen_in_so_many_words() {
    let custody = |lines: &str, variables: &[(&str, &str)]| {
        loaded(&format!("{lines}\nkeys.rotate_every = 30\n{LEAST}"), variables, Flags::default())
            .map(|settings| settings.keys.custody)
            .map_err(|faults| faults.join("\n"))
    };
    let refused = |lines: &str, part: &str| {
        let faults = custody(lines, &[]).unwrap_err();
        assert!(faults.contains(part), "{lines}: {faults}");
    };
    let none = custody("", &[]).unwrap_err();
    for part in [
        "keys.key_file: is required",
        "generate-secret",
        "passphrase_file",
        "credential",
        "custody = \"memory\"",
    ] {
        assert!(none.contains(part), "{none}");
    }
    assert_eq!(custody("keys.custody = \"memory\"", &[]), Ok(CustodySettings::Memory));
    let passphrase = SecretSource::PassphraseFile("/p".into());
    let sealed = Ok(CustodySettings::Sealed(passphrase));
    assert_eq!(custody("keys.passphrase_file = \"/p\"", &[]), sealed);
    refused("keys.passphrase_file = \"/p\"\nkeys.key_file = \"/k\"", "is one of several secrets");
    refused(
        "keys.custody = \"memory\"\nkeys.key_file = \"/k\"",
        "is of no use to the custody \"memory\"",
    );
    refused(
        "keys.key_file = \"/k\"\nkeys.pkcs11_token = \"t\"",
        "is of no use to the custody \"sealed\"",
    );
    refused(
        "keys.custody = \"pkcs11\"\nkeys.pkcs11_token = \"t\"",
        "keys.pkcs11_module: is required",
    );
    refused("keys.publish_before = 600", "must be at least 660 seconds");
    refused("keys.credential = \"sealing\"", "$CREDENTIALS_DIRECTORY is not set");
    refused("keys.credential = \"../x\"", "is not the name of a credential");
    let folder = [("CREDENTIALS_DIRECTORY", "/run/credentials/x")];
    let credential = SecretSource::Credential("/run/credentials/x/sealing".into());
    let found = custody("keys.credential = \"sealing\"", &folder);
    assert_eq!(found, Ok(CustodySettings::Sealed(credential)));
    let module = "keys.custody = \"pkcs11\"\nkeys.pkcs11_module = \"/m.so\"\nkeys.pkcs11_token = \"t\"\n\
                  keys.pkcs11_pin_file = \"/pin\"";
    assert_eq!(
        custody(module, &[]),
        Ok(CustodySettings::Pkcs11 {
            module: "/m.so".into(),
            token: "t".to_owned(),
            pin_file: "/pin".into()
        })
    );
}

#[test]
fn a_store_that_forgets_needs_no_word_about_keys() {
    let file = file(&format!("store.engine = \"memory\"\n{LEAST}"));
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    assert_eq!(load(&flags, &[]).unwrap().keys.custody, CustodySettings::Memory);
    let variables = pairs(&[("COUNTERSIGN_KEYS__CUSTODY", "sealed")]);
    let faults = load(&flags, &variables).unwrap_err().to_string();
    assert!(faults.contains("needs the store"), "{faults}");
}

#[test]
fn development_forgets_unless_it_is_given_a_folder() {
    assert_eq!(development(&[], &Flags::default()).unwrap().store, StoreSettings::Memory);
    let kept = StoreSettings::Embedded { directory: PathBuf::from("data") };
    let flags = Flags { data_dir: Some("data".to_owned()), ..Flags::default() };
    assert_eq!(development(&[], &flags).unwrap().store, kept);
    let variable = [("COUNTERSIGN_STORE__DIRECTORY", "data")];
    assert_eq!(development(&variable, &Flags::default()).unwrap().store, kept);
}

#[test]
fn the_example_is_accepted_as_it_stands() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/countersign.toml");
    let flags = Flags { config: Some(PathBuf::from(path)), ..Flags::default() };
    let settings = load(&flags, &[]).unwrap_or_else(|faults| panic!("{faults}"));
    let ResourcePolicy::Listed(resources) = settings.resources else { panic!("no resources") };
    assert_eq!(resources.len(), 2);
    assert_eq!(resources[1].rules.allow.len(), 2);
    let domains = ["auth.example", "app.example", "shop.example:8443"].map(str::to_owned);
    assert_eq!(settings.domains, DomainPolicy::Listed(domains.to_vec()));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let text = format!("listen = \"127.0.0.1:1001\"\nlog.level = \"warn\"\n{LEAST}");
    let variables = [("COUNTERSIGN_LISTEN", "127.0.0.1:1002"), ("COUNTERSIGN_LOG__LEVEL", "debug")];
    let port = |variables: &[(&str, &str)], flags| {
        let settings = loaded(&text, variables, flags).unwrap();
        (settings.listen.port(), settings.log.level)
    };
    assert_eq!(port(&[], Flags::default()), (1001, "warn".to_owned()));
    assert_eq!(port(&variables, Flags::default()), (1002, "debug".to_owned()));
    assert_eq!(port(&variables, listening("127.0.0.1:1003")), (1003, "debug".to_owned()));
}

#[test]
fn the_environment_sets_every_type() {
    let variables = [
        ("COUNTERSIGN_DOMAINS", "app.example, shop.example"),
        ("COUNTERSIGN_DPOP__REQUIRE_NONCE", "true"),
        ("COUNTERSIGN_LIMITS__REQUESTS_PER_MINUTE", "off"),
        ("COUNTERSIGN_LIMITS__TRUSTED_PROXIES", ""),
        ("COUNTERSIGN_SIGNING__ALGORITHM", "ES256"),
        ("COUNTERSIGN_OPERATIONS_LISTEN", "off"),
        ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
        ("HOME", "/root"),
    ];
    let settings = loaded(LEAST, &variables, Flags::default()).unwrap();
    let domains = ["auth.example", "app.example", "shop.example"].map(str::to_owned);
    assert_eq!(settings.domains, DomainPolicy::Listed(domains.to_vec()));
    assert!(settings.dpop.require_nonce);
    assert_eq!(settings.limits.requests_per_minute, None);
    assert_eq!(settings.signing_algorithm, SigningAlgorithm::Es256);
    assert_eq!(settings.operations_listen, None);

    let faults = loaded(LEAST, &[("COUNTERSIGN_RESOURCES__URI", "secret")], Flags::default());
    assert_eq!(
        faults.unwrap_err(),
        [
            "COUNTERSIGN_RESOURCES__URI: sets no key: resources are written in the configuration file"
        ]
    );
}

#[test]
fn the_environment_can_name_the_file() {
    let file = file(&format!("store.engine = \"memory\"\n{LEAST}"));
    let variables = pairs(&[("COUNTERSIGN_CONFIG", file.path().to_str().unwrap())]);
    assert_eq!(load(&Flags::default(), &variables).unwrap().mode, Mode::Configured);
}

#[test]
fn development_needs_nothing() {
    let settings = development(&[], &Flags::default()).unwrap();
    assert_eq!(settings.mode, Mode::Development);
    assert_eq!(settings.issuer.issuer(), "http://127.0.0.1:8700");
    assert_eq!(settings.operations_listen, Some("127.0.0.1:8701".parse().unwrap()));
    assert_eq!(settings.domains, DomainPolicy::Loopback);
    assert_eq!(settings.limits.requests_per_minute, None);
    let ResourcePolicy::AnyLoopback(rules) = settings.resources else { panic!("listed") };
    assert_eq!(rules.scopes, ScopeRule::Any);
    assert_eq!(rules.default_scopes, ["read"]);
    assert_eq!(rules.binding, Binding::Required);
}

#[test]
fn development_at_port_zero_learns_its_issuer_from_the_bound_address() {
    let settings = development(&[], &listening("127.0.0.1:0")).unwrap();
    assert_eq!(settings.operations_listen, Some("127.0.0.1:0".parse().unwrap()));
    let bound = settings.with_bound_address("127.0.0.1:40123".parse().unwrap());
    assert_eq!(bound.issuer.issuer(), "http://127.0.0.1:40123");
    assert_eq!(bound.issuer.host(), "127.0.0.1:40123");
    assert_eq!(bound.listen.port(), 40123);

    let configured = loaded(LEAST, &[], Flags::default()).unwrap();
    let bound = configured.with_bound_address("127.0.0.1:40123".parse().unwrap());
    assert_eq!(bound.issuer.issuer(), "https://auth.example");
}

#[test]
fn development_stays_on_this_machine() {
    let problem = "must be loopback, 127.0.0.1 or [::1], in development mode; any other address needs a configuration file (--config)";
    for address in ["0.0.0.0:8700", "[::]:8700", "192.0.2.7:8700", "[::ffff:127.0.0.1]:8700"] {
        let faults = development(&[], &listening(address)).unwrap_err();
        assert!(faults[0].ends_with(problem), "{faults:?}");
    }
    let operations =
        development(&[("COUNTERSIGN_OPERATIONS_LISTEN", "0.0.0.0:9")], &Flags::default());
    assert!(operations.unwrap_err()[0].ends_with(problem));
}

#[test]
fn development_refuses_what_it_would_have_to_ignore() {
    let variables =
        [("COUNTERSIGN_ISSUER", "https://auth.example"), ("COUNTERSIGN_LOG__FORMAT", "json")];
    assert_eq!(
        development(&variables, &Flags::default()).unwrap_err(),
        [
            "COUNTERSIGN_ISSUER: issuer = \"https://auth.example\": needs a configuration file (--config): \
          without one, only listen, operations_listen, store.directory, log.format, log.level are taken"
        ]
    );
}

#[test]
fn an_http_issuer_is_not_served_beyond_loopback() {
    let text = LEAST.replace("https://auth.example", "http://localhost:8700");
    assert!(loaded(&text, &[], Flags::default()).is_ok());
    assert_eq!(
        loaded(&text, &[], listening("0.0.0.0:8700")).unwrap_err(),
        [
            "FILE:1: issuer = \"http://localhost:8700\": must be https, since listen = 0.0.0.0:8700 is not loopback"
        ]
    );
}

#[test]
fn every_default_is_read_without_a_fault() {
    let mut faults = Vec::new();
    let raw = raw::Raw::default();
    assert!(validate::development(&raw, &mut faults).is_some());
    assert!(faults.is_empty());
}
