//! Which custody a server's keys are opened with, as the settings say.

use std::sync::Arc;
use std::time::Duration;

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::Algorithm;
use countersign_sdk::time::Timestamp;

use tokio::time::Instant;

use super::{StartError, Surroundings};
use crate::audit::event::Actor;
use crate::config::{CustodySettings, Settings, SigningAlgorithm, StoreSettings};
use crate::keyring::custody::memory::Memory;
#[cfg(feature = "pkcs11")]
use crate::keyring::custody::pkcs11::{Pkcs11, TokenLogin};
use crate::keyring::custody::sealed::Sealed;
use crate::keyring::custody::secret::SecretSource;
use crate::keyring::custody::{Custody, CustodyError, Sealing};
use crate::keyring::{Keyring, KeyringError, Policy, RingFile, Shelf};
use crate::model::revocation::{FARTHEST_AHEAD, Revocation, TokenNames};
use crate::service::context::Context;
use crate::service::keys::tend;
use crate::service::recording;

/// How often it is looked whether anything is due. The change from one key to the next needs no looking.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// The pause after something that is due could not be done, which grows twofold to the longest.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(32);

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

/// Does what time makes due for the keys, for as long as the server runs.
pub(super) async fn keep_tended(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(TEND_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut pause, mut not_before) = (PAUSE_AFTER_FAILURE, Instant::now());
    loop {
        ticks.tick().await;
        try_again(&context).await;
        if Instant::now() < not_before {
            continue;
        }
        if let Err(refusal) = tend(&context, context.now()).await {
            tracing::error!(%refusal, "what is due for the signing keys was not done; it is tried again");
            not_before = Instant::now() + pause;
            pause = LONGEST_PAUSE.min(pause.saturating_mul(2));
        } else {
            pause = PAUSE_AFTER_FAILURE;
        }
    }
}

/// Tries a key that was out of reach, since no request does while it is.
async fn try_again(context: &Context) {
    let key = context.keyring.active(context.now());
    if key.is_ready() {
        return;
    }
    if !context.keyring.is_proven() {
        let (keyring, now) = (Arc::clone(&context.keyring), context.now());
        let turn = keyring.turn().await;
        match tokio::task::spawn_blocking(move || keyring.prove(&turn, now)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the keys cannot be used"),
            Err(error) => tracing::error!(%error, "the keys were not asked for"),
        }
        return;
    }
    let tried = Arc::clone(&key);
    if tokio::task::spawn_blocking(move || tried.warm_up()).await.is_ok() && key.is_ready() {
        tracing::warn!(kid = key.kid(), "the signing key is back");
    }
}
