//! What every engine must do, as a suite that each engine's own test runs.
//!
//! Compiled into tests alone.
#![cfg(test)]

use std::sync::Arc;

use countersign_sdk::chain::lnurl::Answer;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::replay::{ClaimError, ReplayKey};
use countersign_sdk::time::Timestamp;

use super::{KeptSession, ProvenKey, SessionError, Store, StoreError};
use crate::model::revocation::{Revocation, Target, TokenNames};
use crate::model::session::Session;
use crate::model::session::tests::session;
use crate::wallet::policy::{NonceOrigin, OpenedNonce};

mod full;

const NOW: Timestamp = Timestamp::from_unix(1_000_000);

/// Runs the suite over stores that `make` builds with the given bound of each kind, and three sessions
/// for each subject.
pub(crate) async fn check(make: &dyn Fn(usize) -> Arc<dyn Store>) {
    one_spend_wins(make(100)).await;
    one_claim_wins(make(100)).await;
    the_first_answer_stands(make(100)).await;
    a_full_store_holds_no_further_answer(make(2)).await;
    expiry_frees_and_fullness_refuses(make(2)).await;
    nonces_and_proofs_do_not_crowd_each_other(make(1)).await;
    one_rotation_wins_and_all_get_its_successor(make(100)).await;
    a_wrong_holder_changes_nothing(make(100)).await;
    reuse_ends_this_session_alone(make(100)).await;
    sessions_end_by_time(make(100)).await;
    a_group_is_cut_off(make(100)).await;
    a_signature_of_before_opens_nothing_after_its_subject_was_cut_off(make(100)).await;
    a_clock_that_was_set_back_hides_nothing(make(100)).await;
    a_request_that_was_held_up_ends_nothing(make(100)).await;
    what_was_repeated_ends_with_its_session(make(100)).await;
    one_session_too_many_displaces_the_longest_unused(make(100)).await;
    full::check(make).await;
    revocations_are_paged_and_forgotten(make(100)).await;
}

/// Proven at that moment.
pub(crate) fn by(key: Option<Thumbprint>, at: Timestamp) -> Option<ProvenKey> {
    key.map(|jkt| ProvenKey { jkt, at })
}

/// As the store gave it out, or would have.
pub(crate) fn as_kept(session: &Session) -> KeptSession {
    KeptSession::assertion(session.clone())
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

async fn opened(store: &Arc<dyn Store>, subject: &str, bound: bool) -> Session {
    let live = store.open(session(subject, bound, NOW), NOW, NOW).await.unwrap();
    live.session().clone()
}

fn answer(byte: u8) -> Answer {
    Answer { key: [byte; 33], signature: [byte; 64] }
}

async fn the_first_answer_stands(store: Arc<dyn Store>) {
    let (digest, until) = ([7; 32], NOW.plus(300));
    assert_eq!(store.answer_to(&digest, NOW).await, Ok(None));
    let tasks: Vec<_> = (0..32)
        .map(|byte| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let held = store.hold_answer(digest, answer(byte), until, NOW).await;
                held.map(|()| byte)
            })
        })
        .collect();
    let mut first = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(byte) => first.push(byte),
            Err(error) => assert_eq!(error, StoreError::Used),
        }
    }
    let [first] = first[..] else { panic!("{first:?}") };
    // The same key again is no other answer, and changes nothing.
    let again = Answer { signature: [99; 64], ..answer(first) };
    assert_eq!(store.hold_answer(digest, again, until, NOW).await, Ok(()));
    assert_eq!(store.answer_to(&digest, until).await, Ok(Some(answer(first))));
    assert_eq!(store.answer_to(&[8; 32], NOW).await, Ok(None));
    // It ends with its challenge, swept or not.
    let after = until.plus(1);
    assert_eq!(store.answer_to(&digest, after).await, Ok(None));
    assert_eq!(store.hold_answer(digest, answer(77), after.plus(9), after).await, Ok(()));
    store.sweep(after).await;
    assert_eq!(store.answer_to(&digest, after).await, Ok(Some(answer(77))));
    store.forget_answer(&digest).await;
    assert_eq!(store.answer_to(&digest, after).await, Ok(None));
}

async fn a_full_store_holds_no_further_answer(store: Arc<dyn Store>) {
    for byte in 0..2 {
        let held = store.hold_answer([byte; 32], answer(byte), NOW.plus(byte.into()), NOW).await;
        assert_eq!(held, Ok(()));
    }
    let third = || store.hold_answer([2; 32], answer(2), NOW.plus(9), NOW);
    assert_eq!(third().await, Err(StoreError::Full));
    store.forget_answer(&[1; 32]).await;
    assert_eq!(third().await, Ok(()), "what was fetched makes room");
    store.forget_answer(&[2; 32]).await;
    assert_eq!(store.hold_answer([1; 32], answer(1), NOW.plus(1), NOW).await, Ok(()));
    assert_eq!(third().await, Err(StoreError::Full));
    assert_eq!(store.answer_to(&[0; 32], NOW).await, Ok(Some(answer(0))), "nothing is evicted");
    assert_eq!(store.hold_answer([0; 32], answer(0), NOW, NOW).await, Ok(()), "nor refused again");
    store.sweep(NOW.plus(1)).await;
    assert_eq!(third().await, Ok(()));
}

async fn one_rotation_wins_and_all_get_its_successor(store: Arc<dyn Store>) {
    for bound in [true, false] {
        let session = opened(&store, "did:key:rotates", bound).await;
        for generation in 0..3 {
            let tasks: Vec<_> = (0..32)
                .map(|_| {
                    let (store, session) = (Arc::clone(&store), session.clone());
                    tokio::spawn(async move {
                        let rotated = store
                            .rotate(as_kept(&session), generation, by(session.bound_to, NOW), NOW)
                            .await;
                        rotated.map(|live| live.session().usage.generation)
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), Ok(generation + 1));
            }
        }
        let kept = store.session(session.id, NOW).await.unwrap();
        assert_eq!((kept.usage.generation, &kept.subject), (3, &session.subject));
    }
}

async fn a_wrong_holder_changes_nothing(store: Arc<dyn Store>) {
    let bound = opened(&store, "did:key:a", true).await;
    let other = session("did:key:b", true, NOW).bound_to;
    for holder in [None, other, bound.proven] {
        for generation in [0, 7] {
            let rotated = store.rotate(as_kept(&bound), generation, by(holder, NOW), NOW).await;
            assert_eq!(rotated.err(), Some(SessionError::OtherKey));
        }
    }
    let unbound = opened(&store, "did:key:c", false).await;
    let rotated = store.rotate(as_kept(&unbound), 0, by(other, NOW), NOW).await;
    assert_eq!(rotated.err(), Some(SessionError::OtherKey));
    assert_eq!(store.session(bound.id, NOW).await, Ok(as_kept(&bound)));
    assert_eq!(store.session(unbound.id, NOW).await, Ok(as_kept(&unbound)));
}

async fn reuse_ends_this_session_alone(store: Arc<dyn Store>) {
    let [stolen, other] =
        [opened(&store, "did:key:a", true).await, opened(&store, "did:key:a", true).await];
    let changed = store.latest();
    for generation in 0..2 {
        assert!(
            store.rotate(as_kept(&stolen), generation, by(stolen.bound_to, NOW), NOW).await.is_ok()
        );
    }
    assert!(!changed.has_changed().unwrap());
    let rotated = store.rotate(as_kept(&stolen), 0, by(stolen.bound_to, NOW), NOW).await;
    assert_eq!(rotated.err(), Some(SessionError::Reused));
    assert!(changed.has_changed().unwrap(), "the end is published");
    for generation in 0..3 {
        let rotated =
            store.rotate(as_kept(&stolen), generation, by(stolen.bound_to, NOW), NOW).await;
        assert_eq!(rotated.err(), Some(SessionError::Ended));
    }
    assert_eq!(store.is_revoked(&names(&stolen), NOW).await, Ok(true));
    assert_eq!(store.is_revoked(&names(&other), NOW).await, Ok(false));
    assert!(store.rotate(as_kept(&other), 0, by(other.bound_to, NOW), NOW).await.is_ok());
}

async fn sessions_end_by_time(store: Arc<dyn Store>) {
    let session = opened(&store, "did:key:a", true).await;
    let last = session.ends_at.minus(1);
    assert!(store.rotate(as_kept(&session), 0, by(session.bound_to, last), last).await.is_ok());
    let rotated = store
        .rotate(as_kept(&session), 1, by(session.bound_to, session.ends_at), session.ends_at)
        .await;
    assert_eq!(rotated.err(), Some(SessionError::Ended));
    assert_eq!(store.sessions_of(&session.subject, last).await.unwrap().len(), 1);
    assert_eq!(store.sessions_of(&session.subject, session.ends_at).await, Ok(Vec::new()));
    store.sweep(session.ends_at).await;
    assert_eq!(store.session(session.id, last).await, Err(SessionError::Ended), "swept");
}

async fn a_group_is_cut_off(store: Arc<dyn Store>) {
    let of_subject = opened(&store, "did:key:a", true).await;
    let of_key = opened(&store, "did:key:b", true).await;
    let of_proven = opened(&store, "did:key:c", true).await;
    let bystander = opened(&store, "did:key:d", true).await;
    for (key, session) in [(of_key.bound_to, &of_key), (of_proven.proven, &of_proven)] {
        let found = store.sessions_by_key(key.unwrap(), NOW).await;
        assert_eq!(found, Ok(vec![session.clone()]));
        assert_eq!(store.sessions_by_key(key.unwrap(), session.ends_at).await, Ok(vec![]));
    }
    for revocation in [
        Revocation::Subject(of_subject.subject.clone()),
        Revocation::Key(of_key.bound_to.unwrap()),
        Revocation::Key(of_proven.proven.unwrap()),
    ] {
        store.revoke(&revocation, NOW).await.unwrap();
    }
    // Long after, when nothing is left of the entry.
    let later = NOW.plus(1800);
    for session in [&of_subject, &of_key, &of_proven] {
        let rotated = store.rotate(as_kept(session), 0, by(session.bound_to, NOW), NOW).await;
        assert_eq!(rotated.err(), Some(SessionError::Ended));
        assert_eq!(store.is_revoked(&names(session), NOW).await, Ok(true));
        assert_eq!(store.sessions_of(&session.subject, NOW).await, Ok(Vec::new()));
        let by_key = store.sessions_by_key(session.bound_to.unwrap(), NOW).await;
        assert_eq!(by_key, Ok(Vec::new()));
    }
    let of_afterwards = TokenNames { issued_at: NOW.plus(1), ..names(&of_subject) };
    assert_eq!(store.is_revoked(&of_afterwards, NOW).await, Ok(false), "a token of afterwards");
    store.sweep(later).await;
    assert!(store.revocations(None, 10, NOW).await.unwrap().entries.is_empty(), "swept");
    let rotated = store.rotate(as_kept(&of_key), 0, by(of_key.bound_to, later), later).await;
    assert_eq!(rotated.err(), Some(SessionError::Ended));
    assert!(store.rotate(as_kept(&bystander), 0, by(bystander.bound_to, NOW), NOW).await.is_ok());
    store.revoke(&Revocation::Everything, NOW).await.unwrap();
    let rotated = store.rotate(as_kept(&bystander), 1, by(bystander.bound_to, NOW), NOW).await;
    assert_eq!(rotated.err(), Some(SessionError::Ended));
}

async fn a_signature_of_before_opens_nothing_after_its_subject_was_cut_off(store: Arc<dyn Store>) {
    let subject = "did:key:a";
    store.revoke(&Revocation::Subject(subject.to_owned()), NOW).await.unwrap();
    let later = NOW.plus(300);
    for signed_from in [NOW.minus(100), NOW] {
        let under_way = store.open(session(subject, true, later), signed_from, later).await;
        assert_eq!(under_way.err(), Some(SessionError::Ended));
    }
    let after = store.open(session(subject, true, later), NOW.plus(1), later).await.unwrap();
    assert_eq!(store.is_revoked(&names(after.session()), later).await, Ok(false));
}

/// A clock that is set back does not hide from a revocation what was dated by it before.
async fn a_clock_that_was_set_back_hides_nothing(store: Arc<dyn Store>) {
    let session = opened(&store, "did:key:a", true).await;
    assert!(store.claim(ReplayKey::of_bytes("contract", b"x"), NOW, NOW).await.is_ok());
    store.revoke(&Revocation::Subject(session.subject.clone()), NOW.minus(10)).await.unwrap();
    assert_eq!(store.is_revoked(&names(&session), NOW).await, Ok(true));
    let rotated = store.rotate(as_kept(&session), 0, by(session.bound_to, NOW), NOW).await;
    assert_eq!(rotated.err(), Some(SessionError::Ended));
}

async fn a_request_that_was_held_up_ends_nothing(store: Arc<dyn Store>) {
    let session = opened(&store, "did:key:a", true).await;
    for generation in 0..2 {
        let now = NOW.plus(20 * (u64::from(generation) + 1));
        assert!(
            store
                .rotate(as_kept(&session), generation, by(session.bound_to, now), now)
                .await
                .is_ok()
        );
    }
    let late = store.rotate(as_kept(&session), 0, by(session.bound_to, NOW), NOW.plus(55)).await;
    assert_eq!(late.err(), Some(SessionError::Late));
    let now = NOW.plus(60);
    assert!(store.rotate(as_kept(&session), 2, by(session.bound_to, now), now).await.is_ok());
}

/// A token that was given again for the predecessor ends with its session.
async fn what_was_repeated_ends_with_its_session(store: Arc<dyn Store>) {
    let session = opened(&store, "did:key:a", true).await;
    for generation in 0..2 {
        assert!(
            store
                .rotate(as_kept(&session), generation, by(session.bound_to, NOW), NOW)
                .await
                .is_ok()
        );
    }
    let later = NOW.plus(1100);
    let repeated =
        store.rotate(as_kept(&session), 1, by(session.bound_to, later), later).await.unwrap();
    assert_eq!(
        (repeated.session().usage.generation, repeated.session().usage.last_used_at),
        (2, later)
    );
    let (changed, reused) = (store.latest(), later.plus(1));
    let ended = store.rotate(as_kept(&session), 0, by(session.bound_to, reused), reused).await;
    assert_eq!(ended.err(), Some(SessionError::Reused));
    assert!(changed.has_changed().unwrap());
    let given = TokenNames { issued_at: later, ..names(&session) };
    assert_eq!(store.is_revoked(&given, reused).await, Ok(true));
}

async fn one_session_too_many_displaces_the_longest_unused(store: Arc<dyn Store>) {
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(opened(&store, "did:key:a", true).await);
    }
    for (used, at) in [(0, 5), (2, 6)] {
        let session: &Session = &sessions[used];
        assert!(
            store
                .rotate(as_kept(session), 0, by(session.bound_to, NOW.plus(at)), NOW.plus(at))
                .await
                .is_ok()
        );
    }
    let fourth = opened(&store, "did:key:a", true).await;
    assert_eq!(store.session(sessions[1].id, NOW).await, Err(SessionError::Ended));
    assert_eq!(store.is_revoked(&names(&sessions[1]), NOW).await, Ok(true));
    let left = store.sessions_of("did:key:a", NOW).await.unwrap();
    let mut expected = vec![sessions[0].id, sessions[2].id, fourth.id];
    expected.sort();
    assert_eq!(left.into_iter().map(|session| session.id).collect::<Vec<_>>(), expected);
}

async fn revocations_are_paged_and_forgotten(store: Arc<dyn Store>) {
    let jti = |n: u64| Revocation::Token { jti: n.to_string(), expires_at: NOW.plus(n) };
    for n in 0..5 {
        store.revoke(&jti(n), NOW).await.unwrap();
    }
    let targets = |page: &super::Page| -> Vec<Target> {
        page.entries.iter().map(|entry| entry.target.clone()).collect()
    };
    let named = |range: std::ops::Range<u64>| -> Vec<Target> {
        range.map(|n| Target::Token(n.to_string())).collect()
    };
    let first = store.revocations(None, 3, NOW).await.unwrap();
    assert_eq!((targets(&first), first.more), (named(0..3), true));
    let second = store.revocations(Some(first.next), 3, NOW).await.unwrap();
    assert_eq!((targets(&second), second.more), (named(3..5), false));
    let none = store.revocations(Some(second.next), 3, NOW).await.unwrap();
    assert!(none.entries.is_empty() && !none.more && none.next == second.next);
    // Again the first: it moves to the end, as one entry.
    store.revoke(&jti(0), NOW).await.unwrap();
    let moved = store.revocations(Some(second.next), 3, NOW).await.unwrap();
    assert_eq!(targets(&moved), named(0..1));
    let all = store.revocations(None, 100, NOW).await.unwrap();
    assert_eq!(all.entries.len(), 5);
    // A place of another life, or one that lies ahead, is none: everything again.
    for (life, sequence) in [([0xff; 8], 1), (moved.next.life, moved.next.sequence + 1)] {
        let place = super::Place { life, sequence };
        assert_eq!(store.revocations(Some(place), 100, NOW).await.unwrap().entries.len(), 5);
    }
    let later = store.revocations(None, 100, NOW.plus(120 + 3)).await.unwrap();
    assert_eq!(targets(&later), named(3..5), "what touched tokens that are over by now is gone");
    store.sweep(NOW.plus(120 + 3)).await;
    assert_eq!(store.revocations(None, 100, NOW).await.unwrap().entries.len(), 2, "swept");
}

fn nonce(name: &[u8], until: Timestamp) -> OpenedNonce {
    OpenedNonce {
        origin: NonceOrigin::Bare,
        spend_key: ReplayKey::of_bytes("contract", name),
        until,
    }
}

async fn one_spend_wins(store: Arc<dyn Store>) {
    let nonce = nonce(b"one", NOW.plus(300));
    assert_eq!(store.is_spent(&nonce, NOW).await, Ok(false));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.spend(&nonce, NOW).await.is_ok() })
        })
        .collect();
    let mut wins = 0;
    for task in tasks {
        wins += usize::from(task.await.unwrap());
    }
    assert_eq!(wins, 1, "of 64 concurrent spends");
    assert_eq!(store.spend(&nonce, NOW.plus(300)).await.err(), Some(StoreError::Used));
    assert_eq!(store.is_spent(&nonce, NOW.plus(300)).await, Ok(true));
    // Taken back, it is as if it had not been.
    store.unspend(&nonce).await;
    assert_eq!(store.is_spent(&nonce, NOW).await, Ok(false));
    assert!(store.spend(&nonce, NOW).await.is_ok());
}

async fn one_claim_wins(store: Arc<dyn Store>) {
    let key = ReplayKey::of_bytes("contract", b"key");
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.claim(key, NOW.plus(60), NOW).await.is_ok() })
        })
        .collect();
    let mut wins = 0;
    for task in tasks {
        wins += usize::from(task.await.unwrap());
    }
    assert_eq!(wins, 1, "of 64 concurrent claims");
    let again = store.claim(key, NOW.plus(60), NOW.plus(60)).await;
    assert_eq!(again.err(), Some(ClaimError::Replayed), "within its time");
}

async fn expiry_frees_and_fullness_refuses(store: Arc<dyn Store>) {
    let (first, second, third) =
        (nonce(b"1", NOW.plus(10)), nonce(b"2", NOW.plus(300)), nonce(b"3", NOW.plus(300)));
    assert!(store.spend(&first, NOW).await.is_ok());
    assert!(store.spend(&second, NOW).await.is_ok());
    assert_eq!(store.spend(&third, NOW).await.err(), Some(StoreError::Full));
    assert_eq!(store.spend(&second, NOW).await.err(), Some(StoreError::Used), "nothing evicted");
    store.sweep(NOW.plus(11)).await;
    assert!(store.spend(&third, NOW.plus(11)).await.is_ok(), "the expired one made room");
    assert_eq!(store.spend(&second, NOW.plus(11)).await.err(), Some(StoreError::Used));
}

async fn nonces_and_proofs_do_not_crowd_each_other(store: Arc<dyn Store>) {
    assert!(store.claim(ReplayKey::of_bytes("contract", b"a"), NOW.plus(60), NOW).await.is_ok());
    let full = store.claim(ReplayKey::of_bytes("contract", b"b"), NOW.plus(60), NOW).await;
    assert_eq!(full.err(), Some(ClaimError::Full));
    assert!(store.spend(&nonce(b"1", NOW.plus(300)), NOW).await.is_ok());
}
