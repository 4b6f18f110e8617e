//! Ends a kept session: at the issuer first, and then its file.

use serde_json::json;

use countersign_sdk::client::{SessionName, SessionStore as _, StoreError};

use super::failure::Failure;
use super::kept::{self, Folder};
use super::output::Output;

const EXAMPLE: &str = "\
Examples:
  countersign logout --session demo
  countersign logout --session demo --forget

The issuer is told first, and nothing is removed when it does not confirm. With --forget only the
file is removed; the session then lives on at the issuer until its end, without anybody to use it.
A key that has a file of its own is never removed.";

/// Arguments of `countersign logout`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The session kept under this name.
    #[arg(long, value_name = "NAME")]
    session: String,
    /// Remove the file and do not tell the issuer; a file that cannot be read, too.
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    folder: Folder,
}

/// Logs out.
///
/// # Errors
/// [`Failure`]; nothing is removed then.
pub async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let name = SessionName::new(&args.session)?;
    if args.forget {
        let store = args.folder.store()?;
        if !store.path_of(&name).exists() {
            return Err(StoreError::Absent(args.session).into());
        }
        let _held = store.lock(&name).await?;
        store.remove(&name).await?;
    } else {
        let resuming = kept::read(&args.folder, &args.session).await?;
        resuming.log_out().await.map_err(|error| {
            let advice = "the session is kept as it was; --forget removes it here alone";
            Failure::from(error).with_advice(advice)
        })?;
    }
    output.result(&[
        ("session", json!(args.session)),
        ("ended_at_issuer", json!(!args.forget)),
        ("removed", json!(true)),
    ])
}
