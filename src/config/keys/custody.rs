//! The keys of the signing keys: where they lie, what seals them, how long each signs.

use super::super::shape::{Choice, CredentialName, FilePath, TokenLabel, Whole};
use super::{Absent, Key, SECOND};
use crate::keyring::plan::PUBLISH_BEFORE_AT_LEAST;

/// Where the private halves of signing keys lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CustodyKind {
    /// In the server's folder, sealed.
    Sealed,
    /// In a security module.
    Pkcs11,
    /// In memory.
    Memory,
}

pub(crate) static KEYS_CUSTODY: Key<Choice<CustodyKind>> = Key {
    name: "keys.custody",
    shape: Choice(&[
        ("sealed", CustodyKind::Sealed),
        ("pkcs11", CustodyKind::Pkcs11),
        ("memory", CustodyKind::Memory),
    ]),
    absent: Absent::Means("`sealed` with the embedded store, `memory` with the memory store"),
    meaning: "Where the private halves of the signing keys lie: in `keys/ring.json` of the store's folder, sealed with one of \
              the next three; in a security module, from which they never come out; or in memory, where every token \
              ends with the process.",
};

pub(crate) static KEYS_PASSPHRASE_FILE: Key<FilePath> = Key {
    name: "keys.passphrase_file",
    shape: FilePath,
    absent: Absent::Means("no passphrase"),
    meaning: "A file with the passphrase that the keys are sealed with, 16 characters or more, which only the server's user can read.",
};

pub(crate) static KEYS_KEY_FILE: Key<FilePath> = Key {
    name: "keys.key_file",
    shape: FilePath,
    absent: Absent::Means("no key file"),
    meaning: "A file with the key that they are sealed with, 64 hexadecimal digits, which only the server's user can read. \
              `countersign keys generate-secret FILE` makes one. Keep it on another disk than the store, and out of its backups.",
};

pub(crate) static KEYS_CREDENTIAL: Key<CredentialName> = Key {
    name: "keys.credential",
    shape: CredentialName,
    absent: Absent::Means("no credential"),
    meaning: "The same as a credential of the service manager, by its name in `$CREDENTIALS_DIRECTORY` (systemd: `LoadCredentialEncrypted=`).",
};

pub(crate) static KEYS_PKCS11_MODULE: Key<FilePath> = Key {
    name: "keys.pkcs11_module",
    shape: FilePath,
    absent: Absent::Means("required by the custody `pkcs11`"),
    meaning: "The library of the security module, by its absolute path. It is loaded into the server.",
};

pub(crate) static KEYS_PKCS11_TOKEN: Key<TokenLabel> = Key {
    name: "keys.pkcs11_token",
    shape: TokenLabel,
    absent: Absent::Means("required by the custody `pkcs11`"),
    meaning: "The label of the token in it that holds the keys.",
};

pub(crate) static KEYS_PKCS11_PIN_FILE: Key<FilePath> = Key {
    name: "keys.pkcs11_pin_file",
    shape: FilePath,
    absent: Absent::Means("required by the custody `pkcs11`"),
    meaning: "A file with the PIN of the token's user, which only the server's user can read.",
};

pub(crate) static KEYS_ROTATE_EVERY: Key<Whole<u64>> = Key {
    name: "keys.rotate_every",
    shape: Whole { min: 1, max: 3650, unit: "days" },
    absent: Absent::Default("30"),
    meaning: "For how long a key signs at most. The change comes up to a tenth earlier, at a moment that nobody can foresee.",
};

pub(crate) static KEYS_PUBLISH_BEFORE: Key<Whole<u64>> = Key {
    name: "keys.publish_before",
    shape: Whole { min: PUBLISH_BEFORE_AT_LEAST, max: 43_200, unit: SECOND },
    absent: Absent::Default("900"),
    meaning: "For how long a key is published before it signs: longer than any cache holds the key set.",
};
