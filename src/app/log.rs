//! The life of the audit log: opened beside the store, begun, signed while the server runs, and closed with a last checkpoint.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::audit::event::{Configuration, Started, Stopped};
use crate::audit::record::Hash;
use crate::audit::{self, Audit, Event};
use crate::config::{Mode, Settings, StoreSettings};
use crate::service::checkpoint::{self, Due};
use crate::service::context::Context;

/// How often it is looked whether the audit log is to be signed.
const CHECKPOINT_LOOK: Duration = Duration::from_secs(1);
/// How often a log that is in use is tried again, 50 milliseconds apart.
const AUDIT_PATIENCE: u32 = 100;

/// When the log is to be signed.
pub(super) const fn due(settings: &Settings) -> Due {
    let audit = &settings.audit;
    Due { records: audit.checkpoint_records, seconds: audit.checkpoint_seconds }
}

/// Opens the audit log beside the store. A server before this one may hold it for a moment longer.
pub(super) async fn open(settings: &Settings) -> Result<Audit, StartError> {
    let StoreSettings::Embedded { directory } = &settings.store else {
        return Ok(Audit::in_memory());
    };
    let audit = &settings.audit;
    let options = audit::Options { retention: audit.retention, stream: audit.stream.clone() };
    for patience in (0..AUDIT_PATIENCE).rev() {
        let (directory, options) = (directory.clone(), options.clone());
        let on_failure = audit.on_failure;
        let open = move || Audit::open(&directory, &options, on_failure);
        match tokio::task::spawn_blocking(open).await.map_err(io::Error::other) {
            Ok(Err(audit::OpenError::InUse(_))) if patience > 0 => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(opened) => return Ok(opened?),
            Err(error) => return Err(audit::OpenError::Thread(error).into()),
        }
    }
    Err(audit::OpenError::InUse(directory.clone()).into())
}

/// The first records of this process: that it began, and with which configuration.
pub(super) async fn begin(settings: &Settings, context: &Context) -> Result<(), StartError> {
    let now = context.now();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let began = Event::Started(Started { version, issuer: context.issuer.url.clone() });
    context.audit.record(began, now)?;
    let mode = match settings.mode {
        Mode::Development => "development",
        Mode::Configured => "configured",
    };
    let digest = Hash::of(&[format!("{settings:?}").as_bytes()]).to_hex();
    let loaded = Configuration { mode: mode.to_owned(), digest };
    Ok(context.audit.keep(Event::ConfigurationLoaded(loaded), now).await?)
}

/// Signs the audit log again and again, and tells of refusals that were only counted.
pub(super) async fn sign(context: Arc<Context>, due: Due) {
    let mut ticks = tokio::time::interval(CHECKPOINT_LOOK);
    loop {
        ticks.tick().await;
        context.audit.tell_omitted(context.now(), false);
        if let Err(refusal) = checkpoint::when_due(&context, due).await {
            tracing::error!(%refusal, "the audit log was not signed");
        }
    }
}

/// The last records of this process, and the checkpoint over them.
pub(super) async fn end(context: &Context) {
    let now = context.now();
    context.audit.tell_omitted(now, true);
    let issuer = context.issuer.url.clone();
    if let Err(error) = context.audit.keep(Event::Stopped(Stopped { issuer }), now).await {
        tracing::error!(%error, "the end of the server is not recorded");
    }
    if let Err(refusal) = checkpoint::make(context).await {
        tracing::error!(%refusal, "the end of the audit log was not signed");
    }
}
