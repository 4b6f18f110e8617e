//! How many questions may be under way at once: about a chain for sign-ins, for sessions, and for the sessions of one account.
//!
//! Sessions have places of their own, so that strangers who sign in do not keep them from being asked
//! about. But anybody can have a session of a contract of his own, and a contract can be as slow as it
//! likes; so no account has more than a few of those places at a time.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_sdk::account::Account;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Asker;

/// How many questions about one chain may be under way for sign-ins; one more is not asked.
pub(super) const MAX_SIGN_INS: usize = 96;

/// The same for sessions that go on, whose holders have proven themselves.
const MAX_SESSIONS: usize = 64;

/// The same for the sessions of one account.
const MAX_OF_ACCOUNT: usize = 2;

/// The places of a chain.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) sign_ins: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
    /// Whose sessions are asked about, each as often as it is: as many as there are places.
    accounts: Arc<Mutex<Vec<Account>>>,
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
    /// The sessions of the account have theirs.
    Account,
}

impl Places {
    /// Those of a chain about which nothing is asked yet.
    pub(super) fn new() -> Self {
        Self {
            sign_ins: Arc::new(Semaphore::new(MAX_SIGN_INS)),
            sessions: Arc::new(Semaphore::new(MAX_SESSIONS)),
            accounts: Arc::default(),
        }
    }

    /// Takes a place for a question about `account`.
    pub(super) fn take(&self, asker: Asker, account: &Account) -> Result<Place, NoPlace> {
        let (places, is_session) = match asker {
            Asker::SignIn { .. } => (&self.sign_ins, false),
            Asker::Session => (&self.sessions, true),
        };
        let place = Arc::clone(places).try_acquire_owned().map_err(|_| NoPlace::Chain)?;
        // Not for sign-ins: whoever they come from has proven nothing about the account.
        let share = is_session.then(|| Share::take(&self.accounts, account)).transpose()?;
        Ok(Place { _place: place, _share: share })
    }
}

/// One of the places that the sessions of an account may have.
#[derive(Debug)]
struct Share {
    accounts: Arc<Mutex<Vec<Account>>>,
    account: Account,
}

impl Share {
    fn take(accounts: &Arc<Mutex<Vec<Account>>>, account: &Account) -> Result<Self, NoPlace> {
        let mut asked_about = accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if asked_about.iter().filter(|other| *other == account).count() >= MAX_OF_ACCOUNT {
            return Err(NoPlace::Account);
        }
        asked_about.push(account.clone());
        drop(asked_about);
        Ok(Self { accounts: Arc::clone(accounts), account: account.clone() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut asked_about = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = asked_about.iter().position(|other| *other == self.account) {
            asked_about.swap_remove(at);
        }
    }
}
