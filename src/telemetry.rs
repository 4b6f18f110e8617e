//! The log: where it goes and in what form. It carries reasons and never a credential.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Sends the log to standard error, as text or as JSON lines, filtered as `level` says
/// (`info`, or `countersign=debug,info`).
///
/// # Errors
/// A sentence, when the filter is malformed or a log has been set up before.
pub fn init(json: bool, level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("log.level: {error}"))?;
    let terminal = std::io::stderr().is_terminal();
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        // A line that cannot be written, on a full disk say, must not end the request it is about.
        .log_internal_errors(false);
    let set = |result: Result<(), TryInitError>| result.map_err(|error| error.to_string());
    if json { set(builder.json().finish().try_init()) } else { set(builder.finish().try_init()) }
}
