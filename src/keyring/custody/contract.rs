//! What every custody has to pass, the one in a real module too.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner};
use countersign_sdk::time::Timestamp;
use zeroize::Zeroizing;

use super::memory::Memory;
use super::sealed::{Sealed, Sealing, reseal};
use super::secret::{Secret, SecretSource};
use super::{Custody, CustodyError, Made};
use crate::keyring::ring::Entry;

pub(crate) fn entry(made: &Made) -> Entry {
    let now = Timestamp::from_unix(1_800_000_000);
    Entry {
        kid: made.key.kid().to_owned(),
        public: made.key.public().clone(),
        created_at: now,
        published_at: now,
        signs_from: now,
        activated_at: None,
        withdrawn_at: None,
        revoked_at: None,
        is_told: false,
        handle: Some(made.handle.clone()),
        to_destroy: None,
        unrecorded: Vec::new(),
    }
}

fn signs(key: &crate::keyring::SigningKey, made: &Made) {
    let signature = key.sign(b"text").unwrap();
    let public = made.key.public();
    assert_eq!(key.kid(), made.key.kid());
    assert_eq!(public.verify(key.algorithm(), b"text", &signature), Ok(()));
    assert!(public.verify(key.algorithm(), b"test", &signature).is_err());
}

/// What holds of every custody; `is_lasting` of those that open a handle later.
pub(crate) fn passes(custody: &dyn Custody, is_lasting: bool) {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let (one, two) = [(); 2].map(|()| custody.generate(algorithm, &OsEntropy).unwrap()).into();
        assert_ne!(one.key.kid(), two.key.kid());
        assert_ne!(one.handle, two.handle);
        assert_eq!(one.key.algorithm(), algorithm);
        signs(&one.key, &one);
        if is_lasting {
            signs(&custody.open(&entry(&one), &one.handle).unwrap(), &one);
            // One key's handle does not pass for another's.
            let swapped = custody.open(&entry(&one), &two.handle);
            assert!(matches!(swapped, Err(CustodyError::Secret(_) | CustodyError::Handle(_))));
            let garbage = custody.open(&entry(&one), "AAAA");
            assert!(garbage.is_err() || garbage.unwrap().sign(b"").is_err());
        }
        custody.destroy(&one.handle).unwrap();
        custody.destroy(&one.handle).unwrap();
        custody.destroy(&two.handle).unwrap();
        assert!(!format!("{custody:?}").contains(&one.handle));
    }
    assert!(custody.generate(Algorithm::Es256k, &OsEntropy).is_err());
}

fn key(byte: u8) -> Secret {
    Secret::Key(Zeroizing::new([byte; 32]))
}

fn passphrase(text: &str) -> Secret {
    Secret::Passphrase(Zeroizing::new(text.to_owned()))
}

#[test]
fn memory() {
    passes(&Memory, false);
}

#[test]
fn sealed_with_a_key() {
    passes(&Sealed::new(&key(1), None, &OsEntropy).unwrap(), true);
}

#[test]
fn sealed_with_a_passphrase() {
    let custody = Sealed::new(&passphrase("correct horse battery"), None, &OsEntropy).unwrap();
    passes(&custody, true);
    assert!(matches!(custody.sealing(), Some(Sealing::Argon2id { memory_kib: 65_536, .. })));
}

#[test]
fn what_is_sealed_opens_by_its_own_secret_alone() {
    for (right, wrong) in [
        (key(1), key(2)),
        (passphrase("correct horse battery"), passphrase("correct horse batterz")),
    ] {
        let custody = Sealed::new(&right, None, &OsEntropy).unwrap();
        let made = custody.generate(Algorithm::EdDsa, &OsEntropy).unwrap();
        let again = Sealed::new(&right, custody.sealing(), &OsEntropy).unwrap();
        signs(&again.open(&entry(&made), &made.handle).unwrap(), &made);
        let other = Sealed::new(&wrong, custody.sealing(), &OsEntropy).unwrap();
        let refused = other.open(&entry(&made), &made.handle).unwrap_err();
        assert!(
            refused.to_string().contains("is not the one that it was sealed with"),
            "{refused}"
        );
        // Each character of it counts.
        for place in 0..made.handle.len() {
            let mut changed = made.handle.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(custody.open(&entry(&made), &changed).is_err(), "{place}");
        }
    }
}

#[test]
fn the_kinds_of_secret_are_not_mistaken_for_each_other() {
    let by_key = Sealed::new(&key(1), None, &OsEntropy).unwrap().sealing();
    let refused =
        Sealed::new(&passphrase("correct horse battery"), by_key, &OsEntropy).unwrap_err();
    assert!(refused.to_string().contains("keys.key_file"), "{refused}");
    let greedy = Sealing::Argon2id {
        salt: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        memory_kib: u32::MAX,
        passes: 1,
        lanes: 1,
    };
    let text = passphrase("correct horse battery");
    assert!(Sealed::new(&text, Some(greedy), &OsEntropy).is_err(), "nothing is allocated for it");
    // Less work than ours is a passphrase that is guessed sooner.
    for (memory_kib, passes, lanes) in [(65_535, 3, 4), (65_536, 2, 4), (65_536, 3, 3), (8, 1, 1)] {
        let salt = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
        let cheap = Sealing::Argon2id { salt, memory_kib, passes, lanes };
        let refused = Sealed::new(&text, Some(cheap), &OsEntropy).unwrap_err().to_string();
        assert!(refused.contains("less work"), "{refused}");
    }
    let refused = Sealed::new(&key(1), None, &OsEntropy).unwrap().sealing();
    let Some(Sealing::HkdfSha256 { .. }) = refused else { panic!("{refused:?}") };
    let short = Sealing::HkdfSha256 { salt: "AAAA".to_owned() };
    assert!(Sealed::new(&key(1), Some(short), &OsEntropy).is_err());
}

#[test]
fn a_key_moves_to_another_secret() {
    let [old, new] = [1, 2].map(|byte| Sealed::new(&key(byte), None, &OsEntropy).unwrap());
    let signer = InMemorySigner::generate(Curve::P256, &OsEntropy).unwrap();
    let made = old.import(&signer, &OsEntropy).unwrap();
    let handle = reseal(&old, &new, &entry(&made), &made.handle, &OsEntropy).unwrap();
    signs(&new.open(&entry(&made), &handle).unwrap(), &made);
    assert!(old.open(&entry(&made), &handle).is_err());
}

#[test]
fn secrets_are_read_from_files_that_nobody_else_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let put = |text: &str, mode: u32| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    let read = |source: fn(std::path::PathBuf) -> SecretSource| source(path.clone()).read();
    assert!(read(SecretSource::KeyFile).unwrap_err().to_string().contains("secret:"));
    let hex = "0f".repeat(32);
    for (mode, taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        put(&format!("{hex}\n"), mode);
        assert_eq!(read(SecretSource::KeyFile).is_ok(), taken, "{mode:o}");
        assert_eq!(read(SecretSource::PassphraseFile).is_ok(), taken, "{mode:o}");
        assert!(read(SecretSource::Credential).is_ok());
    }
    for text in ["", "0f", &"0g".repeat(32), &"00".repeat(32), "short passphr"] {
        put(text, 0o600);
        for source in [SecretSource::KeyFile, SecretSource::Credential] {
            let refused = read(source).unwrap_err().to_string();
            assert!(text.is_empty() || !refused.contains(text), "{refused}");
        }
        assert!(read(SecretSource::PassphraseFile).is_err() || text.len() >= 16);
    }
    put(&"0".repeat(5000), 0o600);
    assert!(read(SecretSource::KeyFile).is_err() && read(SecretSource::PassphraseFile).is_err());
    assert!(SecretSource::KeyFile(Path::new("/").to_owned()).read().is_err());
    assert_eq!(format!("{:?}", key(1)), "Key");
}
