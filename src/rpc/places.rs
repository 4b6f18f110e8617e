//! How many questions may be under way at once: about a chain for sign-ins, for sessions, and for the sessions of one account.
//!
//! Sessions have places of their own, so that strangers who sign in do not keep them from being asked
//! about. But anybody can have a session of a contract of his own, and a contract can be as slow as it
//! likes; so no account has more than a few of those places at a time.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_sdk::account::Account;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Asker;
use crate::model::session::SessionId;

/// How many questions about one chain may be under way for sign-ins; one more is not asked.
pub(super) const MAX_SIGN_INS: usize = 96;

/// The same for sessions that go on, whose holders have proven themselves.
const MAX_SESSIONS: usize = 64;

/// The same for the sessions of one account, one of whose holders may not keep the others out,
const MAX_OF_ACCOUNT: usize = 8;
/// and for one session: a place is held until the slowest node has ended, and an answer that was lost is
/// asked for again.
const MAX_OF_SESSION: usize = 2;

/// The places of a chain.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) sign_ins: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
    asked_about: AskedAbout,
}

/// A place, for as long as it is held.
#[derive(Debug)]
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All of the chain's are taken.
    Chain,
    /// The session, or those of its account, have theirs.
    Account,
}

impl Places {
    /// Those of a chain about which nothing is asked yet.
    pub(super) fn new() -> Self {
        Self {
            sign_ins: Arc::new(Semaphore::new(MAX_SIGN_INS)),
            sessions: Arc::new(Semaphore::new(MAX_SESSIONS)),
            asked_about: AskedAbout::default(),
        }
    }

    /// Takes a place for a question about `account`.
    pub(super) fn take(&self, asker: Asker, account: &Account) -> Result<Place, NoPlace> {
        let (places, session) = match asker {
            Asker::SignIn { .. } => (&self.sign_ins, None),
            Asker::Session(id) => (&self.sessions, Some(id)),
        };
        let place = Arc::clone(places).try_acquire_owned().map_err(|_| NoPlace::Chain)?;
        // Not for sign-ins: whoever they come from has proven nothing about the account.
        let share = session.map(|id| Share::take(&self.asked_about, id, account)).transpose()?;
        Ok(Place { _place: place, _share: share })
    }
}

/// The sessions that are asked about and their accounts, each as often as it is: as many as there are places.
type AskedAbout = Arc<Mutex<Vec<(SessionId, Account)>>>;

/// One of the places that a session and the sessions of an account may have.
#[derive(Debug)]
struct Share {
    all: AskedAbout,
    mine: (SessionId, Account),
}

impl Share {
    fn take(all: &AskedAbout, session: SessionId, account: &Account) -> Result<Self, NoPlace> {
        let mut asked_about = all.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = asked_about.iter().filter(|(_, other)| other == account).count();
        let of_session = asked_about.iter().filter(|(other, _)| *other == session).count();
        if of_account >= MAX_OF_ACCOUNT || of_session >= MAX_OF_SESSION {
            return Err(NoPlace::Account);
        }
        let mine = (session, account.clone());
        asked_about.push(mine.clone());
        drop(asked_about);
        Ok(Self { all: Arc::clone(all), mine })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut asked_about = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = asked_about.iter().position(|other| *other == self.mine) {
            asked_about.swap_remove(at);
        }
    }
}
