//! The feed of revocations: what is new since a reader's place, signed, and worth waiting for.
//!
//! An answer says up to which moment it knows everything (`iat`), and that moment is read before
//! the store is. One that many readers ask for in the same second is signed once. Readers only add what they are told and forget it after `until`, so a page that is
//! read twice does no harm (protocol.md §7).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde::{Serialize, Serializer};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit, watch};

use super::context::{Context, session_refusal};
use crate::keyring::{Purpose, View};
use crate::limit::network_of;
use crate::model::reason::Refusal;
use crate::model::revocation::{self, Target};
use crate::model::session::SessionId;
use crate::store::{Page, Place};
use crate::token::jws;

/// The `typ` of an answer, by which it can be taken for nothing else that the issuer signs.
pub const TYPE: &str = "revocations+jwt";
/// The most entries of an answer.
const PAGE: usize = 1000;

/// The most answers that are kept for others that ask the same in the same second.
const MOST_SHARED: usize = 32;

/// The part of all places that one network, an IPv4 address or an IPv6 /64, may take.
const ONE_NETWORKS_PART: usize = 8;

/// How many readers wait, and whether they still may.
#[derive(Debug)]
pub struct Feed {
    waiting: Semaphore,
    /// How many wait of each network, and how many may: nobody holds all places.
    by_network: Mutex<HashMap<IpAddr, usize>>,
    share: usize,
    closed: watch::Sender<bool>,
    /// The answers of this second, the newest last.
    signed: Mutex<VecDeque<Signed>>,
}

/// What an answer is made of: two of which this is the same are the same.
#[derive(Clone, Debug)]
struct Question {
    after: Option<Cursor>,
    at: Timestamp,
    next: Place,
    more: bool,
    view: Arc<View>,
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        let Self { after, at, next, more, view } = self;
        (after, at, next, more) == (&other.after, &other.at, &other.next, &other.more)
            && Arc::ptr_eq(view, &other.view)
    }
}

/// A signed answer, or that it could not be signed; not there yet while somebody signs it.
type Shared = Arc<OnceCell<Result<Bytes, Refusal>>>;

#[derive(Debug)]
struct Signed {
    question: Question,
    answer: Shared,
}

/// A reader's permission to wait, until it is dropped.
struct Waiting<'a> {
    feed: &'a Feed,
    network: IpAddr,
    _place: SemaphorePermit<'a>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut by_network = self.feed.networks();
        if let Entry::Occupied(mut entry) = by_network.entry(self.network) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Feed {
    /// A feed on which at most `waiters` requests wait at the same time.
    pub fn new(waiters: usize) -> Self {
        let waiting = Semaphore::new(waiters.min(Semaphore::MAX_PERMITS));
        Self {
            waiting,
            by_network: Mutex::default(),
            share: (waiters / ONE_NETWORKS_PART).max(1),
            closed: watch::Sender::new(false),
            signed: Mutex::default(),
        }
    }

    /// The answer that all share who ask this. Those of other seconds are over.
    fn shared(&self, question: &Question) -> Shared {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        signed.retain(|one| one.question.at == question.at);
        if let Some(found) = signed.iter().find(|one| one.question == *question) {
            return Arc::clone(&found.answer);
        }
        if signed.len() >= MOST_SHARED {
            signed.pop_front();
        }
        let answer = Shared::default();
        signed.push_back(Signed { question: question.clone(), answer: Arc::clone(&answer) });
        answer
    }

    /// A place to wait at, if there is one left for this reader.
    fn place(&self, reader: IpAddr) -> Option<Waiting<'_>> {
        let place = self.waiting.try_acquire().ok()?;
        let network = network_of(reader);
        let mut by_network = self.networks();
        let waiting = by_network.entry(network).or_default();
        if *waiting >= self.share {
            return None;
        }
        *waiting += 1;
        Some(Waiting { feed: self, network, _place: place })
    }

    fn networks(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers everyone who waits, and lets nobody wait any more: the server is about to stop.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }
}

/// A reader's place, as text: 22 characters that mean nothing to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(Place);

/// The text is not one that an answer of the feed carried as its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after is the cursor of an earlier answer, as it was")]
pub struct CursorError;

impl Cursor {
    /// Of a place.
    pub(crate) const fn at(place: Place) -> Self {
        Self(place)
    }

    /// The place.
    pub(crate) const fn place(self) -> Place {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { life, sequence } = self.0;
        let bytes = u128::from(u64::from_be_bytes(life)) << 64 | u128::from(sequence);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes.to_be_bytes()))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        if text.len() != 22 {
            return Err(CursorError);
        }
        match URL_SAFE_NO_PAD.decode_slice_unchecked(text, &mut bytes) {
            Ok(16) => {
                let (life, sequence) = bytes.split_first_chunk::<8>().ok_or(CursorError)?;
                let sequence = sequence.try_into().map_err(|_| CursorError)?;
                Ok(Self(Place { life: *life, sequence: u64::from_be_bytes(sequence) }))
            }
            Ok(_) | Err(_) => Err(CursorError),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: Timestamp,
    entries: Vec<Published<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Cursor>,
    cursor: Cursor,
    more: bool,
    /// Every key that is published: one that a reader has and that is not among them is withdrawn.
    kids: &'a [String],
}

#[derive(Default, Serialize)]
struct Published<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jkt: Option<Thumbprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    until: Timestamp,
}

impl<'a> From<&'a revocation::Entry> for Published<'a> {
    fn from(entry: &'a revocation::Entry) -> Self {
        let plain =
            Self { not_before: entry.not_before, until: entry.until, ..Published::default() };
        match &entry.target {
            Target::Token(jti) => Self { jti: Some(jti), ..plain },
            Target::Session(id) => Self { sid: Some(*id), ..plain },
            Target::Key(jkt) => Self { jkt: Some(*jkt), ..plain },
            Target::Subject(subject) => Self { sub: Some(subject), ..plain },
            Target::Everything => plain,
        }
    }
}

/// The signed answer for a reader at `after`. Where there is nothing new it is given after `wait`,
/// or as soon as there is; at once where as many readers wait as may.
///
/// # Errors
/// [`Reason::StoreUnavailable`](crate::model::reason::Reason::StoreUnavailable) or
/// [`Reason::ServerError`](crate::model::reason::Reason::ServerError).
pub async fn read(
    context: &Context,
    after: Option<Cursor>,
    wait: Duration,
    reader: IpAddr,
) -> Result<Bytes, Refusal> {
    let (mut latest, mut withdrawals) = (context.store.latest(), context.keyring.withdrawals());
    // From here on a change is seen, so that none falls between looking and waiting.
    latest.borrow_and_update();
    withdrawals.borrow_and_update();
    let (at, page) = look(context, after).await?;
    let nothing_new = after.is_some_and(|cursor| page.next == cursor.0);
    if !nothing_new || wait.is_zero() {
        return answer(context, after, at, &page).await;
    }
    let Some(_place) = context.feed.place(reader) else {
        return answer(context, after, at, &page).await;
    };
    let mut closed = context.feed.closed.subscribe();
    // Whichever comes first, the answer is the same: what there is now.
    tokio::select! {
        _ = latest.changed() => {}
        _ = withdrawals.changed() => {}
        _ = closed.wait_for(|closed| *closed) => {}
        () = tokio::time::sleep(wait) => {}
    }
    let (at, page) = look(context, after).await?;
    answer(context, after, at, &page).await
}

/// The page at a place, and the moment up to which it is complete.
async fn look(context: &Context, after: Option<Cursor>) -> Result<(Timestamp, Page), Refusal> {
    let at = context.now();
    let place = after.map(|cursor| cursor.0);
    let page = context.store.revocations(place, PAGE, at).await.map_err(session_refusal)?;
    Ok((at, page))
}

/// The answer at a place and a moment, signed once for all who are there then: a revocation wakes everybody.
async fn answer(
    context: &Context,
    after: Option<Cursor>,
    at: Timestamp,
    page: &Page,
) -> Result<Bytes, Refusal> {
    let view = context.keyring.view(at);
    let question = Question { after, at, next: page.next, more: page.more, view };
    let shared = context.feed.shared(&question);
    shared.get_or_init(|| sign(context, &question, page)).await.clone()
}

/// It says what it follows, so that one answer cannot be shown in place of another.
async fn sign(context: &Context, question: &Question, page: &Page) -> Result<Bytes, Refusal> {
    let Question { after, at, next, more, view } = question;
    let claims = Claims {
        iss: &context.issuer.url,
        iat: *at,
        entries: page.entries.iter().map(Published::from).collect(),
        after: *after,
        cursor: Cursor(*next),
        more: *more,
        kids: view.kids(),
    };
    let place = view.active().reserve(Purpose::Feed).await.map_err(|_| jws::away())?;
    let signed = jws::sign(view.active(), TYPE, &claims).map(Bytes::from);
    drop(place);
    signed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_does_not_take_all_places() {
        let feed = Feed::new(16);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = feed.place(address("2001:db8::1"));
        let two = feed.place(address("2001:db8::2"));
        assert!(one.is_some() && two.is_some());
        assert!(feed.place(address("2001:db8::3")).is_none(), "the same network");
        assert!(feed.place(address("192.0.2.1")).is_some());
        drop(one);
        assert!(feed.place(address("2001:db8::3")).is_some());
        drop(two);
        assert!(feed.networks().is_empty());
        assert!(Feed::new(0).place(address("192.0.2.1")).is_none());
    }

    #[test]
    fn cursors_are_written_and_read_back() {
        let cursor = Cursor(Place { life: [1, 2, 3, 4, 5, 6, 7, 255], sequence: u64::MAX - 1 });
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(cursor.to_string().len(), 22);
        for text in
            ["", "0", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAA=", "äAAAAAAAAAAAAAAAAAAAA"]
        {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }
}
