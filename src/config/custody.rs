//! Which custody is meant, with what it needs and nothing that it has no use for.
//!
//! Keys that end with the process are chosen in so many words where sessions do not; and there is no
//! sealing without a secret from elsewhere, for one that lies beside what it seals protects nothing.

use std::path::Path;

use super::fault::Fault;
use super::keys::{self, CustodyKind, Key};
use super::reader::Reader;
use super::settings::{CustodySettings, KeySettings, StoreSettings};
use super::shape::Shape;
use crate::keyring::custody::secret::SecretSource;

/// A day in seconds.
const DAY: u64 = 86_400;

/// The settings of a configured server's keys.
pub(crate) fn keys(
    reader: &mut Reader<'_>,
    store: Option<&StoreSettings>,
    credentials: Option<&Path>,
) -> Option<KeySettings> {
    let written = reader.values.contains_key(keys::KEYS_CUSTODY.name);
    let kind = reader.read(&keys::KEYS_CUSTODY);
    let is_embedded = store.map(|store| matches!(store, StoreSettings::Embedded { .. }));
    let kind = match (kind, is_embedded) {
        (Some(CustodyKind::Sealed | CustodyKind::Pkcs11), Some(false)) => {
            let problem = "needs the store \"embedded\": what is to be known of keys is written in its folder";
            reader.fault(&keys::KEYS_CUSTODY, problem);
            None
        }
        (Some(kind), _) => Some(kind),
        (None, Some(true)) if !written => Some(CustodyKind::Sealed),
        (None, Some(false)) if !written => Some(CustodyKind::Memory),
        // One of the two was written badly, and that is said.
        (None, _) => None,
    };
    let custody = kind.and_then(|kind| match kind {
        CustodyKind::Memory => memory(reader),
        CustodyKind::Sealed => sealed(reader, credentials),
        CustodyKind::Pkcs11 => pkcs11(reader),
    });
    times(reader, custody)
}

/// The settings of a development server's keys.
pub(crate) fn in_memory(reader: &mut Reader<'_>) -> Option<KeySettings> {
    times(reader, Some(CustodySettings::Memory))
}

fn times(reader: &mut Reader<'_>, custody: Option<CustodySettings>) -> Option<KeySettings> {
    let rotate_every = reader.read(&keys::KEYS_ROTATE_EVERY);
    let publish_before = reader.read(&keys::KEYS_PUBLISH_BEFORE);
    Some(KeySettings {
        custody: custody?,
        rotate_every: rotate_every?.saturating_mul(DAY),
        publish_before: publish_before?,
    })
}

fn memory(reader: &mut Reader<'_>) -> Option<CustodySettings> {
    let sealing = no_use_for_sealing(reader, "memory");
    let module = no_use_for_modules(reader, "memory");
    (sealing && module).then_some(CustodySettings::Memory)
}

fn sealed(reader: &mut Reader<'_>, credentials: Option<&Path>) -> Option<CustodySettings> {
    let fits = no_use_for_modules(reader, "sealed");
    let names =
        [keys::KEYS_PASSPHRASE_FILE.name, keys::KEYS_KEY_FILE.name, keys::KEYS_CREDENTIAL.name];
    let written = names.into_iter().filter(|name| reader.values.contains_key(*name)).count();
    let passphrase = reader.read(&keys::KEYS_PASSPHRASE_FILE).map(SecretSource::PassphraseFile);
    let key = reader.read(&keys::KEYS_KEY_FILE).map(SecretSource::KeyFile);
    let credential = reader.read(&keys::KEYS_CREDENTIAL);
    let credential = match (credential, credentials) {
        (Some(name), Some(folder)) => Some(SecretSource::Credential(folder.join(name))),
        (Some(_), None) => {
            let problem = "names a credential, and $CREDENTIALS_DIRECTORY is not set: the service manager gives none";
            reader.fault(&keys::KEYS_CREDENTIAL, problem);
            None
        }
        (None, _) => None,
    };
    if written > 1 {
        for name in names.iter().filter(|name| reader.values.contains_key(**name)) {
            if let Some(found) = reader.values.get(*name) {
                let problem = "is one of several secrets: the keys are sealed with one";
                reader.faults.push(found.fault(problem, None));
            }
        }
        return None;
    }
    if written == 0 {
        missing(
            reader,
            &keys::KEYS_KEY_FILE,
            "is required: the signing keys are sealed with it. Make one with `countersign keys generate-secret \
             FILE` and name it here, outside of the store's folder; or give passphrase_file or credential in \
             its place; or write custody = \"memory\" under [keys] if every token may end with the process",
        );
    }
    passphrase.or(key).or(credential).filter(|_| fits).map(CustodySettings::Sealed)
}

fn pkcs11(reader: &mut Reader<'_>) -> Option<CustodySettings> {
    let fits = no_use_for_sealing(reader, "pkcs11");
    if !cfg!(feature = "pkcs11") {
        reader.fault(
            &keys::KEYS_CUSTODY,
            "is not in this program: it was built without the feature pkcs11",
        );
    }
    let module = needed(reader, &keys::KEYS_PKCS11_MODULE);
    let token = needed(reader, &keys::KEYS_PKCS11_TOKEN);
    let pin_file = needed(reader, &keys::KEYS_PKCS11_PIN_FILE);
    match (module, token, pin_file) {
        (Some(module), Some(token), Some(pin_file)) if fits => {
            Some(CustodySettings::Pkcs11 { module, token, pin_file })
        }
        (_, _, _) => None,
    }
}

fn needed<S: Shape>(reader: &mut Reader<'_>, key: &Key<S>) -> Option<S::Value> {
    if reader.values.contains_key(key.name) {
        return reader.read(key);
    }
    missing(reader, key, "is required by custody = \"pkcs11\"");
    None
}

fn missing<S: Shape>(reader: &mut Reader<'_>, key: &Key<S>, problem: &str) {
    reader.faults.push(Fault {
        source: reader.place.clone(),
        key: key.name.to_owned(),
        found: None,
        problem: problem.to_owned(),
        accepted: Some(key.shape.accepted()),
    });
}

fn no_use_for_sealing(reader: &mut Reader<'_>, custody: &str) -> bool {
    let written = [
        no_use(reader, &keys::KEYS_PASSPHRASE_FILE, custody),
        no_use(reader, &keys::KEYS_KEY_FILE, custody),
        no_use(reader, &keys::KEYS_CREDENTIAL, custody),
    ];
    !written.contains(&true)
}

fn no_use_for_modules(reader: &mut Reader<'_>, custody: &str) -> bool {
    let written = [
        no_use(reader, &keys::KEYS_PKCS11_MODULE, custody),
        no_use(reader, &keys::KEYS_PKCS11_TOKEN, custody),
        no_use(reader, &keys::KEYS_PKCS11_PIN_FILE, custody),
    ];
    !written.contains(&true)
}

fn no_use<S: Shape>(reader: &mut Reader<'_>, key: &Key<S>, custody: &str) -> bool {
    let written = reader.values.contains_key(key.name);
    if written {
        reader.fault(
            key,
            format!("is of no use to the custody \"{custody}\": leave one of them out"),
        );
    }
    written
}
