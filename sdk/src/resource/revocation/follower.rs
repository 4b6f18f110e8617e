//! When the feed is asked, what of an answer is believed, and who starts and stops the asking.
//!
//! One task asks, for as long as the server that owns the [`Follower`] lives: first for everything
//! that is live, then for what follows, waiting at the issuer until there is something. It is
//! started by whoever needs it and started again when the runtime that it ran in has ended. An
//! answer is believed when a key of the issuer signed it as this very type, as everything else that
//! the issuer signs has another (RFC 8725 §3.11).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::super::jwks_cache::JwksCache;
use super::super::jwks_source::FetchError;
use super::super::signature::verify_typed;
use super::super::token::TokenError;
use super::answer::{FeedAnswer, FeedError, MAX_FEED_BYTES};
use super::source::RevocationSource;
use super::view::{Bounds, View};
use crate::entropy::Entropy;
use crate::key::Algorithm;
use crate::time::{Clock, Timestamp};

/// The `typ` of an answer.
const TYPE: &str = "revocations+jwt";
/// The time that an answer may take beyond its wait, whatever the source thinks of it.
const ANSWER_TIME: Duration = Duration::from_secs(6);
/// How long requests wait for the first answer. The asking goes on without them.
const PATIENCE: Duration = Duration::from_secs(2);
/// From the start of one question to that of the next: an issuer that does not wait, or has something new
/// all the time, is not hammered.
const PACE: Duration = Duration::from_millis(250);
/// What is waited for after a failure: half of this at least, doubled up to the most.
const BACK_OFF: Duration = Duration::from_millis(500);
const BACK_OFF_AT_MOST: Duration = Duration::from_secs(5);
/// After so many answers in a row that are none to use, everything is asked for anew: the cursor may be the
/// fault.
const ANEW_AFTER: u32 = 3;

/// What a [`Follower`] is made of.
pub(in super::super) struct FollowerParts {
    pub(in super::super) source: Arc<dyn RevocationSource>,
    pub(in super::super) keys: JwksCache,
    pub(in super::super) issuer: String,
    pub(in super::super) algorithms: Vec<Algorithm>,
    pub(in super::super) clock: Arc<dyn Clock>,
    pub(in super::super) entropy: Arc<dyn Entropy>,
    /// Seconds that the issuer may wait for something new.
    pub(in super::super) wait: u64,
    pub(in super::super) max_staleness: u64,
    pub(in super::super) leeway: u64,
    pub(in super::super) capacity: usize,
}

/// Follows the feed until it is dropped.
pub(in super::super) struct Follower(Arc<Shared>);

struct Shared {
    source: Arc<dyn RevocationSource>,
    keys: JwksCache,
    issuer: String,
    algorithms: Vec<Algorithm>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    wait: u64,
    bounds: Bounds,
    view: View,
    running: AtomicBool,
    task: Mutex<Option<AbortHandle>>,
    progress: watch::Sender<Progress>,
}

/// How far the asking has come since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Progress {
    /// Complete views and failures, counted.
    pub(super) answers: u64,
    pub(super) failures: u64,
    /// There was a first outcome, or it takes longer than anybody waits.
    settled: bool,
}

impl Follower {
    pub(in super::super) fn new(parts: FollowerParts) -> Self {
        let bounds = Bounds { max_staleness: parts.max_staleness, leeway: parts.leeway };
        Self(Arc::new(Shared {
            source: parts.source,
            keys: parts.keys,
            issuer: parts.issuer,
            algorithms: parts.algorithms,
            clock: parts.clock,
            entropy: parts.entropy,
            wait: parts.wait,
            bounds,
            view: View::new(parts.capacity, bounds),
            running: AtomicBool::new(false),
            task: Mutex::default(),
            progress: watch::Sender::default(),
        }))
    }

    pub(in super::super) fn view(&self) -> &View {
        &self.0.view
    }

    /// Starts the task unless it runs. Outside of a tokio runtime there is none to start it in.
    pub(in super::super) fn start(&self) {
        if self.0.running.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.0.running.swap(true, Ordering::AcqRel) {
            self.0.progress.send_modify(|progress| progress.settled = false);
            let running = Running(Arc::clone(&self.0));
            *task = Some(runtime.spawn(follow(running)).abort_handle());
        }
    }

    /// Waits for the first outcome since the start if the view is stale, two seconds at most.
    pub(in super::super) async fn settle(&self, now: Timestamp) {
        if !self.0.view.is_stale(now) {
            return;
        }
        let mut progress = self.0.progress.subscribe();
        // The sender lives in `self`, so the wait ends with an outcome or with our patience.
        let settled = progress.wait_for(|progress| progress.settled);
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            self.0.progress.send_modify(|progress| progress.settled = true);
        }
    }

    #[cfg(test)]
    pub(in super::super) fn progress(&self) -> watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

/// Says, when it is dropped, that nobody follows any more: by an end of the runtime, or a panic of
/// the source. Whoever waits need not.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| progress.settled = true);
        // Last, so that the next start finds everything as it leaves it.
        self.0.running.store(false, Ordering::Release);
    }
}

/// Asks, and asks again, without an end.
async fn follow(running: Running) {
    let shared = &running.0;
    let mut cursor: Option<String> = None;
    let mut complete = false;
    let (mut failures, mut misfits): (u32, u32) = (0, 0);
    loop {
        let pace = tokio::time::sleep(PACE);
        // Who does not have everything, or nothing current, does not wait for something new.
        let wait = if complete { shared.wait } else { 0 };
        match shared.ask(cursor.as_deref(), wait).await {
            Ok(answer) => {
                (failures, misfits) = (0, 0);
                cursor = Some(answer.cursor().to_owned());
                complete = !answer.has_more();
                if !complete {
                    continue;
                }
                shared.progress.send_modify(|progress| {
                    progress.answers = progress.answers.wrapping_add(1);
                    progress.settled = true;
                });
                pace.await;
            }
            Err(error) => {
                complete = false;
                failures = failures.saturating_add(1);
                misfits = misfits.saturating_add(u32::from(may_be_the_cursor(&error)));
                if misfits >= ANEW_AFTER || matches!(error, FeedError::Full(_)) {
                    cursor = None;
                }
                tracing::debug!(%error, failures, "the revocation feed gave nothing");
                shared.view.miss(&error, shared.clock.now());
                shared.progress.send_modify(|progress| {
                    progress.failures = progress.failures.wrapping_add(1);
                    progress.settled = true;
                });
                let pause = back_off(failures, &*shared.entropy);
                tokio::time::sleep(pause.max(asked_to_wait(&error))).await;
            }
        }
    }
}

impl Shared {
    /// Asks once, and takes in what is answered.
    async fn ask(&self, after: Option<&str>, wait: u64) -> Result<FeedAnswer, FeedError> {
        let time = ANSWER_TIME + Duration::from_secs(wait);
        let answer = tokio::time::timeout(time, self.source.fetch(after, wait)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(no_answer(&error)),
            Err(_) => return Err(FeedError::NoAnswer("the source took too long".to_owned())),
        };
        let (payload, signer) = self.open(&answer).await?;
        let answer = FeedAnswer::from_payload(&payload)?;
        if answer.issuer() != self.issuer {
            return Err(FeedError::Issuer);
        }
        // The keys that there are include the one that says so.
        let names_signer = |kids: &[String]| kids.iter().any(|kid| signer.as_ref() == Some(kid));
        if !answer.kids().is_none_or(names_signer) {
            return Err(FeedError::Keys);
        }
        if answer.after() != after {
            return Err(FeedError::Misplaced);
        }
        if answer.has_more() && after == Some(answer.cursor()) {
            return Err(FeedError::Stuck);
        }
        let now = self.clock.now();
        let heard = self.view.hear(&answer, now);
        // Also where the view has no room for all of it: keys take none.
        if let Some(kids) = answer.kids() {
            self.keys.hear_of(kids, answer.issued_at(), now, self.bounds);
        }
        heard?;
        Ok(answer)
    }

    /// The payload of an answer that the issuer signed, and the name of the key that did.
    async fn open(&self, answer: &str) -> Result<(Vec<u8>, Option<String>), FeedError> {
        if answer.len() > MAX_FEED_BYTES {
            return Err(FeedError::TooLong);
        }
        let keys = self.keys.keys_of_feed().await.map_err(|_| FeedError::NoKeys)?;
        let verify = |keys| verify_typed(answer, MAX_FEED_BYTES, TYPE, keys, &self.algorithms);
        let outcome = match verify(&keys) {
            Err(TokenError::UnknownKey) => {
                match self.keys.newer_of_feed(&keys).await.map_err(|_| FeedError::NoKeys)? {
                    Some(newer) => verify(&newer),
                    None => Err(TokenError::UnknownKey),
                }
            }
            outcome => outcome,
        };
        outcome.map_err(|error| FeedError::NotSigned(super::super::error::token_reason(&error)))
    }
}

fn no_answer(error: &FetchError) -> FeedError {
    let reason = error.to_string();
    match error {
        FetchError::NoAnswer { .. } => FeedError::NoAnswer(reason),
        FetchError::Busy { retry_after, .. } => {
            FeedError::Busy { reason, retry_after: *retry_after }
        }
        FetchError::Unusable { .. } => FeedError::Unusable(reason),
    }
}

/// Whether another cursor might be answered better. Where there is no answer, and where who signed it is the
/// matter, everything anew is only more to ask for.
const fn may_be_the_cursor(error: &FeedError) -> bool {
    match error {
        FeedError::NoAnswer(_)
        | FeedError::Busy { .. }
        | FeedError::NoKeys
        | FeedError::NotSigned(_)
        | FeedError::Issuer
        | FeedError::Ahead(_)
        | FeedError::Keys => false,
        FeedError::TooLong
        | FeedError::Malformed
        | FeedError::UnknownKind
        | FeedError::Misplaced
        | FeedError::Stuck
        | FeedError::Full(_)
        | FeedError::Unusable(_) => true,
    }
}

/// How long the issuer asks to be left alone, as far as that is listened to.
fn asked_to_wait(error: &FeedError) -> Duration {
    let FeedError::Busy { retry_after, .. } = error else { return Duration::ZERO };
    Duration::from_secs(*retry_after).min(BACK_OFF_AT_MOST)
}

/// How long to wait after so many failures in a row: longer each time, and not at the same moment
/// as everybody else.
fn back_off(failures: u32, entropy: &dyn Entropy) -> Duration {
    let doubled = BACK_OFF.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let whole = doubled.min(BACK_OFF_AT_MOST);
    let mut byte = [u8::MAX];
    // Without randomness everybody waits for the whole of it; nothing hangs on it but the load.
    let chance = entropy.fill(&mut byte).map_or(u8::MAX, |()| byte[0]);
    whole / 2 + (whole / 2) * u32::from(chance) / u32::from(u8::MAX)
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
