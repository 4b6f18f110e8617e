//! The engine keeps the contract, and what it has kept is there when the file is opened again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use countersign_sdk::entropy::OsEntropy;
use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _};
use tempfile::TempDir;

use super::*;
use crate::model::session::Usage;
use crate::model::session::tests::session;
use crate::store::SessionBounds;
use crate::store::contract::{self, as_kept, by};

pub(super) const NOW: Timestamp = Timestamp::from_unix(1_000_000);

pub(super) fn opening(folder: &Path, capacity: usize) -> Result<EmbeddedStore, OpenError> {
    let sessions = SessionBounds { total: capacity, per_subject: 3, revocations: capacity };
    let bounds = Bounds { nonces: capacity, proofs: capacity, answers: capacity, sessions };
    EmbeddedStore::open(Folder::take(folder)?, bounds, &OsEntropy)
}

pub(super) fn opened(folder: &Path) -> EmbeddedStore {
    opening(folder, 1000).unwrap()
}

pub(super) fn new_folder() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("store");
    (outer, folder)
}

fn names(session: &Session) -> TokenNames<'_> {
    TokenNames {
        jti: Some("token"),
        session: Some(session.id),
        subject: &session.subject,
        keys: [session.bound_to, session.proven],
        issued_at: session.created_at,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::sync::atomic::AtomicUsize::new(0);
    contract::check(&|capacity| {
        let name = made.fetch_add(1, Ordering::Relaxed).to_string();
        Arc::new(opening(&folder.path().join(name), capacity).unwrap())
    })
    .await;
}

#[tokio::test]
async fn each_verb_is_kept_when_it_returns() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    assert!(!store.has_forgotten_proofs());
    let (secret, life) = (store.session_secret(), store.identity.life);
    let first = session("did:key:a", true, NOW);
    assert!(store.open(first.clone(), NOW, NOW).await.is_ok());
    drop(store);

    let store = opened(&folder);
    assert!(store.has_forgotten_proofs());
    assert_eq!((store.session_secret().expose(), store.identity.life), (secret.expose(), life));
    assert_eq!(store.session(first.id, NOW).await, Ok(as_kept(&first)));
    assert!(
        store
            .rotate(as_kept(&first), 0, by(first.bound_to, NOW.plus(1)), NOW.plus(1))
            .await
            .is_ok()
    );
    drop(store);

    let store = opened(&folder);
    assert_eq!(store.session(first.id, NOW).await.unwrap().usage.generation, 1);
    let reused =
        store.rotate(as_kept(&first), 7, by(first.bound_to, NOW.plus(1)), NOW.plus(1)).await;
    assert!(reused.is_ok(), "ahead of the record, by the key's holder");
    let reused =
        store.rotate(as_kept(&first), 0, by(first.bound_to, NOW.plus(1)), NOW.plus(1)).await;
    assert_eq!(reused.err(), Some(SessionError::Reused));
    drop(store);

    let store = opened(&folder);
    assert_eq!(*store.latest().borrow(), 1);
    assert_eq!(store.session(first.id, NOW).await.err(), Some(SessionError::Ended));
    assert_eq!(store.is_revoked(&names(&first), NOW).await, Ok(true));
    let place = store.revocations(None, 10, NOW).await.unwrap().next;
    assert!(store.revoke(&Revocation::Subject("did:key:b".to_owned()), NOW).await.is_ok());
    drop(store);

    let store = opened(&folder);
    let page = store.revocations(Some(place), 10, NOW).await.unwrap();
    assert_eq!((page.entries.len(), page.next.sequence), (1, 2), "the cursor goes on");
    let late = store.open(session("did:key:b", true, NOW), NOW.minus(5), NOW).await;
    assert_eq!(late.err(), Some(SessionError::Ended));
    assert_eq!(store.check(NOW).unwrap().faults, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_share_a_flush_and_a_refusal_among_them_disturbs_nobody() {
    let (_outer, folder) = new_folder();
    let store = Arc::new(opened(&folder));
    let tasks: Vec<_> = (0..400)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let session = session(&format!("did:key:{n}"), true, NOW);
                let opened = store.open(session.clone(), NOW, NOW).await.is_ok();
                // Half of them ask for what the writer refuses, in between.
                let unknown = self::session("did:key:x", true, NOW);
                let holder = by(unknown.bound_to, NOW);
                let refused = store.rotate(as_kept(&unknown), 0, holder, NOW).await.err();
                opened && refused == Some(SessionError::Ended)
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    let report = store.check(NOW).unwrap();
    assert_eq!((report.sessions, report.live, report.faults), (400, 400, 0));
    assert!(store.commits() < 400, "{} flushes for 800 verbs", store.commits());
}

#[tokio::test]
async fn what_is_over_is_cleared_away_and_nothing_else() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    for n in 0..300 {
        let lasting = n % 3 == 0;
        let ends_at = if lasting { NOW.plus(5000) } else { NOW.plus(10) };
        let session = Session { ends_at, ..session(&format!("did:key:{n}"), true, NOW) };
        assert!(store.open(session, NOW, NOW).await.is_ok());
        let revocation = Revocation::Token { jti: n.to_string(), expires_at: ends_at };
        store.revoke(&revocation, NOW).await.unwrap();
    }
    store.sweep(NOW.plus(200)).await;
    let report = store.check(NOW.plus(200)).unwrap();
    let left = (report.sessions, report.live, report.revocations, report.published);
    assert_eq!((left, report.faults), ((100, 100, 100, 100), 0));
}

fn damaged(folder: &Path) -> String {
    let file = fs::read(folder.join(FILE)).unwrap();
    let error = opening(folder, 10).unwrap_err();
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), file, "it was not touched");
    error.to_string()
}

#[tokio::test]
async fn what_is_no_whole_store_is_refused_and_left_alone() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    for n in 0..50 {
        assert!(store.open(session(&format!("did:key:{n}"), true, NOW), NOW, NOW).await.is_ok());
    }
    drop(store);
    let whole = fs::read(folder.join(FILE)).unwrap();
    let file = folder.join(FILE);
    for length in [0, 1, 512, 4096, 8192, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let told = damaged(&folder);
        assert!(told.contains(FILE) && told.contains("estore a backup"), "{length}: {told}");
    }
    for foreign in [vec![0; 100_000], b"not a store ".repeat(10_000)] {
        fs::write(&file, foreign).unwrap();
        assert!(damaged(&folder).contains("estore a backup"));
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(opened(&folder).check(NOW).unwrap().sessions, 50);
}

/// The pages that hold something have checksums, which are compared when the file is opened. What
/// lies in unused pages can change without anybody noticing, and matters to nobody.
#[tokio::test]
async fn a_flipped_bit_is_noticed_or_touches_nothing() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    let mut sessions = Vec::new();
    for n in 0..200 {
        let session = session(&format!("did:key:{n}"), true, NOW);
        assert!(store.open(session.clone(), NOW, NOW).await.is_ok());
        sessions.push(session);
    }
    drop(store);
    let whole = fs::read(folder.join(FILE)).unwrap();
    let (mut noticed, mut harmless) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(folder.join(FILE), &flipped).unwrap();
        match opening(&folder, 1000) {
            Err(error) => {
                assert!(!error.to_string().is_empty());
                noticed += 1;
            }
            Ok(store) => {
                assert_eq!(store.check(NOW).unwrap().faults, 0, "at {at}");
                for session in &sessions {
                    assert_eq!(store.session(session.id, NOW).await, Ok(as_kept(session)), "{at}");
                }
                harmless += 1;
            }
        }
    }
    assert!(noticed > 0 && harmless > 0, "{noticed} noticed, {harmless} harmless");
}

#[tokio::test]
async fn one_process_and_one_user_have_the_folder() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(FILE))), (0o700, 0o600));
    let second = opening(&folder, 10).unwrap_err();
    assert!(matches!(second, OpenError::InUse(_)), "{second}");
    drop(store);
    for (path, shared, private) in
        [(folder.clone(), 0o750, 0o700), (folder.join(FILE), 0o604, 0o600)]
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(shared)).unwrap();
        let told = opening(&folder, 10).unwrap_err().to_string();
        assert!(told.contains(&format!("mode {shared:o}")) && told.contains("chmod"), "{told}");
        fs::set_permissions(&path, fs::Permissions::from_mode(private)).unwrap();
    }
    opened(&folder);
}

#[tokio::test]
async fn a_check_finds_what_does_not_hold_together() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    let kept = session("did:key:a", true, NOW);
    assert!(store.open(kept.clone(), NOW, NOW).await.is_ok());
    let mut used = session("did:key:c", true, NOW);
    used.usage = Usage::begun(5, NOW);
    assert!(store.open(used.clone(), NOW, NOW).await.is_ok());
    let other = Revocation::Subject("did:key:b".to_owned());
    store.revoke(&other, NOW).await.unwrap();
    drop(store);
    let database = Database::open(folder.join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(tables::FEED).unwrap().remove(1).unwrap();
    let mut sessions = transaction.open_table(tables::SESSIONS).unwrap();
    sessions.insert(&[9; 16], &b"no record"[..]).unwrap();
    drop(sessions);
    let mut usage = transaction.open_table(tables::USAGE).unwrap();
    usage.insert(&[8; 16], (1, 2, 3)).unwrap();
    usage.insert(used.id.as_bytes(), (1, 2, 3)).unwrap();
    drop(usage);
    transaction.commit().unwrap();
    drop(database);

    let store = opened(&folder);
    let report = store.check(NOW).unwrap();
    let told = report.first_faults.join("\n");
    for part in ["cannot be read", "must be published", "is no session", "is behind"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(report.faults, 4);
    // Its own verb fails, and others do not.
    let spoiled = SessionId::from_bytes([9; 16]);
    assert_eq!(store.session(spoiled, NOW).await, Err(SessionError::Unavailable));
    let over = verbs::Over { sessions: vec![spoiled], ..verbs::Over::default() };
    assert_eq!(store.write(Verb::Forget(over), NOW).await, Err(SessionError::Unavailable));
    assert!(store.rotate(as_kept(&kept), 0, by(kept.bound_to, NOW), NOW).await.is_ok());
    assert!(store.is_available());
}

/// The index lies in memory: it is made again of the file, and follows what ends and what comes to nothing.
#[tokio::test]
async fn sessions_are_found_by_subject_and_key_in_every_process() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    let (a, b, c) = ("did:key:a", "did:key:b", "did:key:c");
    let mut kept = Vec::new();
    for (n, subject) in [a, a, b, b, c].into_iter().enumerate() {
        let opened = session(subject, true, NOW.plus(n as u64));
        assert!(store.open(opened.clone(), NOW, NOW).await.is_ok());
        kept.push(opened);
    }
    drop(store);
    let store = opened(&folder);
    assert_eq!(store.sessions_of(a, NOW).await, Ok(kept[..2].to_vec()));
    store.revoke(&Revocation::Subject(a.to_owned()), NOW).await.unwrap();
    store.revoke(&Revocation::Key(kept[2].bound_to.unwrap()), NOW).await.unwrap();
    assert_eq!(store.sessions_of(a, NOW).await, Ok(vec![]));
    drop(store);
    let store = opened(&folder);
    let left = store.sessions_of(b, NOW).await.unwrap();
    assert!(left.iter().all(|left| left.bound_to != kept[2].bound_to), "{left:?}");
    let over = left.len() + 1;
    assert_eq!(store.check(NOW).unwrap().sessions as usize, over);
    store.revoke(&Revocation::Everything, NOW).await.unwrap();
    assert_eq!(store.sessions_of(c, NOW).await, Ok(vec![]));
    let after = session(c, true, NOW.plus(9));
    assert!(store.open(after.clone(), NOW.plus(9), NOW.plus(9)).await.is_ok());
    assert_eq!(store.sessions_of(c, NOW.plus(9)).await, Ok(vec![after]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_one_moment_while_sessions_are_opened() {
    let (outer, folder) = new_folder();
    let store = Arc::new(opened(&folder));
    let out = outer.path().join("backup.redb");
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for n in 0..200 {
                assert!(
                    store.open(session(&format!("did:key:{n}"), true, NOW), NOW, NOW).await.is_ok()
                );
            }
        }
    });
    store.revoke(&Revocation::Subject("did:key:x".to_owned()), NOW).await.unwrap();
    store.backup(&out).unwrap();
    writing.await.unwrap();
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let again = store.backup(&out).unwrap_err();
    assert!(again.to_string().contains("backup.redb"), "{again}");
    drop(store);

    let other = Folder::take(&outer.path().join("other")).unwrap();
    let terms = Terms { replace: false, keep_sessions: true };
    let restored = restore(&other, &out, terms, NOW, &OsEntropy).unwrap();
    assert_eq!((restored.report.faults, restored.report.revocations), (0, 1));
    assert_eq!(restored.report.live, restored.report.sessions);
}

#[tokio::test]
async fn restoring_ends_everything_unless_it_is_told_not_to() {
    let (outer, folder) = new_folder();
    let store = opened(&folder);
    let kept = session("did:key:a", true, NOW);
    assert!(store.open(kept.clone(), NOW, NOW).await.is_ok());
    assert!(store.rotate(as_kept(&kept), 0, by(kept.bound_to, NOW), NOW).await.is_ok());
    let out = outer.path().join("backup.redb");
    store.backup(&out).unwrap();
    let place = store.revocations(None, 10, NOW).await.unwrap().next;
    let secret = store.session_secret();
    // What the backup does not know: the session went on twice, and another was opened.
    for generation in 1..3 {
        assert!(
            store.rotate(as_kept(&kept), generation, by(kept.bound_to, NOW), NOW).await.is_ok()
        );
    }
    assert!(store.open(session("did:key:b", true, NOW), NOW, NOW).await.is_ok());
    drop(store);

    let at_once = Terms { replace: false, keep_sessions: true };
    let there = restore(&Folder::take(&folder).unwrap(), &out, at_once, NOW, &OsEntropy);
    assert!(matches!(there.unwrap_err(), OpenError::Occupied(_)));
    let keeping = Terms { replace: true, keep_sessions: true };
    let restored = restore(&Folder::take(&folder).unwrap(), &out, keeping, NOW, &OsEntropy);
    let aside = restored.unwrap().kept_beside.unwrap();
    let store = opened(&folder);
    assert_ne!(store.identity.life, place.life, "cursors start over");
    assert_eq!(store.session_secret().expose(), secret.expose());
    let read = store.session(kept.id, NOW).await.unwrap();
    assert_eq!(read.usage.generation, 1);
    let went_on = store.rotate(read, 3, by(kept.bound_to, NOW), NOW).await.unwrap();
    assert_eq!(went_on.session().usage.generation, 4, "a token that is ahead of the record");
    drop(store);

    fs::remove_file(folder.join(FILE)).unwrap();
    let ending = Terms { replace: false, keep_sessions: false };
    let restored = restore(&Folder::take(&folder).unwrap(), &aside, ending, NOW, &OsEntropy);
    assert_eq!(restored.unwrap().report.live, 0, "of two");
    let store = opened(&folder);
    assert_eq!(store.is_revoked(&names(&kept), NOW).await, Ok(true));
    let page = store.revocations(Some(place), 10, NOW).await.unwrap();
    assert_eq!(page.entries.len(), 1, "and it is published");
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored() {
    let (outer, folder) = new_folder();
    let store = opened(&folder);
    assert!(store.open(session("did:key:a", true, NOW), NOW, NOW).await.is_ok());
    let out = outer.path().join("backup.redb");
    store.backup(&out).unwrap();
    drop(store);
    let before = fs::read(folder.join(FILE)).unwrap();
    let backup = fs::read(&out).unwrap();
    for length in [0, 4096, backup.len() / 2] {
        fs::write(&out, &backup[..length]).unwrap();
        let terms = Terms { replace: true, keep_sessions: false };
        let folder = Folder::take(&folder).unwrap();
        let told = restore(&folder, &out, terms, NOW, &OsEntropy).unwrap_err().to_string();
        assert!(told.contains("backup.redb"), "{told}");
    }
    assert_eq!(fs::read(folder.join(FILE)).unwrap(), before);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "the store and its lock");
}

#[test]
fn an_empty_store_has_its_tables() {
    let (_outer, folder) = new_folder();
    drop(opened(&folder));
    let database = Database::open(folder.join(FILE)).unwrap();
    let snapshot = database.begin_read().unwrap();
    assert_eq!(snapshot.open_table(tables::SESSIONS).unwrap().len().unwrap(), 0);
}
