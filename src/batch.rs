//! What one thread does for many: handed over job by job, taken a batch at a time.
//!
//! Whatever costs the same for one as for many, a flush of the disk, is done once for all who wait. In a
//! crowd the thread sleeps until there are enough for a batch, and is woken once for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

/// How large batches become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// How many jobs a batch has at most; beyond, the first would wait for the last.
    pub(crate) most: usize,
    /// From so many jobs in a batch on, the next one waits for others.
    pub(crate) crowd: usize,
    /// It waits no longer once there are so many: with more of the callers in one batch, nobody is left
    /// who could work meanwhile.
    pub(crate) enough: usize,
    /// Nor longer than this.
    pub(crate) gather: Duration,
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// As many wait as may.
    Full,
    /// Nobody takes any more.
    Gone,
}

/// Why there is no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBatch {
    /// Nothing came in time.
    Timeout,
    /// Nothing will come any more.
    Over,
}

/// A line of at most `bound` jobs: where they are handed over, and where they are taken.
pub(crate) fn line<J>(bound: usize, sizes: Sizes) -> (Entry<J>, Batches<J>) {
    let state = State { jobs: Vec::new(), awaited: usize::MAX, closed: false };
    let line = Arc::new(Line { state: Mutex::new(state), come: Condvar::new() });
    (Entry { line: Arc::clone(&line), bound }, Batches { line, sizes, last: 0 })
}

#[derive(Debug)]
struct Line<J> {
    state: Mutex<State<J>>,
    come: Condvar,
}

#[derive(Debug)]
struct State<J> {
    jobs: Vec<J>,
    /// With so many jobs the thread is woken.
    awaited: usize,
    /// Whether one of the two ends is gone.
    closed: bool,
}

impl<J> Line<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.come.notify_one();
    }

    /// Sleeps until there are `enough` jobs, the line is closed, or `within` is over.
    fn wait<'l>(
        &'l self,
        mut state: MutexGuard<'l, State<J>>,
        enough: usize,
        within: Option<Duration>,
    ) -> MutexGuard<'l, State<J>> {
        state.awaited = enough;
        let short = |state: &mut State<J>| state.jobs.len() < enough && !state.closed;
        let mut state = match within {
            Some(within) => {
                let waited = self.come.wait_timeout_while(state, within, short);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.come.wait_while(state, short).unwrap_or_else(PoisonError::into_inner),
        };
        state.awaited = usize::MAX;
        state
    }
}

/// Where jobs are handed over; the line is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry<J> {
    line: Arc<Line<J>>,
    bound: usize,
}

impl<J> Entry<J> {
    /// Hands a job over. Does not block for long.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(crate) fn hand_over(&self, job: J) -> Result<(), NotTaken> {
        let mut state = self.line.lock();
        if state.closed {
            return Err(NotTaken::Gone);
        }
        if state.jobs.len() >= self.bound {
            return Err(NotTaken::Full);
        }
        state.jobs.push(job);
        let is_awaited = state.jobs.len() == state.awaited;
        drop(state);
        if is_awaited {
            self.line.come.notify_one();
        }
        Ok(())
    }
}

impl<J> Drop for Entry<J> {
    fn drop(&mut self) {
        self.line.close();
    }
}

/// Where jobs are taken, by one thread.
#[derive(Debug)]
pub(crate) struct Batches<J> {
    line: Arc<Line<J>>,
    sizes: Sizes,
    /// How many there were in the last batch.
    last: usize,
}

impl<J> Batches<J> {
    /// The jobs that wait, in their order, once there are any; in a crowd those too that come within a
    /// moment. What was handed over before the line was closed is taken first.
    ///
    /// # Errors
    /// [`NoBatch`]; [`NoBatch::Timeout`] only where there is a `timeout`.
    pub(crate) fn take(&mut self, timeout: Option<Duration>) -> Result<Vec<J>, NoBatch> {
        let mut state = self.line.wait(self.line.lock(), 1, timeout);
        if state.jobs.is_empty() {
            return Err(if state.closed { NoBatch::Over } else { NoBatch::Timeout });
        }
        if self.last >= self.sizes.crowd {
            state = self.line.wait(state, self.sizes.enough, Some(self.sizes.gather));
        }
        self.last = state.jobs.len().min(self.sizes.most);
        let behind = state.jobs.split_off(self.last);
        Ok(std::mem::replace(&mut state.jobs, behind))
    }
}

impl<J> Drop for Batches<J> {
    fn drop(&mut self) {
        self.line.close();
        // Whoever waits for one of them is told by its being dropped, outside of the lock.
        let jobs = std::mem::take(&mut self.line.lock().jobs);
        drop(jobs);
    }
}

/// Answers those who wait for a batch, as one task where they are tasks: each that is woken from another
/// thread costs a call of the kernel.
pub(crate) fn answer(runtime: Option<&Handle>, tell: impl FnOnce() + Send + 'static) {
    match runtime {
        Some(runtime) => drop(runtime.spawn(async move { tell() })),
        None => tell(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SIZES: Sizes = Sizes { most: 4, crowd: 2, enough: 3, gather: Duration::from_secs(3600) };
    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn what_is_handed_over_is_taken_once_in_its_order_and_a_few_at_a_time() {
        let (entry, mut batches) = line(6, SIZES);
        assert_eq!(batches.take(AT_ONCE), Err(NoBatch::Timeout));
        (0..6).for_each(|job| assert_eq!(entry.hand_over(job), Ok(())));
        assert_eq!(entry.hand_over(6), Err(NotTaken::Full));
        assert_eq!(batches.take(None), Ok(vec![0, 1, 2, 3]));
        assert_eq!(entry.hand_over(6), Ok(()));
        assert_eq!(batches.take(None), Ok(vec![4, 5, 6]));
    }

    #[test]
    fn in_a_crowd_a_batch_waits_for_enough() {
        let (entry, mut batches) = line(6, SIZES);
        (0..2).for_each(|job| entry.hand_over(job).unwrap());
        assert_eq!(batches.take(None), Ok(vec![0, 1]));
        let taker = thread::spawn(move || (batches.take(None), batches));
        (2..5).for_each(|job| {
            thread::yield_now();
            entry.hand_over(job).unwrap();
        });
        let (batch, mut batches) = taker.join().unwrap();
        assert_eq!(batch, Ok(vec![2, 3, 4]));
        // Whoever closes the line is not waited for.
        entry.hand_over(5).unwrap();
        drop(entry);
        assert_eq!(batches.take(None), Ok(vec![5]));
        assert_eq!(batches.take(None), Err(NoBatch::Over));
    }

    #[test]
    fn a_crowd_that_does_not_come_is_not_waited_for() {
        let sizes = Sizes { gather: Duration::from_millis(1), ..SIZES };
        let (entry, mut batches) = line(6, sizes);
        (0..2).for_each(|job| entry.hand_over(job).unwrap());
        assert_eq!(batches.take(None), Ok(vec![0, 1]));
        entry.hand_over(2).unwrap();
        assert_eq!(batches.take(None), Ok(vec![2]));
    }

    #[test]
    fn whoever_hands_over_learns_that_nobody_takes() {
        let (entry, batches) = line(6, SIZES);
        let (waits, waited) = std::sync::mpsc::channel::<()>();
        entry.hand_over(waits).unwrap();
        drop(batches);
        assert!(waited.recv().is_err());
        let (late, _) = std::sync::mpsc::channel();
        assert_eq!(entry.hand_over(late), Err(NotTaken::Gone));
    }

    #[test]
    fn nothing_is_lost_or_doubled_between_many_threads() {
        let sizes = Sizes { most: 7, crowd: 3, enough: 5, gather: Duration::from_micros(50) };
        let (entry, mut batches) = line(4096, sizes);
        let entry = Arc::new(entry);
        let hands: Vec<_> = (0..4)
            .map(|hand| {
                let entry = Arc::clone(&entry);
                thread::spawn(move || {
                    (0..500).for_each(|job| entry.hand_over((hand, job)).unwrap());
                })
            })
            .collect();
        drop(entry);
        let mut next = [0; 4];
        while let Ok(batch) = batches.take(None) {
            assert!((1..=7).contains(&batch.len()));
            for (hand, job) in batch {
                let next: &mut i32 = &mut next[hand];
                assert_eq!(job, *next);
                *next += 1;
            }
        }
        assert_eq!(next, [500; 4]);
        hands.into_iter().for_each(|hand| hand.join().unwrap());
    }
}
