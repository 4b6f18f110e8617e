//! How many searches of the audit log one operator has under way: so few that there are places left for the others.
//!
//! The log is searched by a few at once, and a few more wait. Whoever asks without end, by a stolen key, would
//! have all of these places, and nobody else could see what is done with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::reason::{Reason, Refusal};

/// How many: a third of those that the log takes at once.
const MOST: usize = 3;

/// The counts, one for each operator who searches now.
#[derive(Debug, Default)]
pub(super) struct Searches(Mutex<HashMap<String, usize>>);

/// One search, for as long as it is held.
#[derive(Debug)]
pub(super) struct Search<'a> {
    searches: &'a Searches,
    subject: String,
}

impl Searches {
    /// Counts one more search of `subject`, who is an operator.
    ///
    /// # Errors
    /// [`Reason::RateLimited`].
    pub(super) fn begin(&self, subject: &str) -> Result<Search<'_>, Refusal> {
        let mut counts = self.lock();
        let count = counts.entry(subject.to_owned()).or_default();
        if *count >= MOST {
            let detail = format!(
                "an operator has {MOST} searches of the audit log under way at most; wait for one of them"
            );
            return Err(Refusal::new(Reason::RateLimited, detail));
        }
        *count += 1;
        drop(counts);
        Ok(Search { searches: self, subject: subject.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        let mut counts = self.searches.lock();
        let left = counts.get(&self.subject).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            counts.remove(&self.subject);
        } else {
            counts.insert(self.subject.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operator_does_not_take_the_places_of_all() {
        let searches = Searches::default();
        let mut held: Vec<_> = (0..10).filter_map(|_| searches.begin("alice").ok()).collect();
        assert_eq!(held.len(), MOST);
        assert!(searches.begin("bob").is_ok());
        held.pop();
        held.push(searches.begin("alice").unwrap());
        assert!(searches.begin("alice").is_err());
        drop(held);
        assert!(searches.lock().is_empty());
    }
}
