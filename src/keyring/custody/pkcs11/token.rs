//! A token of a security module, logged in to: sessions that are kept, opened again, and bounded in number.
//!
//! Calls of the module are bounded in number, one more waits for its turn, and while one has no answer none
//! but signatures begin. A session that fails is opened again once, and after that signatures count as out of reach until a try
//! in the background succeeds. A PIN that was refused is not tried again: a token locks after a few.
//! PKCS #11 v2.40 and v3.0.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use countersign_sdk::client::private_file;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::error::{Error, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

use super::calls::Calls;
use crate::keyring::slots::Slots;

/// Calls of the module at the same time; one more waits for its turn.
pub(super) const MOST_CALLS: usize = 32;
/// Those of them for tokens and for the feed. The rest is for what the server does by itself.
const CALLS_FOR_TOKENS: usize = 20;
pub(super) const CALLS_FOR_FEED: usize = 8;
/// The longest PIN file, in bytes.
const MAX_PIN_BYTES: usize = 1024;
/// Which token, and how to log in to it.
#[derive(Clone, Debug)]
pub struct TokenLogin {
    /// The token's label.
    pub token: String,
    /// Where its user's PIN is.
    pub pin_file: PathBuf,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A signature.
    Signature,
    /// Anything else.
    Other,
}

/// A token of a loaded module.
pub(super) struct Token {
    /// Written to while the module is begun anew, which nobody may use meanwhile.
    module: RwLock<Module>,
    login: TokenLogin,
    /// Sessions that nobody uses just now. They keep the login alive.
    idle: Mutex<Vec<Open>>,
    pub(super) calls: Calls,
    slots: Slots,
    is_ready: AtomicBool,
    pin_refused: AtomicBool,
    /// One login at a time, so that a PIN that is wrong is tried once.
    logging_in: Mutex<()>,
}

/// A session, and what it has found.
pub(super) struct Open {
    pub(super) session: Session,
    pub(super) found: HashMap<Vec<u8>, ObjectHandle>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("label", &self.login.token).finish_non_exhaustive()
    }
}

impl Token {
    pub(super) fn new(module: Module, login: TokenLogin) -> Self {
        Self {
            module: RwLock::new(module),
            login,
            idle: Mutex::default(),
            calls: Calls::new(MOST_CALLS),
            slots: Slots::new(CALLS_FOR_TOKENS, CALLS_FOR_FEED),
            is_ready: AtomicBool::new(true),
            pin_refused: AtomicBool::new(false),
            logging_in: Mutex::default(),
        }
    }

    /// Whether a signature is likely to be had.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire) && !self.calls.hang()
    }

    pub(super) fn refused_its_pin(&self) -> bool {
        self.pin_refused.load(Ordering::Acquire)
    }

    pub(super) const fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(super) fn forget_sessions(&self) {
        self.idle().clear();
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Open>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the module and begins it anew: one whose device was away may not find it again otherwise.
    fn begin_anew(&self) {
        // Where a call is under way, or hangs, it is for the next try.
        let Ok(module) = self.module.try_write() else { return };
        self.idle().clear();
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        // It fails where the last beginning did; there is nothing to end then.
        let _ = module.clone().finalize();
        if let Err(error) = module.initialize(arguments) {
            tracing::warn!(%error, "the PKCS#11 module did not begin anew");
        }
    }

    /// A session that is logged in.
    fn open(&self, module: &Module) -> Result<Open, String> {
        let about = |error: Error| format!("the token {}: {error}", self.login.token);
        let slots = module.get_slots_with_initialized_token().map_err(about)?;
        let is_ours = |slot: &&cryptoki::slot::Slot| {
            let info = module.get_token_info(**slot);
            info.is_ok_and(|info| info.label().trim_end() == self.login.token)
        };
        let ours: Vec<_> = slots.iter().filter(is_ours).collect();
        let [slot] = ours.as_slice() else {
            return Err(match ours.is_empty() {
                true => format!("there is no token {}", self.login.token),
                // Which one is meant, and gets the PIN, is nothing to guess.
                false => format!("there are several tokens {}", self.login.token),
            });
        };
        let session = module.open_rw_session(**slot).map_err(about)?;
        let _one = self.logging_in.lock().unwrap_or_else(PoisonError::into_inner);
        if self.pin_refused.load(Ordering::Acquire) {
            return Err(
                "the PIN was refused and is not tried again; put it right and restart".to_owned()
            );
        }
        let path = &self.login.pin_file;
        let pin = private_file::read(path, MAX_PIN_BYTES)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let pin = AuthPin::from(pin.trim_end_matches(['\r', '\n']).to_owned());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => {
                if let Error::Pkcs11(
                    RvError::PinIncorrect
                    | RvError::PinLocked
                    | RvError::PinInvalid
                    | RvError::PinLenRange,
                    _,
                ) = &error
                {
                    self.pin_refused.store(true, Ordering::Release);
                }
                return Err(about(error));
            }
        }
        Ok(Open { session, found: HashMap::new() })
    }

    /// Does `work` in a session, and once more in a new one if that fails: a device that was away has
    /// forgotten its sessions. Only what says something of signatures decides whether they are to be had:
    /// an object that cannot be destroyed, or no room for another, keeps no key from signing.
    pub(super) fn with<T>(
        &self,
        kind: Work,
        work: impl Fn(&mut Open) -> Result<T, String>,
    ) -> Result<T, String> {
        // It would wait for the same, and so would the next: there is an end to the threads. Signatures have
        // places of their own, and one of them tells whether the module is there.
        if kind == Work::Other && self.calls.hang() {
            return Err("a call of the module has no answer".to_owned());
        }
        let busy = || format!("{MOST_CALLS} calls of the module are under way");
        let _call = self.calls.begin().ok_or_else(busy)?;
        if !self.is_ready.load(Ordering::Acquire) {
            self.begin_anew();
        }
        let module = self.module.read().unwrap_or_else(PoisonError::into_inner);
        // Of its own statement, so that the lock is not held while the module works.
        let kept = self.idle().pop();
        if let Some(mut kept) = kept
            && let Ok(done) = work(&mut kept)
        {
            if kind == Work::Signature {
                self.is_ready.store(true, Ordering::Release);
            }
            self.idle().push(kept);
            return Ok(done);
        }
        // Sessions of before are as likely to be gone, and with the last of them so is the login.
        self.forget_sessions();
        let opened = self.open(&module);
        let mut open = opened.inspect_err(|_| self.is_ready.store(false, Ordering::Release))?;
        let done = work(&mut open);
        if kind == Work::Signature {
            self.is_ready.store(done.is_ok(), Ordering::Release);
        }
        // One that signs nothing may be of no use for anything.
        if done.is_ok() || kind == Work::Other {
            self.idle().push(open);
        }
        done
    }
}
