//! Where a private key lies on disk: read with care, written once and for its owner alone.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output::Output;

/// The largest file read, in bytes; a PEM takes less than 300.
const MAX_BYTES: u64 = 16 * 1024;

/// Reads a key: PKCS#8 PEM, or a private JWK.
pub(super) fn read_key(path: &Path, output: &Output) -> Result<InMemorySigner, Failure> {
    let text = read_secret(path)?;
    warn_if_shared(path, output);
    let read = if text.trim_start().starts_with('{') {
        InMemorySigner::from_jwk_json(&text)
    } else {
        InMemorySigner::from_pkcs8_pem(&text)
    };
    read.map_err(|error| Failure::configuration(format!("{}: {error}", path.display())))
}

/// A new key for one session: Ed25519, the quickest to sign with.
pub(super) fn new_session_key() -> Result<InMemorySigner, Failure> {
    InMemorySigner::generate(Curve::Ed25519, &OsEntropy)
        .map_err(|error| Failure::configuration(error.to_string()))
}

/// The same key once more: one to sign with, one to keep.
pub(super) fn copy(key: &InMemorySigner) -> Result<InMemorySigner, Failure> {
    InMemorySigner::from_bytes(key.public_key().curve(), &key.secret_bytes())
        .map_err(|error| Failure::configuration(error.to_string()))
}

/// Reads a secret text file of bounded size.
fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |what: &str| Failure::configuration(format!("{}: {what}", path.display()));
    read_open(path, &File::open(path).map_err(|error| failed(&error.to_string()))?)
}

/// Reads a secret text file that nobody else can reach. Who can read a file that only its owner
/// may read is its owner, so that nobody else can have put it there.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |what: &str| Failure::configuration(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| failed(&error.to_string()))?;
    // Of the opened file, not of the path, which may be another by now.
    let metadata = file.metadata().map_err(|error| failed(&error.to_string()))?;
    if is_shared(&metadata) {
        return Err(failed("others can read or write it, so it is not trusted"));
    }
    read_open(path, &file)
}

fn read_open(path: &Path, file: &File) -> Result<Zeroizing<String>, Failure> {
    let failed = |what: &str| Failure::configuration(format!("{}: {what}", path.display()));
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| failed(&error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed("larger than 16 KiB; this is no key file"));
    }
    Ok(text)
}

/// Writes a new file that its owner alone may read; an existing one is never touched.
pub(super) fn write_new(path: &Path, secret: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |error: std::io::Error| {
        let what = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "exists already; keys are never overwritten".to_owned()
            }
            _ => error.to_string(),
        };
        Failure::configuration(format!("{}: {what}", path.display()))
    };
    let mut file = options.open(path).map_err(failed)?;
    let written = file.write_all(secret.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(failed)
}

fn warn_if_shared(path: &Path, output: &Output) {
    if std::fs::metadata(path).is_ok_and(|metadata| is_shared(&metadata)) {
        output.warning(&format!("others can read {0}; chmod 600 {0}", path.display()));
    }
}

/// Whether anybody but its owner may do anything with a file.
#[cfg(unix)]
fn is_shared(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0
}

#[cfg(not(unix))]
fn is_shared(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_written_once_and_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let signer = InMemorySigner::generate(Curve::Secp256k1, &OsEntropy).unwrap();
        write_new(&path, &signer.to_pkcs8_pem().unwrap()).unwrap();
        let read = read_key(&path, &Output::new(true)).unwrap();
        assert_eq!(read.public_key(), signer.public_key());
        assert!(write_new(&path, "other").is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in ["", "{\"d\":\"hush\"}", "-----BEGIN EC PRIVATE KEY-----\nhush"] {
            std::fs::write(&path, text).unwrap();
            let failure = read_key(&path, &Output::new(true)).unwrap_err();
            assert!(!failure.message().contains("hush"));
        }
        std::fs::write(&path, "a".repeat(20_000)).unwrap();
        assert!(read_key(&path, &Output::new(true)).is_err());
        assert!(read_key(folder.path(), &Output::new(true)).is_err());
    }
}
