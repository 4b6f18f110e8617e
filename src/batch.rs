//! What one thread does for many: handed over job by job, taken a batch at a time.
//!
//! Whatever costs the same for one as for many, a flush of the disk, is done once for all who wait. In a
//! crowd the thread sleeps until a batch is worth that, and is woken once for it. It finds out how many
//! callers there are, and seldom waits for more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

/// How large batches become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// How many jobs a batch has at most; beyond, the first would wait for the last.
    pub(crate) most: usize,
    /// As many jobs as this in the time of [`gather`](Self::gather) are a crowd, whose batches are given
    /// time to fill.
    pub(crate) crowd: usize,
    /// Until there are so many: with more of the callers in one batch, nobody is left who could work meanwhile.
    pub(crate) enough: usize,
    /// Or for so long.
    pub(crate) gather: Duration,
}

/// After so many batches it is tried again whether there are enough callers for a full one.
const TRY_AGAIN: u32 = 64;

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
    let crowd = Crowd::none(Instant::now());
    (Entry { line: Arc::clone(&line), bound }, Batches { line, sizes, crowd })
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

/// What is known of those who hand jobs over.
#[derive(Debug)]
struct Crowd {
    /// Since when jobs are counted,
    since: Instant,
    /// and how many came.
    came: usize,
    /// Whether there are so many that a batch is given time.
    is_one: bool,
    /// How many were there when the time was over before the batch was full. Of so many, half make a batch:
    /// the others work meanwhile.
    callers: usize,
    /// For how many batches that is still believed; a smaller number always is.
    trusted: u32,
}

impl Crowd {
    const fn none(now: Instant) -> Self {
        Self { since: now, came: 0, is_one: false, callers: 0, trusted: 0 }
    }

    /// How many to wait for; `None` where nobody is to wait.
    fn awaited(&mut self, sizes: &Sizes, now: Instant) -> Option<usize> {
        let passed = now.duration_since(self.since);
        if passed >= sizes.gather {
            let (came, crowd) = (self.came as u128, sizes.crowd as u128);
            self.is_one = came * sizes.gather.as_nanos() >= crowd * passed.as_nanos();
            (self.since, self.came) = (now, 0);
        }
        self.trusted = self.trusted.saturating_sub(1);
        let enough = match self.trusted {
            0 => sizes.enough,
            _ => sizes.enough.min(self.callers.div_ceil(2)),
        };
        self.is_one.then_some(enough)
    }

    /// Notes that so many were there after the time that they were given.
    fn gathered(&mut self, awaited: usize, there: usize) {
        // Nobody at all is a crowd that has gone, and says nothing about the next.
        if there < awaited && there > 0 {
            self.callers = there;
            if self.trusted == 0 {
                self.trusted = TRY_AGAIN;
            }
        }
    }
}

/// Where jobs are taken, by one thread.
#[derive(Debug)]
pub(crate) struct Batches<J> {
    line: Arc<Line<J>>,
    sizes: Sizes,
    crowd: Crowd,
}

impl<J> Batches<J> {
    /// The jobs that wait, in their order, once there are any; a crowd is given a moment to gather. What was
    /// handed over before the line was closed is taken first.
    ///
    /// # Errors
    /// [`NoBatch`]; [`NoBatch::Timeout`] only where there is a `timeout`.
    pub(crate) fn take(&mut self, timeout: Option<Duration>) -> Result<Vec<J>, NoBatch> {
        let mut state = self.line.lock();
        if let Some(awaited) = self.crowd.awaited(&self.sizes, Instant::now()) {
            state = self.line.wait(state, awaited, Some(self.sizes.gather));
            self.crowd.gathered(awaited, state.jobs.len());
        }
        if state.jobs.is_empty() {
            state = self.line.wait(state, 1, timeout);
        }
        let taken = state.jobs.len().min(self.sizes.most);
        if taken == 0 {
            return Err(if state.closed { NoBatch::Over } else { NoBatch::Timeout });
        }
        self.crowd.came += taken;
        let behind = state.jobs.split_off(taken);
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
        batches.crowd.is_one = true;
        let taker = thread::spawn(move || (batches.take(None), batches));
        (0..3).for_each(|job| {
            thread::yield_now();
            entry.hand_over(job).unwrap();
        });
        let (batch, mut batches) = taker.join().unwrap();
        assert_eq!(batch, Ok(vec![0, 1, 2]));
        // Whoever closes the line is not waited for.
        entry.hand_over(3).unwrap();
        drop(entry);
        assert_eq!(batches.take(None), Ok(vec![3]));
        assert_eq!(batches.take(None), Err(NoBatch::Over));
    }

    #[test]
    fn a_crowd_that_does_not_come_is_not_waited_for() {
        let sizes = Sizes { gather: Duration::from_millis(1), ..SIZES };
        let (entry, mut batches) = line(6, sizes);
        batches.crowd.is_one = true;
        entry.hand_over(0).unwrap();
        assert_eq!(batches.take(None), Ok(vec![0]));
        assert_eq!(batches.take(AT_ONCE), Err(NoBatch::Timeout));
    }

    #[test]
    fn a_crowd_is_known_by_its_pace_and_its_size_is_found_out() {
        let sizes = Sizes { most: 20, crowd: 4, enough: 10, gather: Duration::from_millis(1) };
        let mut now = Instant::now();
        let mut crowd = Crowd::none(now);
        let mut after = |crowd: &mut Crowd, came, millis| {
            crowd.came += came;
            now += Duration::from_millis(millis);
            crowd.awaited(&sizes, now)
        };
        assert_eq!(after(&mut crowd, 3, 1), None);
        assert_eq!(after(&mut crowd, 4, 1), Some(10));
        assert_eq!(after(&mut crowd, 0, 0), Some(10), "as long as nothing else is known");
        // Six came in the time: half of them make a batch, and the others work meanwhile.
        crowd.gathered(10, 6);
        for _ in 1..TRY_AGAIN {
            assert_eq!(after(&mut crowd, 4, 1), Some(3));
            crowd.gathered(3, 3);
        }
        assert_eq!(after(&mut crowd, 4, 1), Some(10));
        crowd.gathered(10, 12);
        crowd.gathered(10, 0);
        assert_eq!(after(&mut crowd, 4, 1), Some(10), "neither enough nor nobody is a number");
        crowd.gathered(10, 8);
        assert_eq!(after(&mut crowd, 4, 1), Some(4));
        crowd.gathered(4, 2);
        assert_eq!(after(&mut crowd, 4, 1), Some(1), "some have gone");
        assert_eq!(after(&mut crowd, 30, 10), None, "fewer in the same time");
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
