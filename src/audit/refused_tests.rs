//! What the log refuses is refused or kept, whatever `audit.on_failure` says.

use super::retention::Retention;
use super::tests::{DAY, NOW, refused};
use super::*;
use crate::model::reason::Reason;

/// Whoever can make an event long would choose what is recorded.
#[tokio::test]
async fn what_is_too_long_is_refused_whatever_becomes_of_what_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let on_failure = OnFailure::Continue;
    let on_disk = Audit::open(folder.path(), &Options::default(), on_failure).unwrap();
    let in_memory = Audit { on_failure, ..Audit::in_memory() };
    for audit in [on_disk, in_memory] {
        let long = refused(&"x".repeat(MAX_LINE));
        assert_eq!(audit.write(long.clone(), NOW).await, Err(AuditError::TooLong));
        assert_eq!(audit.keep(long, NOW).await, Err(AuditError::TooLong));
        let head = audit.head();
        audit.write(refused("a:b:c"), NOW).await.unwrap();
        assert_eq!(audit.head().seq, head.seq + 1, "what is short enough is recorded after it");
    }
}

#[tokio::test]
async fn how_many_refusals_were_not_recorded_is_kept_until_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { seconds: Some(1000 * DAY), bytes: Some(5_000) };
    let options = Options { retention, ..Options::default() };
    let audit = Audit::open(folder.path(), &options, OnFailure::Continue).unwrap();
    let event = refused("a:b:c");
    let mut now = NOW;
    while audit.taken(Wanted::Written, &event, now).await.is_ok() {
        now = now.plus(DAY / 5);
    }
    let most = 120;
    for _ in 0..most + 5 {
        audit.record_refusal(event.clone(), Reason::SignatureMismatch, now);
    }
    audit.tell_omitted(now, true);
    assert_eq!(audit.refusals.omitted(now, true), 5);
}
