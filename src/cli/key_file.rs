//! Where a private key lies on disk: read with care, written once and for its owner alone.

use std::path::Path;

use countersign_sdk::client::private_file::{self, PrivateFileError};
use countersign_sdk::key::{InMemorySigner, Signer as _};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output::Output;

/// The largest file read, in bytes; a PEM takes less than 300.
const MAX_BYTES: usize = 16 * 1024;

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

/// The same key once more: one to sign with, one to keep.
pub(super) fn copy(key: &InMemorySigner) -> Result<InMemorySigner, Failure> {
    InMemorySigner::from_bytes(key.public_key().curve(), &key.secret_bytes())
        .map_err(|error| Failure::configuration(error.to_string()))
}

/// Reads a secret text file of bounded size.
fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    private_file::read_any(path, MAX_BYTES).map_err(|error| match error {
        PrivateFileError::TooLarge(_) => failed(path, "larger than 16 KiB; this is no key file"),
        error => failed(path, &error.to_string()),
    })
}

/// Writes a new file that its owner alone may read; an existing one is never touched.
pub(super) fn write_new(path: &Path, secret: &str) -> Result<(), Failure> {
    private_file::write_new(path, secret).map_err(|error| match error {
        PrivateFileError::Io(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            failed(path, "exists already; keys are never overwritten")
        }
        error => failed(path, &error.to_string()),
    })
}

fn failed(path: &Path, what: &str) -> Failure {
    Failure::configuration(format!("{}: {what}", path.display()))
}

fn warn_if_shared(path: &Path, output: &Output) {
    if std::fs::metadata(path).is_ok_and(|metadata| private_file::is_shared(&metadata)) {
        output.warning(&format!("others can read {0}; chmod 600 {0}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use countersign_sdk::entropy::OsEntropy;
    use countersign_sdk::key::Curve;

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
