//! Whether a text is in its time, and when what it opens ends.
//!
//! Each field is enforced alone, whichever others are there. Our clock counts whole seconds; the
//! end of a text is rounded down and its beginning up, so that a fraction never lets one through.
//!
//! Specs: EIP-4361 (`expiration-time`, `not-before`, `issued-at`), protocol.md §3.

use countersign_sdk::time::Timestamp;

use super::Expected;
use crate::model::reason::{Reason, Refusal};
use crate::wallet::caip122::UnverifiedMessage;

pub(super) fn check(
    message: &UnverifiedMessage<'_>,
    expected: &Expected<'_>,
) -> Result<(), Refusal> {
    let now = expected.now;
    if message.expiration_time().is_some_and(|end| now >= end.floor()) {
        return Err(Refusal::new(
            Reason::MessageExpired,
            format!("the message's expiration time has passed; it is {now} here"),
        ));
    }
    if message.not_before().is_some_and(|begin| now < begin.ceil()) {
        return Err(Refusal::new(
            Reason::MessageNotYetValid,
            format!("the message's not-before time lies ahead; it is {now} here"),
        ));
    }
    let issued = message.issued_at();
    let ahead = issued.is_some_and(|issued| issued.ceil() > now.plus(expected.clock_skew));
    let old = issued.is_some_and(|issued| now.since(issued.floor()) > expected.max_age);
    if ahead || old {
        return Err(Refusal::new(
            Reason::IssuedAtOutOfRange,
            format!(
                "the message was issued {}; it is {now} here",
                if ahead { "in the future" } else { "too long ago" }
            ),
        ));
    }
    Ok(())
}

/// Refuses times that contradict each other, which no honest writer states.
pub(super) fn check_coherent(message: &UnverifiedMessage<'_>) -> Result<(), Refusal> {
    let end = message.expiration_time();
    let contradicts = |begin: Option<_>| matches!((begin, end), (Some(b), Some(e)) if b >= e);
    if contradicts(message.issued_at()) || contradicts(message.not_before()) {
        return Err(Refusal::new(
            Reason::MalformedMessage,
            "the message ends before it begins: compare its times",
        ));
    }
    Ok(())
}

pub(super) fn session_end(
    message: &UnverifiedMessage<'_>,
    longest: u64,
    now: Timestamp,
) -> Option<Timestamp> {
    let end = message.expiration_time()?.floor();
    Some(end.min(now.plus(longest)))
}
