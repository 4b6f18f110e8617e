//! What every engine does at its bounds: it refuses, and what it refuses has not half happened.

use std::sync::Arc;

use super::{NOW, as_kept, by, names, opened};
use crate::model::revocation::{Revocation, Target};
use crate::model::session::Session;
use crate::model::session::tests::session;
use crate::store::{SessionError, Store};

/// Runs this part of the suite.
pub(super) async fn check(make: &dyn Fn(usize) -> Arc<dyn Store>) {
    a_full_store_still_revokes_everything(make(2)).await;
    what_a_full_store_cannot_publish_is_not_called_done(make(2)).await;
    reuse_has_a_reserve_and_no_more(make(8)).await;
    a_full_store_opens_no_session(make(2)).await;
}

/// As many revocations as requests may make.
async fn fill(store: &Arc<dyn Store>, revocations: usize) {
    for jti in 0..revocations {
        let token = Revocation::Token { jti: jti.to_string(), expires_at: NOW.plus(300) };
        store.revoke(&token, NOW).await.unwrap();
    }
}

/// Whoever uses an old refresh token ends the session in any case, and cannot make the feed as long as they like.
async fn reuse_has_a_reserve_and_no_more(store: Arc<dyn Store>) {
    let mut stolen: Vec<Session> = Vec::new();
    for name in ["did:key:a", "did:key:b"] {
        stolen.push(opened(&store, name, true).await);
    }
    fill(&store, 8).await;
    for session in &stolen {
        let holder = by(session.bound_to, NOW);
        for generation in 0..2 {
            assert!(store.rotate(as_kept(session), generation, holder, NOW).await.is_ok());
        }
        let reused = store.rotate(as_kept(session), 0, holder, NOW).await;
        assert_eq!(reused.err(), Some(SessionError::Reused));
        assert_eq!(store.session(session.id, NOW).await, Err(SessionError::Ended));
    }
    // An eighth of eight.
    assert_eq!(store.is_revoked(&names(&stolen[0]), NOW).await, Ok(true));
    assert_eq!(store.is_revoked(&names(&stolen[1]), NOW).await, Ok(false));
    assert_eq!(store.revocations(None, 100, NOW).await.unwrap().entries.len(), 9);
}

/// There is always room for the one entry of everything.
async fn a_full_store_still_revokes_everything(store: Arc<dyn Store>) {
    fill(&store, 2).await;
    store.revoke(&Revocation::TokensBefore(NOW), NOW).await.unwrap();
    store.revoke(&Revocation::Everything, NOW).await.unwrap();
    let page = store.revocations(None, 10, NOW).await.unwrap();
    assert_eq!(page.entries.last().unwrap().target, Target::Everything);
}

/// Where there is no room for the entry, sessions end all the same, and whoever asks again is told that the
/// rest is still to be done.
async fn what_a_full_store_cannot_publish_is_not_called_done(store: Arc<dyn Store>) {
    let named = opened(&store, "did:key:a", true).await;
    let of_group = opened(&store, "did:key:b", true).await;
    fill(&store, 2).await;
    for refused in [SessionError::Unpublished, SessionError::Full] {
        let ended = store.revoke(&Revocation::Session(named.id), NOW).await;
        assert_eq!(ended, Err(refused));
        assert_eq!(store.session(named.id, NOW).await, Err(SessionError::Ended));
        assert_eq!(store.is_revoked(&names(&named), NOW).await, Ok(false));
    }
    let subject = Revocation::Subject(of_group.subject.clone());
    assert_eq!(store.revoke(&subject, NOW).await, Err(SessionError::Unpublished));
    let rotated = store.rotate(as_kept(&of_group), 0, by(of_group.bound_to, NOW), NOW).await;
    assert_eq!(rotated.err(), Some(SessionError::Ended));
    assert_eq!(store.is_revoked(&names(&of_group), NOW).await, Ok(false));
    assert_eq!(store.revoke(&subject, NOW).await, Err(SessionError::Full), "nothing left to end");
    // Once there is room, asking again does it.
    store.sweep(NOW.plus(300 + 121)).await;
    for (revocation, session) in [(Revocation::Session(named.id), &named), (subject, &of_group)] {
        store.revoke(&revocation, NOW).await.unwrap();
        assert_eq!(store.is_revoked(&names(session), NOW).await, Ok(true));
    }
}

async fn a_full_store_opens_no_session(store: Arc<dyn Store>) {
    let first = opened(&store, "did:key:a", true).await;
    opened(&store, "did:key:b", true).await;
    let third = store.open(session("did:key:c", true, NOW), NOW, NOW).await;
    assert_eq!(third.err(), Some(SessionError::Full));
    assert!(
        store.rotate(as_kept(&first), 0, by(first.bound_to, NOW), NOW).await.is_ok(),
        "nothing evicted"
    );
    store.revoke(&Revocation::Session(first.id), NOW).await.unwrap();
    assert!(store.open(session("did:key:c", true, NOW), NOW, NOW).await.is_ok());
}
