//! Forms, credentials and configuration files: any bytes are read or refused.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::config::{self, Flags};
use countersign::http::basic::Basic;
use countersign::http::extract::Form;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cut::Cut;

/// Forms: what was read can be written and read again.
pub fn form(data: &[u8]) {
    let Ok(form) = Form::parse(data) else {
        return;
    };
    assert!(form.get("seed").is_none() && form.get("d").is_none());
    let names = [
        "grant_type",
        "message",
        "signature",
        "format",
        "public_key",
        "resource",
        "scope",
        "assertion",
        "a",
        "b",
        "",
    ];
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let written: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{}={}", encode(name), encode(form.get(name)?))))
        .collect();
    let again = Form::parse(written.join("&").as_bytes()).expect("a written form is read");
    for name in names {
        assert_eq!(again.get(name), form.get(name));
        assert_eq!(form.require(name_of(name)).is_ok(), form.get(name).is_some());
        assert_ne!(form.get(name), Some(""), "an empty value is an absent one");
    }
}

/// `require` takes names that live for ever.
fn name_of(name: &'static str) -> &'static str {
    name
}

/// `Authorization: Basic`: the field's value, or a user, a secret and how they are written. What was
/// written is read as it was meant.
pub fn basic_auth(data: &[u8]) {
    let _ = Basic::read(&String::from_utf8_lossy(data));
    let mut cut = Cut(data);
    let encoded = cut.byte() & 1 == 0;
    let (user, secret) = (cut.text(), cut.text());
    let plain = |text: &str| !text.contains(['%', '+', ':']);
    let write = |text: &str| match encoded {
        true => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        false => text.to_owned(),
    };
    let credentials = STANDARD.encode(format!("{}:{}", write(&user), write(&secret)));
    let read = Basic::read(&format!("Basic {credentials}"));
    if credentials.len() > 2048 {
        assert!(read.is_none());
    } else if encoded || plain(&user) && plain(&secret) {
        let basic = read.expect("it is well formed");
        assert_eq!(basic.parts(), (&*user, &*secret));
    }
    // A user with colons, as a URI has them, is told from its secret by the last one.
    if !encoded && plain(&secret) && !user.contains(['%', '+']) && credentials.len() <= 2048 {
        let credentials = Basic::read(&format!("bAsIc {credentials}"));
        assert_eq!(credentials.expect("well formed").parts(), (&*user, &*secret));
    }
}

/// Configuration files: settings, or faults that can be shown.
pub fn config(data: &[u8]) {
    // A leading zero byte keeps a right file before the rest, so that mutations reach its values.
    let text = match data.split_first() {
        Some((0, rest)) => [BASE.as_bytes(), rest].concat(),
        _ => data.to_vec(),
    };
    let mut file = tempfile::Builder::new().tempfile_in(memory()).expect("a temporary file");
    file.write_all(&text).expect("written");
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    match config::load(&flags, &[]) {
        Ok(settings) => {
            let issuer = settings.issuer.issuer();
            assert!(issuer.starts_with("https://") || issuer.starts_with("http://"));
            assert!(!issuer.ends_with('/'));
            assert!(settings.issuer.path().is_empty() || settings.issuer.path().starts_with('/'));
            assert!(issuer.contains(settings.issuer.host()));
            assert!(!format!("{settings:?}").is_empty());
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// A folder in memory where there is one: a run writes a hundred thousand files.
fn memory() -> std::path::PathBuf {
    let shared = std::path::Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

const BASE: &str = "issuer = \"https://auth.example\"\nstore.engine = \"memory\"\n[[resources]]\nuri = \"https://escrow.example\"\nscopes = [\"escrow:read\"]\n";
