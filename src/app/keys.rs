//! Which custody a server's keys are opened with, as the settings say.

use std::sync::Arc;
use std::time::Duration;

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::Algorithm;
use countersign_sdk::time::Timestamp;
use tokio::time::{Interval, MissedTickBehavior};

use super::{StartError, Surroundings};
use crate::audit::event::Actor;
use crate::config::{CustodySettings, Settings, SigningAlgorithm, StoreSettings};
use crate::keyring::custody::memory::Memory;
#[cfg(feature = "pkcs11")]
use crate::keyring::custody::pkcs11::{Pkcs11, TokenLogin};
use crate::keyring::custody::sealed::{self, Sealed};
use crate::keyring::custody::secret::SecretSource;
use crate::keyring::custody::{Custody, CustodyError, Sealing};
use crate::keyring::{Document, Keyring, KeyringError, Policy, RingFile, Shelf, SigningKey};
use crate::model::revocation::{FARTHEST_AHEAD, Revocation, TokenNames};
use crate::service::context::Context;
use crate::service::recording;

/// How often it is looked whether anything is due. The change from one key to the next needs no looking.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// The pause after something that is due could not be done, which grows twofold to the longest.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(32);
/// The longest while keys wait for a module that was away at the start: somebody may wait for it to be back.
const LONGEST_PAUSE_OF_PROOF: Duration = Duration::from_secs(8);

/// Opens the ring of these settings, or makes a new one. Blocks for as long as the custody does.
///
/// # Errors
/// [`KeyringError`].
pub(crate) fn open(
    settings: &Settings,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Arc<Keyring>, KeyringError> {
    let algorithm = match settings.signing_algorithm {
        SigningAlgorithm::EdDsa => Algorithm::EdDsa,
        SigningAlgorithm::Es256 => Algorithm::Es256,
    };
    let policy = Policy {
        algorithm,
        rotate_every: settings.keys.rotate_every,
        publish_before: settings.keys.publish_before,
    };
    let shelf = match (&settings.keys.custody, &settings.store) {
        (CustodySettings::Memory, _) | (_, StoreSettings::Memory) => None,
        (
            CustodySettings::Sealed(_) | CustodySettings::Pkcs11 { .. },
            StoreSettings::Embedded { directory },
        ) => Some(Box::new(RingFile::of(directory)) as Box<dyn Shelf>),
    };
    lies_elsewhere(settings)?;
    let make = |sealing| custody(&settings.keys.custody, sealing, entropy);
    Keyring::open(Box::new(make), shelf, policy, now, entropy)
}

/// That what opens the keys does not lie beside them: whoever takes the folder, or a copy of it, had both.
///
/// # Errors
/// [`CustodyError::Secret`].
fn lies_elsewhere(settings: &Settings) -> Result<(), CustodyError> {
    let StoreSettings::Embedded { directory } = &settings.store else { return Ok(()) };
    let path = match &settings.keys.custody {
        CustodySettings::Sealed(
            SecretSource::PassphraseFile(path) | SecretSource::KeyFile(path),
        ) => path,
        CustodySettings::Pkcs11 { pin_file, .. } => pin_file,
        CustodySettings::Sealed(SecretSource::Credential(_)) | CustodySettings::Memory => {
            return Ok(());
        }
    };
    // Where one of them is not there, there is nothing to compare, and it is told elsewhere.
    let (Ok(folder), Ok(secret)) = (directory.canonicalize(), path.canonicalize()) else {
        return Ok(());
    };
    if secret.starts_with(&folder) {
        return Err(CustodyError::Secret(format!(
            "{} lies in the store's folder, beside what it opens: move it elsewhere, best to another disk",
            path.display()
        )));
    }
    Ok(())
}

/// Opens it where nobody else waits: a passphrase takes a moment, and so may a security module.
pub(super) async fn open_off_the_workers(
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<Arc<Keyring>, StartError> {
    let (settings, entropy) = (settings.clone(), Arc::clone(&surroundings.entropy));
    let now = surroundings.clock.now();
    let opened = tokio::task::spawn_blocking(move || open(&settings, now, &*entropy)).await;
    Ok(opened.map_err(|error| StartError::BrokenOff(error.to_string()))??)
}

/// The custody of these settings.
///
/// # Errors
/// [`CustodyError`].
fn custody(
    settings: &CustodySettings,
    sealing: Option<Sealing>,
    entropy: &dyn Entropy,
) -> Result<Arc<dyn Custody>, CustodyError> {
    match settings {
        CustodySettings::Memory => Ok(Arc::new(Memory)),
        CustodySettings::Sealed(source) => {
            Ok(Arc::new(Sealed::new(&source.read()?, sealing, entropy)?))
        }
        #[cfg(feature = "pkcs11")]
        CustodySettings::Pkcs11 { module, token, pin_file } => {
            let login = TokenLogin { token: token.clone(), pin_file: pin_file.clone() };
            Ok(Arc::new(Pkcs11::load(module, login)?))
        }
        #[cfg(not(feature = "pkcs11"))]
        CustodySettings::Pkcs11 { .. } => {
            Err(CustodyError::Unsupported("this program was built without the feature pkcs11"))
        }
    }
}

/// Refuses a start that would put right what another clock wrote where it may be this one that is wrong: the
/// process before has left a record, the `newest`, that lies ahead as well. One whose clock was put back while it
/// ran has left younger ones.
pub(super) async fn check_clock(context: &Context, newest: Timestamp) -> Result<(), StartError> {
    let now = context.now();
    if newest > now.plus(FARTHEST_AHEAD) && is_everything_void_ahead(context, now).await? {
        return Err(StartError::ClockBehind { now, recorded: newest });
    }
    Ok(())
}

/// Whether the secret of these settings vouches for what a ring says; nothing does where its keys are in a
/// module, which says nothing of their times, or where the secret is not to be had and `is_needed` says that
/// this is no error.
///
/// # Errors
/// [`CustodyError`], also where somebody else has changed it.
pub(crate) fn vouches(
    settings: &Settings,
    ring: &Document,
    is_needed: bool,
    entropy: &dyn Entropy,
) -> Result<bool, CustodyError> {
    let CustodySettings::Sealed(source) = &settings.keys.custody else { return Ok(false) };
    ring.is_of(sealed::KIND)?;
    let secret = match source.read() {
        Err(_) if !is_needed => return Ok(false),
        read => read?,
    };
    let custody = Sealed::new(&secret, ring.sealing.clone(), entropy)?;
    ring.check(&custody).map(|()| true)
}

/// Where there was no ring, the key that signed the access tokens of an earlier process is gone, and with
/// it what could revoke one of them: APIs that still have the key are told that all of them are void.
/// Sessions go on.
pub(super) async fn void_tokens_of_before(context: &Context) -> Result<(), StartError> {
    let now = context.now();
    let owes = context.keyring.owes_void();
    let is_needed = owes && context.store.has_forgotten_proofs();
    let is_ahead = is_everything_void_ahead(context, now).await?;
    if is_ahead {
        tracing::warn!(
            "the store voids tokens of the future, by a clock that was ahead: put right"
        );
    }
    if is_needed || is_ahead {
        let void = Revocation::TokensBefore(now);
        context.store.revoke(&void, now).await.map_err(StartError::Unwritten)?;
        recording::revoked(context, &void, Actor::Server, now);
    }
    if owes {
        let (keyring, turn) = (Arc::clone(&context.keyring), context.keyring.turn().await);
        match tokio::task::spawn_blocking(move || keyring.void_told(&turn)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the next start tells once more that earlier tokens are void");
            }
            Err(error) => {
                tracing::error!(%error, "the next start tells once more that earlier tokens are void");
            }
        }
    }
    Ok(())
}

/// Whether tokens that are yet to be made are void: a clock that was far ahead said so, and nobody could
/// sign in until that time has come. A revocation of now puts it right.
async fn is_everything_void_ahead(context: &Context, now: Timestamp) -> Result<bool, StartError> {
    let nobody = TokenNames {
        jti: None,
        session: None,
        subject: "",
        keys: [None, None],
        issued_at: now.plus(FARTHEST_AHEAD),
    };
    context.store.is_revoked(&nobody, now).await.map_err(StartError::Unwritten)
}

/// Does what time makes due for the keys, and what revocations have left, for as long as the server runs.
/// The one does not wait for the other: a custody may never answer.
pub(super) async fn keep_tended(context: Arc<Context>) {
    tokio::join!(tend(&context), make_good(&context), try_again(&context));
}

/// The last try of what revocations have left to write, before the process ends and forgets them.
pub(super) async fn end(context: &Context, within: Duration) {
    match tokio::time::timeout(within, context.key_office().catch_up()).await {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => tracing::error!(%refusal, "a revocation of a key is NOT KEPT"),
        Err(_) => tracing::error!("a revocation of a key is NOT KEPT: the disk did not answer"),
    }
}

/// How often something is done: each second, and after a failure after a pause that grows twofold.
struct Pace {
    ticks: Interval,
    pause: Duration,
    longest: Duration,
}

impl Pace {
    fn up_to(longest: Duration) -> Self {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, pause: PAUSE_AFTER_FAILURE, longest }
    }

    async fn after<E>(&mut self, done: Result<(), E>) {
        if done.is_ok() {
            self.pause = PAUSE_AFTER_FAILURE;
        } else {
            tokio::time::sleep(self.pause).await;
            self.pause = self.longest.min(self.pause.saturating_mul(2));
        }
        self.ticks.tick().await;
    }
}

async fn tend(context: &Context) {
    let (office, mut pace) = (context.key_office(), Pace::up_to(LONGEST_PAUSE));
    loop {
        let done = office.tend().await.inspect_err(|refusal| {
            tracing::error!(%refusal, "what is due for the signing keys was not done; it is tried again");
        });
        pace.after(done).await;
    }
}

/// Whoever has made room for what is left restarts next, so this is not put off for long.
async fn make_good(context: &Context) {
    let (office, mut pace) = (context.key_office(), Pace::up_to(PAUSE_AFTER_FAILURE));
    loop {
        let done = office.make_good().await.inspect_err(|refusal| {
            tracing::error!(%refusal, "what a revocation has left was not done; it is tried again");
        });
        pace.after(done).await;
    }
}

/// Tries a key that was out of reach, since no request does while it is.
async fn try_again(context: &Context) {
    let mut pace = Pace::up_to(LONGEST_PAUSE_OF_PROOF);
    loop {
        let key = context.keyring.active(context.now());
        let done = match (context.keyring.is_proven(), key.is_ready()) {
            // Whether or not the active key signs: until all are proven, none is published.
            (false, _) => prove(context).await,
            (true, true) => Ok(()),
            (true, false) => {
                warm_up(key).await;
                Ok(())
            }
        };
        pace.after(done).await;
    }
}

/// Asks for keys that could not be asked for at the start; fails where they still cannot be, which has been
/// logged then.
async fn prove(context: &Context) -> Result<(), StillAway> {
    let keyring = Arc::clone(&context.keyring);
    let asked = tokio::task::spawn_blocking(move || keyring.ask()).await.map_err(|error| {
        tracing::error!(%error, "the keys were not asked for");
        StillAway
    })?;
    let turn = context.keyring.turn().await;
    let proven = asked.and_then(|asked| context.keyring.prove(&turn, asked, context.now()));
    if let Err(error) = proven {
        tracing::error!(%error, "the keys cannot be used");
    }
    if context.keyring.is_proven() { Ok(()) } else { Err(StillAway) }
}

/// The module, of which every error has been logged.
struct StillAway;

async fn warm_up(key: Arc<SigningKey>) {
    let tried = Arc::clone(&key);
    if tokio::task::spawn_blocking(move || tried.warm_up()).await.is_ok() && key.is_ready() {
        tracing::warn!(kid = key.kid(), "the signing key is back");
    }
}
