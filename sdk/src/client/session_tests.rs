//! Who gets which token when: callers in each part of a token's life, and the one renewal for all.

use super::super::double_issuer::{Fate, Issuer, LIFE};
use super::*;

async fn text(session: &Session) -> String {
    session.access_token().await.unwrap().access_token.expose().to_owned()
}

#[tokio::test]
async fn in_its_last_third_a_token_is_used_while_it_is_renewed() {
    let issuer = Issuer::start().await;
    let session = issuer.session();
    issuer.clock.advance(LIFE * 2 / 3 - 1);
    assert_eq!(text(&session).await, "token-0");
    session.settle().await.unwrap();
    assert!(issuer.presented().is_empty());
    // The answer is held back; nobody waits for it.
    issuer.clock.advance(1);
    let held = issuer.double.gate.clone().write_owned().await;
    for _ in 0..20 {
        assert_eq!(text(&session).await, "token-0");
    }
    drop(held);
    session.settle().await.unwrap();
    assert_eq!(text(&session).await, "token-1");
    assert_eq!(issuer.presented(), [0]);
    let kept = session.current();
    assert_eq!(kept.refresh_token.as_ref().unwrap().expose(), "refresh-1");
    assert_eq!(kept.session_id.as_deref(), Some("s0"));
}

#[tokio::test]
async fn a_failed_background_renewal_is_no_callers_business() {
    let issuer = Issuer::start().await;
    let session = issuer.session();
    issuer.books(|books| books.fates.extend([Fate::Unavailable, Fate::Lost]));
    issuer.clock.advance(LIFE * 2 / 3);
    // Pauses of 1 and then 2 seconds.
    for presented in [1, 2, 2, 3] {
        assert_eq!(text(&session).await, "token-0");
        assert_eq!(session.settle().await.is_err(), presented < 3);
        assert_eq!(issuer.presented().len(), presented);
        issuer.clock.advance(1);
    }
    assert_eq!(issuer.presented(), [0, 0, 0]);
    assert_eq!(text(&session).await, "token-3");
}

#[tokio::test]
async fn of_many_callers_at_the_end_one_renews() {
    let issuer = Issuer::start().await;
    for (advance, newest) in [(LIFE - 20, "token-1"), (LIFE + 1, "token-2")] {
        let session = issuer.session();
        issuer.books(|books| (books.generation, books.presented) = (0, vec![]));
        issuer.clock.advance(advance);
        let calls: Vec<_> = (0..32)
            .map(|_| {
                tokio::spawn({
                    let session = session.clone();
                    async move { text(&session).await }
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), newest);
        }
        assert_eq!(issuer.presented(), [0]);
    }
}

#[tokio::test]
async fn close_to_its_end_a_token_is_waited_for_and_not_for_long() {
    let issuer = Issuer::start().await;
    let session = issuer.session();
    issuer.clock.advance(LIFE - 1);
    let held = issuer.double.gate.clone().write_owned().await;
    let token = session.access_token_within(Duration::ZERO).await.unwrap();
    assert_eq!(token.access_token.expose(), "token-0");
    drop(held);
    session.settle().await.unwrap();
    assert_eq!(text(&session).await, "token-1");
    assert_eq!(issuer.presented(), [0]);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_the_renewal() {
    let issuer = Issuer::start().await;
    let session = issuer.session();
    issuer.clock.advance(LIFE);
    let held = issuer.double.gate.clone().write_owned().await;
    let caller = tokio::spawn({
        let session = session.clone();
        async move { session.access_token().await }
    });
    while issuer.presented().is_empty() {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    drop(held);
    session.settle().await.unwrap();
    assert_eq!(text(&session).await, "token-1");
    assert_eq!(issuer.presented(), [0]);
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_a_refresh() {
    let issuer = Issuer::start().await;
    let session = issuer.session();
    let refused = session.current();
    assert!(session.replace(&refused).await.unwrap().is_none());
    issuer.clock.advance(MIN_AGE);
    for _ in 0..3 {
        let other = session.replace(&refused).await.unwrap().unwrap();
        assert_eq!(other.access_token.expose(), "token-1");
    }
    assert_eq!(issuer.presented(), [0]);
}
