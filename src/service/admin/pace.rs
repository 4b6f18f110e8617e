//! How much an operator revokes in a minute: enough for whoever cleans up, and little for a program with a stolen key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use countersign_sdk::time::Timestamp;

use crate::model::reason::{Reason, Refusal};

/// How many revocations one operator makes in one period.
const MOST: u32 = 30;
/// The period, in seconds.
const PERIOD: u64 = 60;

/// The counts, one for each operator who revoked something; there are as many as the configuration names.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<String, (Timestamp, u32)>>);

impl Pace {
    /// Counts one more revocation of `subject`, who is an operator.
    ///
    /// # Errors
    /// [`Reason::RateLimited`].
    pub(super) fn take(&self, subject: &str, now: Timestamp) -> Result<(), Refusal> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = counts.entry(subject.to_owned()).or_insert((now, 0));
        // A clock that was set back begins anew.
        if now.since(*since) >= PERIOD || now < *since {
            (*since, *count) = (now, 0);
        }
        if *count >= MOST {
            let detail =
                format!("an operator revokes {MOST} times a minute at most; wait a minute");
            return Err(Refusal::new(Reason::RateLimited, detail));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_has_so_many_a_minute() {
        let (pace, now) = (Pace::default(), Timestamp::from_unix(1_000_000));
        let taken = (0..100).filter(|_| pace.take("alice", now).is_ok()).count();
        assert_eq!(taken as u32, MOST);
        assert!(pace.take("bob", now).is_ok());
        assert!(pace.take("alice", now.plus(PERIOD - 1)).is_err());
        assert!(pace.take("alice", now.plus(PERIOD)).is_ok());
        assert!(pace.take("alice", now).is_ok(), "a clock that was set back");
    }
}
