//! A ring on a disk: whole after every crash and failure, shut to others, and of no use without its secret.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner, Signer as _};
use zeroize::Zeroizing;

use super::custody::secret::Secret;
use super::ring::State;
use super::ring_tests::drafted;
use super::*;

const START: Timestamp = Timestamp::from_unix(1_800_000_000);
const POLICY: Policy =
    Policy { algorithm: Algorithm::EdDsa, rotate_every: 86_400, publish_before: 900 };

fn custody(byte: u8) -> Box<MakeCustody<'static>> {
    let secret = Secret::Key(Zeroizing::new([byte; 32]));
    Box::new(move |sealing| Ok(Arc::new(Sealed::new(&secret, sealing, &OsEntropy)?)))
}

fn open_by(shelf: Box<dyn Shelf>, now: Timestamp) -> Result<Arc<Keyring>, KeyringError> {
    Keyring::open(custody(1), Some(shelf), POLICY, now, &OsEntropy)
}

fn open(folder: &Path, now: Timestamp) -> Result<Arc<Keyring>, KeyringError> {
    open_by(Box::new(RingFile::of(folder)), now)
}

fn change(
    keyring: &Arc<Keyring>,
    operation: Operation,
    now: Timestamp,
) -> Result<Committed, KeyringError> {
    let (draft, _spares) = drafted(keyring, &operation, now)?;
    Ok(draft.commit()?)
}

/// Stops, as a crash would, after so many steps of the next write.
#[derive(Debug)]
struct Crashing {
    file: RingFile,
    after: Arc<AtomicUsize>,
}

/// The steps of a write: nothing, half of the new file, all of it, the new name.
const STEPS: usize = 4;
const NEVER: usize = usize::MAX;

impl Shelf for Crashing {
    fn read(&self) -> Result<Option<Document>, RingFileError> {
        self.file.read()
    }

    fn write(&self, document: &Document) -> Result<(), RingFileError> {
        let step = self.after.load(Ordering::SeqCst);
        let beside = self.file.path().with_extension("json.unfinished");
        let text = serde_json::to_string_pretty(document).unwrap();
        match step {
            0 => {}
            1 => fs::write(&beside, &text[..text.len() / 2]).unwrap(),
            2 => fs::write(&beside, &text).unwrap(),
            3 => self.file.write(document)?,
            _ => return self.file.write(document),
        }
        Err(RingFileError::Damaged { path: self.file.path(), problem: "crashed".to_owned() })
    }
}

/// That one key signs, that it can, and that it is published.
#[track_caller]
fn sound(keyring: &Keyring, now: Timestamp) {
    let ring = keyring.ring();
    let active = ring.entries.iter().filter(|entry| ring.state(entry, now) == State::Active);
    assert_eq!(active.count(), 1);
    let key = keyring.active(now);
    let signature = key.sign(b"text").unwrap();
    assert!(key.public().verify(key.algorithm(), b"text", &signature).is_ok());
    assert!(keyring.view(now).kids().iter().any(|kid| kid == key.kid()));
}

#[test]
fn a_crash_at_any_step_of_any_change_leaves_the_ring_of_before_or_of_after() {
    let now = START.plus(86_400 + 2000);
    let operations: [fn(&Keyring) -> Operation; 7] = [
        |_| Operation::Tend,
        |_| Operation::Rotate,
        |_| Operation::Generate,
        |_| Operation::RevokeAll,
        |ring| Operation::Revoke(ring.active(START).kid().to_owned()),
        |ring| Operation::Revoke(ring.active(START.plus(86_400 + 2000)).kid().to_owned()),
        |ring| Operation::Retire(ring.ring().entries[1].kid.clone()),
    ];
    for (number, operation) in operations.iter().enumerate() {
        for step in 0..STEPS {
            let folder = tempfile::tempdir().unwrap();
            let after = Arc::new(AtomicUsize::new(NEVER));
            let file = RingFile::of(folder.path());
            let shelf = Crashing { file, after: Arc::clone(&after) };
            let keyring = open_by(Box::new(shelf), START).unwrap();
            let before = keyring.ring();
            let signed_with = keyring.active(now).kid().to_owned();
            after.store(step, Ordering::SeqCst);
            change(&keyring, operation(&keyring), now).unwrap_err();
            // A process that lives goes on with what it had.
            assert_eq!(keyring.ring().entries, before.entries, "{number} {step}");
            assert_eq!(keyring.active(now).kid(), signed_with);
            sound(&keyring, now);
            // One that does not is followed by another.
            let next = open(folder.path(), now).unwrap();
            sound(&next, now);
            let is_before = next.ring().entries == before.entries;
            assert_eq!(is_before, step < 3, "{number} {step}: nothing between the two");
            let kids = |ring: &Ring| ring.entries.iter().map(|e| e.kid.clone()).collect::<Vec<_>>();
            for kid in kids(&before) {
                assert!(kids(&next.ring()).contains(&kid), "no key is lost: {number} {step}");
            }
            // And what was left over is in nobody's way.
            change(&next, operation(&keyring), now.plus(1)).unwrap();
            sound(&next, now.plus(1));
            assert!(!folder.path().join("keys/ring.json.unfinished").exists());
        }
    }
}

#[test]
fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path(), START).unwrap();
    assert!(keyring.is_new());
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("keys"), mode("keys/ring.json")), (0o700, 0o600));
    let now = START.plus(1000);
    change(&keyring, Operation::Rotate, now).unwrap();
    let again = open(folder.path(), now).unwrap();
    assert!(!again.is_new());
    assert_eq!(again.ring().entries, keyring.ring().entries);
    assert_eq!(again.active(now).kid(), keyring.active(now).kid());
    assert_eq!(again.to_jwks(now), keyring.to_jwks(now));
}

#[test]
fn a_ring_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), START).unwrap());
    for (name, right, wrong) in
        [("keys/ring.json", 0o600, 0o640), ("keys/ring.json", 0o600, 0o604), ("keys", 0o700, 0o750)]
    {
        let set = |mode| {
            let path = folder.path().join(name);
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        set(wrong);
        let refused = open(folder.path(), START).unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains("not trusted"), "{refused}");
        set(right);
        open(folder.path(), START).unwrap();
    }
}

#[test]
fn what_is_no_ring_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), START).unwrap());
    let path = folder.path().join("keys/ring.json");
    let good = fs::read_to_string(&path).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&good).unwrap();
    let other = value["keys"][1].clone();
    let kid = other["kid"].as_str().unwrap().to_owned();
    let mut renamed = value.clone();
    renamed["keys"][0]["kid"] = kid.into();
    let mut newer = value.clone();
    newer["layout"] = 2.into();
    let mut unknown = value.clone();
    unknown["keys"][0]["more"] = 1.into();
    let mut swapped = value.clone();
    swapped["keys"][0]["handle"] = other["handle"].clone();
    value["keys"].as_array_mut().unwrap().push(other);
    let long = format!("{good}{}", " ".repeat(1024 * 1024));
    for (text, why) in [
        (String::new(), "is not a ring"),
        (good[..good.len() / 2].to_owned(), "is not a ring"),
        ("{}".to_owned(), "is not a ring"),
        (renamed.to_string(), "is not the one that its kid names"),
        (value.to_string(), "stands twice"),
        (newer.to_string(), "run the newer version"),
        (unknown.to_string(), "unknown field"),
        (swapped.to_string(), "does not open"),
        (long, "larger than"),
    ] {
        fs::write(&path, &text).unwrap();
        let refused = open(folder.path(), START).unwrap_err().to_string();
        assert!(refused.contains(why), "{why}: {refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_stolen_ring_opens_nothing_and_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path(), START).unwrap();
    let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
    let secret = signer.secret_bytes();
    let copy = InMemorySigner::from_bytes(Curve::Ed25519, &secret).unwrap();
    change(&keyring, Operation::Import(Box::new(copy)), START).unwrap();
    let bytes = fs::read(folder.path().join("keys/ring.json")).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(&signer.public_key().thumbprint().to_string()));
    for written in [
        hex::encode(secret.as_slice()),
        STANDARD.encode(secret.as_slice())[..42].to_owned(),
        URL_SAFE_NO_PAD.encode(secret.as_slice()),
    ] {
        assert!(!text.contains(&written));
    }
    let shelf = || Some(Box::new(RingFile::of(folder.path())) as Box<dyn Shelf>);
    let refused = Keyring::open(custody(2), shelf(), POLICY, START, &OsEntropy).unwrap_err();
    assert!(refused.to_string().contains("is not the one that it was sealed with"), "{refused}");
    let other: Box<MakeCustody<'_>> = Box::new(|_| Ok(Arc::new(Memory)));
    let refused = Keyring::open(other, shelf(), POLICY, START, &OsEntropy).unwrap_err();
    assert!(refused.to_string().contains("in the custody \"sealed\""), "{refused}");
    // A key that is over is in no file any more.
    let handle = keyring.ring().find(keyring.active(START).kid()).unwrap().handle.clone().unwrap();
    assert!(text.contains(&handle));
    let leaked = Operation::Revoke(keyring.active(START).kid().to_owned());
    change(&keyring, leaked, START.plus(1)).unwrap();
    assert!(!fs::read_to_string(folder.path().join("keys/ring.json")).unwrap().contains(&handle));
}

#[test]
fn a_ring_that_was_written_to_without_its_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path(), START).unwrap();
    let leaked = keyring.active(START).kid().to_owned();
    change(&keyring, Operation::Revoke(leaked), START.plus(1)).unwrap();
    let now = START.plus(2);
    let path = folder.path().join("keys/ring.json");
    let good = fs::read_to_string(&path).unwrap();
    let own = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
    let own = |signs_from: Timestamp| {
        let key = own.public_key();
        serde_json::json!({
            "kid": key.thumbprint().to_string(), "jwk": key.to_jwk(), "created_at": now,
            "published_at": now, "signs_from": signs_from,
        })
    };
    let edited = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value = serde_json::from_str(&good).unwrap();
        edit(&mut value);
        value.to_string()
    };
    let push = |value: &mut serde_json::Value, entry| {
        value["keys"].as_array_mut().unwrap().push(entry);
    };
    let drop_member = |value: &mut serde_json::Value, name: &str| {
        value.as_object_mut().unwrap().remove(name).unwrap();
    };
    let (no_half, changed) = ("has no private half", "is not as this program wrote it");
    for (text, why) in [
        (edited(&|ring| push(ring, own(now.plus(1_000_000_000)))), no_half),
        (edited(&|ring| push(ring, own(START.minus(1)))), no_half),
        (edited(&|ring| drop_member(&mut ring["keys"][0], "revoked_at")), no_half),
        (edited(&|ring| ring["keys"][0]["revoked_at"] = serde_json::json!(START)), changed),
        (edited(&|ring| ring["keys"][0]["is_told"] = true.into()), changed),
        (edited(&|ring| ring["keys"][1]["signs_from"] = serde_json::json!(START)), changed),
        (edited(&|ring| drop(ring["keys"].as_array_mut().unwrap().remove(0))), changed),
        (edited(&|ring| ring["keys"].as_array_mut().unwrap().reverse()), changed),
        (edited(&|ring| ring["mac"] = "AAAA".into()), changed),
        (edited(&|ring| drop_member(ring, "mac")), changed),
        (edited(&|ring| ring["keys"] = serde_json::json!([])), "holds no key"),
    ] {
        assert_ne!(text, good);
        fs::write(&path, &text).unwrap();
        let refused = open(folder.path(), now).map(|_| text.clone()).unwrap_err().to_string();
        assert!(refused.contains(why), "{why}: {refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "not touched");
    }
    // The same members in another order and spacing are the same ring.
    fs::write(&path, edited(&|_| {})).unwrap();
    open(folder.path(), now).unwrap();
}

/// A module that has no room for another key.
#[derive(Debug)]
struct Full(Sealed, Arc<AtomicBool>);

impl Custody for Full {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn generate(
        &self,
        algorithm: Algorithm,
        entropy: &dyn Entropy,
    ) -> Result<custody::Made, CustodyError> {
        match self.1.load(Ordering::SeqCst) {
            true => Err(CustodyError::Unavailable("full".to_owned())),
            false => self.0.generate(algorithm, entropy),
        }
    }

    fn import(
        &self,
        key: &InMemorySigner,
        entropy: &dyn Entropy,
    ) -> Result<custody::Made, CustodyError> {
        self.0.import(key, entropy)
    }

    fn open(&self, entry: &ring::Entry, handle: &str) -> Result<SigningKey, CustodyError> {
        self.0.open(entry, handle)
    }

    fn destroy(&self, handle: &str) -> Result<(), CustodyError> {
        self.0.destroy(handle)
    }
}

#[test]
fn a_key_is_revoked_where_no_other_can_be_made_as_long_as_one_stands_by() {
    let is_full = Arc::new(AtomicBool::new(false));
    let sealed = Sealed::new(&Secret::Key(Zeroizing::new([1; 32])), None, &OsEntropy).unwrap();
    let full = Full(sealed, Arc::clone(&is_full));
    let keyring =
        Keyring::open(Box::new(|_| Ok(Arc::new(full))), None, POLICY, START, &OsEntropy).unwrap();
    let now = START.plus(5);
    let leaked = keyring.active(now).kid().to_owned();
    is_full.store(true, Ordering::SeqCst);
    change(&keyring, Operation::Revoke(leaked.clone()), now).unwrap();
    sound(&keyring, now);
    let successor = keyring.active(now).kid().to_owned();
    assert_ne!(successor, leaked);
    assert!(!keyring.view(now).kids().contains(&leaked));
    // With nothing that could sign instead, the ring stays as it is.
    change(&keyring, Operation::Revoke(successor.clone()), now).unwrap_err();
    change(&keyring, Operation::RevokeAll, now).unwrap_err();
    assert_eq!(keyring.active(now).kid(), successor);
    // What stands by is made when there is room again.
    change(&keyring, Operation::Tend, now).unwrap_err();
    is_full.store(false, Ordering::SeqCst);
    change(&keyring, Operation::Tend, now).unwrap();
    assert_eq!(keyring.ring().nexts(now).len(), 1);
}

#[test]
fn a_revocation_is_in_force_before_it_is_written_and_written_when_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let after = Arc::new(AtomicUsize::new(NEVER));
    let shelf = Crashing { file: RingFile::of(folder.path()), after: Arc::clone(&after) };
    let keyring = open_by(Box::new(shelf), START).unwrap();
    let now = START.plus(5);
    let leaked = keyring.active(now).kid().to_owned();
    let mut withdrawals = keyring.withdrawals();
    after.store(0, Ordering::SeqCst);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let turn = runtime.block_on(keyring.turn());
    let revoke = Operation::Revoke(leaked.clone());
    let spares = Spares::of(&keyring);
    let mut draft = Draft::of(&keyring, turn, &revoke, now, &OsEntropy, &spares).unwrap();
    assert!(keyring.view(now).kids().contains(&leaked));
    draft.enforce();
    assert!(!keyring.view(now).kids().contains(&leaked));
    assert!(withdrawals.has_changed().unwrap());
    withdrawals.mark_unchanged();
    assert!(draft.commit().unwrap().unwritten.is_some() && keyring.is_behind());
    sound(&keyring, now);
    let written = || open(folder.path(), now).unwrap().ring().find(&leaked).unwrap().revoked_at;
    assert_eq!(written(), None);
    let turn = runtime.block_on(keyring.turn());
    keyring.write_again(&turn).unwrap_err();
    assert!(keyring.is_behind());
    after.store(NEVER, Ordering::SeqCst);
    keyring.write_again(&turn).unwrap();
    assert!(!keyring.is_behind());
    assert_eq!(written(), Some(now));
    assert!(!withdrawals.has_changed().unwrap(), "told once");
}

#[test]
fn that_earlier_tokens_are_void_is_owed_until_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(open(folder.path(), START).unwrap().owes_void());
    // A start that went no further, for instance since the log refused.
    let keyring = open(folder.path(), START).unwrap();
    assert!(keyring.owes_void() && !keyring.is_new());
    change(&keyring, Operation::Generate, START).unwrap();
    assert!(open(folder.path(), START).unwrap().owes_void());
    keyring.void_told(&runtime.block_on(keyring.turn())).unwrap();
    assert!(!keyring.owes_void());
    assert!(!open(folder.path(), START).unwrap().owes_void());
}

#[test]
fn what_happened_to_the_first_keys_is_owed_to_the_log_until_it_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let owed = |keyring: &Keyring| {
        keyring.unrecorded().iter().map(|event| event.happening).collect::<Vec<_>>()
    };
    let first = [Happening::Created, Happening::Activated, Happening::Created];
    assert_eq!(owed(&open(folder.path(), START).unwrap()), first);
    // The start that made them went no further.
    let keyring = open(folder.path(), START).unwrap();
    assert_eq!(owed(&keyring), first);
    let mut recorded: Vec<(String, Happening)> =
        keyring.unrecorded().into_iter().map(|event| (event.kid, event.happening)).collect();
    let last = recorded.pop().unwrap();
    change(&keyring, Operation::Recorded(recorded), START).unwrap();
    assert_eq!(owed(&keyring), [last.1], "nothing more is struck out");
    change(&keyring, Operation::Recorded(vec![last]), START).unwrap();
    assert!(owed(&keyring).is_empty());
    assert!(owed(&open(folder.path(), START).unwrap()).is_empty());
}

#[test]
fn a_ring_that_no_start_would_read_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path(), START).unwrap();
    let mut entries = keyring.ring().entries.clone();
    entries[0].to_destroy = Some("0".repeat(1024 * 1024));
    let document = Document::new(&Memory, entries, false).unwrap();
    let refused = RingFile::of(folder.path()).write(&document).unwrap_err();
    assert!(matches!(refused, RingFileError::TooLarge { .. }), "{refused}");
    open(folder.path(), START).unwrap();
}
