//! A folder of sessions: what it takes, what it refuses, and who waits for whom.

use super::super::kept::KeptError;
use super::super::{AccessToken, KeptKey, RefreshToken, Token};
use super::*;
use crate::time::Timestamp;

fn session(text: &str) -> KeptSession {
    KeptSession {
        issuer: "https://auth.example".to_owned(),
        domain: None,
        label: None,
        token: Token {
            access_token: AccessToken::new(text).unwrap(),
            issued_at: Timestamp::from_unix(1),
            expires_at: Timestamp::from_unix(300),
            scope: "read".to_owned(),
            sub: "did:key:x".to_owned(),
            resource: None,
            refresh_token: RefreshToken::new("refresh-1"),
            session_id: None,
        },
        key: KeptKey::Elsewhere("/a.pem".to_owned()),
        jkt: None,
    }
}

fn name(text: &str) -> SessionName {
    SessionName::new(text).unwrap()
}

fn store(folder: &Path) -> FileSessionStore {
    FileSessionStore::new(folder.join("deep/sessions"))
}

async fn access_token(store: &FileSessionStore, name: &SessionName) -> Option<String> {
    let kept = store.load(name).await.unwrap();
    kept.map(|kept| kept.token.access_token.expose().to_owned())
}

#[tokio::test]
async fn a_session_is_kept_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, demo) = (store(folder.path()), name("demo"));
    assert_eq!((access_token(&store, &demo).await, store.names().unwrap()), (None, vec![]));
    for text in ["token-1", "token-2"] {
        let _held = store.lock(&demo).await.unwrap();
        store.save(&demo, &session(text)).await.unwrap();
        assert_eq!(access_token(&store, &demo).await.as_deref(), Some(text));
    }
    store.save(&name("other"), &session("token-3")).await.unwrap();
    assert_eq!(store.names().unwrap(), [name("demo"), name("other")]);
    let held = store.lock(&demo).await.unwrap();
    store.remove(&demo).await.unwrap();
    drop(held);
    assert_eq!(access_token(&store, &demo).await, None);
    // Nothing is left of it, the lock neither.
    let left = fs::read_dir(folder.path().join("deep/sessions")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other.json"]);
}

#[cfg(unix)]
#[tokio::test]
async fn what_others_can_reach_is_refused() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let (store, demo) = (store(folder.path()), name("demo"));
    store.save(&demo, &session("token-1")).await.unwrap();
    let (file, inner) = (store.path_of(&demo), folder.path().join("deep/sessions"));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&file), mode(&inner)), (0o600, 0o700));
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (mode, taken) in [(0o640, false), (0o602, false), (0o400, true), (0o600, true)] {
        set(&file, mode);
        assert_eq!(store.load(&demo).await.is_ok(), taken, "{mode:o}");
    }
    set(&inner, 0o755);
    assert!(store.lock(&demo).await.is_err());
    assert!(store.save(&demo, &session("token-2")).await.is_err());
    set(&inner, 0o700);
    assert_eq!(access_token(&store, &demo).await.as_deref(), Some("token-1"));
}

#[tokio::test]
async fn a_broken_file_is_told_of_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, demo) = (store(folder.path()), name("demo"));
    store.save(&demo, &session("hush")).await.unwrap();
    let path = store.path_of(&demo);
    let whole = fs::read_to_string(&path).unwrap();
    for text in [&whole[..whole.len() / 2], "", "{\"version\":2}", "hush"] {
        fs::write(&path, text).unwrap();
        let refused = store.load(&demo).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Kept { fault: KeptError::Broken, .. }));
        assert!(!format!("{refused} {refused:?}").contains("hush"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, "a".repeat(MAX_KEPT_BYTES + 1)).unwrap();
    assert!(store.load(&demo).await.is_err());
    fs::write(&path, whole.replace("\"version\": 2", "\"version\": 9")).unwrap();
    let newer = store.load(&demo).await.unwrap_err();
    assert!(matches!(newer, StoreError::Kept { fault: KeptError::Newer, .. }), "{newer}");
}

#[tokio::test]
async fn one_holds_the_lock_and_the_others_wait() {
    let folder = tempfile::tempdir().unwrap();
    let demo = name("demo");
    let ours = store(folder.path());
    let held = ours.lock(&demo).await.unwrap();
    let hurried = ours.clone().patience(Duration::from_millis(60));
    assert!(matches!(hurried.lock(&demo).await, Err(StoreError::Busy(_))));
    // Another name is another lock.
    assert!(hurried.lock(&name("other")).await.is_ok());
    let waiting = tokio::spawn({
        let (store, demo) = (ours.clone(), demo.clone());
        async move { store.lock(&demo).await }
    });
    // Removed under the one who waits: what it gets is the lock that others see, too.
    ours.remove(&demo).await.unwrap();
    drop(held);
    let held = waiting.await.unwrap().unwrap();
    assert!(hurried.lock(&demo).await.is_err());
    drop(held);
    assert!(hurried.lock(&demo).await.is_ok());
}

#[tokio::test]
async fn a_half_that_was_left_is_swept_and_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let (store, demo) = (store(folder.path()), name("demo"));
    store.save(&demo, &session("token-1")).await.unwrap();
    let inner = folder.path().join("deep/sessions");
    let (left, theirs) = (inner.join(".demo.1.0.new"), inner.join(".demo2.1.0.new"));
    fs::write(&left, "half").unwrap();
    fs::write(&theirs, "half").unwrap();
    drop(store.lock(&demo).await.unwrap());
    assert_eq!((left.exists(), theirs.exists()), (false, true));
    assert_eq!(access_token(&store, &demo).await.as_deref(), Some("token-1"));
}

/// Between opening the lock's file and locking it, its holder may have removed it.
#[cfg(unix)]
#[test]
fn a_lock_on_a_file_that_was_removed_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let file = private_file::open_marker(&path).unwrap();
    assert!(is_at(&file, &path));
    fs::remove_file(&path).unwrap();
    assert!(!is_at(&file, &path));
    let other = private_file::open_marker(&path).unwrap();
    assert!(is_at(&other, &path) && !is_at(&file, &path));
}
