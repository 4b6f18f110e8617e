//! What happens to the file beside its verbs: who reads it for long, who reads while it is written, and what does not fit.

use super::tests::{NOW, new_folder, opened};
use super::*;
use crate::control::{self, Answer, Named, Request};
use crate::model::session::tests::session;

/// A name that its own reader refuses would stop the feed for everybody.
#[tokio::test]
async fn what_could_not_be_read_back_is_not_written() {
    let (_outer, folder) = new_folder();
    let store = Arc::new(opened(&folder));
    let long = |bytes: usize| format!("did:key:{}", "z".repeat(bytes));
    let revoked = store.revoke(&Revocation::Subject(long(70_000)), NOW).await;
    assert_eq!(revoked, Err(SessionError::Full));
    let mut other = session("did:key:a", true, NOW);
    other.label = Some(long(70_000));
    assert_eq!(store.open(other, NOW, NOW).await.err(), Some(SessionError::Full));
    for subject in [long(600), "did:key:\u{e4}".to_owned(), "z6Mk".to_owned()] {
        let asked = Request::Revoke(Named::Subject(subject));
        let answer = control::answer(&store, None, asked, NOW).await;
        assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
    }
    let asked = Request::Revoke(Named::Subject(long(48)));
    assert!(matches!(control::answer(&store, None, asked, NOW).await, Answer::Done));
    assert_eq!(store.revocations(None, 10, NOW).await.unwrap().entries.len(), 1);
    assert_eq!(store.check(NOW).unwrap().faults, 0);
}
