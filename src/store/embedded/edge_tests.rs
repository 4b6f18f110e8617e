//! What happens to the file beside its verbs: who reads it for long, who reads while it is written, and what does not fit.

use std::fs;

use redb::{ReadableDatabase as _, ReadableTableMetadata as _};

use super::tests::{NOW, new_folder, opened};
use super::*;
use crate::model::revocation::Target;
use crate::model::session::tests::session;
use crate::store::contract::{as_kept, by};

fn token(jti: &str) -> Revocation {
    Revocation::Token { jti: jti.to_owned(), expires_at: NOW.plus(300) }
}

/// An entry moves when its target is revoked again, at any moment of somebody's reading.
#[tokio::test]
async fn a_page_has_what_was_revoked_again_while_it_was_read() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    for jti in ["a", "b", "a"] {
        store.revoke(&token(jti), NOW).await.unwrap();
    }
    // As one sees it who asked before the last of them was flushed, and reads after.
    store.shared.latest.send_replace(2);
    let page = store.revocations(None, 10, NOW).await.unwrap();
    let targets: Vec<_> = page.entries.into_iter().map(|entry| entry.target).collect();
    assert_eq!(targets, ["b", "a"].map(|jti| Target::Token(jti.to_owned())));
    assert_eq!((page.next.sequence, page.more), (3, false));
}

/// A name that its own reader refuses would stop the feed for everybody.
#[tokio::test]
async fn what_could_not_be_read_back_is_not_written() {
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    let long = |bytes: usize| format!("did:key:{}", "z".repeat(bytes));
    let revoked = store.revoke(&Revocation::Subject(long(70_000)), NOW).await;
    assert_eq!(revoked, Err(SessionError::Full));
    let mut other = session("did:key:a", true, NOW);
    other.label = Some(long(70_000));
    assert_eq!(store.open(other, NOW, NOW).await.err(), Some(SessionError::Full));
    assert!(store.revocations(None, 10, NOW).await.unwrap().entries.is_empty());
    assert_eq!(store.check(NOW).unwrap().faults, 0);
}

#[tokio::test]
async fn a_backup_removes_no_file_that_it_did_not_make() {
    let (outer, folder) = new_folder();
    let store = opened(&folder);
    let out = outer.path().join("backup.redb");
    let others = outer.path().join("backup.redb.unfinished");
    fs::write(&others, "somebody else's").unwrap();
    let refused = store.backup(&out).unwrap_err();
    assert!(matches!(refused, OpenError::Exists(path) if path == others));
    assert_eq!(fs::read_to_string(&others).unwrap(), "somebody else's");
    fs::remove_file(&others).unwrap();
    store.backup(&out).unwrap();
    assert!(out.exists() && !others.exists());
}

/// A file that has failed cannot be opened anew before everybody has let go of it.
#[tokio::test]
async fn whoever_reads_the_whole_file_stops_when_it_is_not_believed_any_more() {
    let (outer, folder) = new_folder();
    let store = opened(&folder);
    assert!(store.open(session("did:key:a", true, NOW), NOW, NOW).await.is_ok());
    let database = store.shared.database().unwrap();
    assert!(store.shared.believes(&database));
    store.shared.set(None);
    assert!(!store.shared.believes(&database));
    let believed = || store.shared.believes(&database);
    let out = outer.path().join("backup.redb");
    assert!(snapshot::backup(&database, &out, &believed).is_err());
    assert!(!out.exists() && !outer.path().join("backup.redb.unfinished").exists());
    assert!(snapshot::report(&database, &store.folder.file(), NOW, &believed).is_err());
}

/// However a session ends that was used, nothing of its use is left.
#[tokio::test]
async fn what_a_session_was_used_for_ends_with_it() {
    let ways: [fn(&Session) -> Revocation; 4] = [
        |session| Revocation::Session(session.id),
        |session| Revocation::Key(session.bound_to.unwrap()),
        |session| Revocation::Subject(session.subject.clone()),
        |_| Revocation::Everything,
    ];
    let (_outer, folder) = new_folder();
    let store = opened(&folder);
    let used = async |ends_at: Timestamp| {
        let session = Session { ends_at, ..session("did:key:a", true, NOW) };
        assert!(store.open(session.clone(), NOW.plus(9), NOW.plus(9)).await.is_ok());
        for generation in 0..2 {
            let holder = by(session.bound_to, NOW.plus(9));
            let read = store.session(session.id, NOW.plus(9)).await.unwrap();
            assert!(store.rotate(read, generation, holder, NOW.plus(9)).await.is_ok());
        }
        session
    };
    let nothing_left = || {
        let report = store.check(NOW).unwrap();
        assert_eq!((report.sessions, report.faults), (0, 0), "{:?}", report.first_faults);
        let database = store.shared.database().unwrap();
        let rows = database.begin_read().unwrap().open_table(tables::USAGE).unwrap();
        assert_eq!(rows.len().unwrap(), 0);
    };
    for way in ways {
        let session = used(NOW.plus(3600)).await;
        store.revoke(&way(&session), NOW).await.unwrap();
        nothing_left();
    }
    let session = used(NOW.plus(3600)).await;
    let reused = store.rotate(as_kept(&session), 0, by(session.bound_to, NOW.plus(9)), NOW.plus(9));
    assert_eq!(reused.await.err(), Some(SessionError::Reused));
    nothing_left();
    for _ in 0..4 {
        used(NOW.plus(3600)).await;
    }
    let report = store.check(NOW).unwrap();
    assert_eq!((report.sessions, report.faults), (3, 0), "the fourth ends the first");
    store.revoke(&Revocation::Everything, NOW).await.unwrap();
    let session = used(NOW.plus(10)).await;
    store.sweep(session.ends_at).await;
    nothing_left();
}
