//! Signs in with a key file and prints the token, or keeps the session for `call`.

use std::sync::Arc;

use countersign_sdk::client::{SessionName, Token};
use serde_json::{Value, json};

use super::failure::Failure;
use super::kept::Folder;
use super::output::{Output, moment_text};
use super::signing::SignInArgs;

const EXAMPLE: &str = "\
Examples:
  countersign login --issuer http://127.0.0.1:8700 --key agent.pem \\
      --resource http://127.0.0.1:8800 --scope read --keep demo
  countersign login --issuer https://auth.example --key wallet.pem --format siwe \\
      --resource https://escrow.example --keep escrow --label 'my laptop'

A kept session of a wallet renews its token until the end that the signed message states, or until
countersign logout. Without --keep the token is printed on standard output, and details on standard error.
It is bound to the key: nobody can use it without.";

/// Arguments of `countersign login`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    sign_in: SignInArgs,
    /// Keep the session under this name, for `countersign call --session NAME`.
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// What this device is called in the list of a wallet's sessions.
    #[arg(long, value_name = "TEXT", requires = "format")]
    label: Option<String>,
    #[command(flatten)]
    folder: Folder,
}

/// Signs in.
///
/// # Errors
/// [`Failure`].
pub async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    if args.keep.is_none() && args.sign_in.makes_a_key() {
        return Err(Failure::usage(
            "the token of a wallet is bound to a session key: keep both with --keep NAME, \
             or bring a key with --session-key FILE",
        ));
    }
    let Args { sign_in, keep, label, folder } = args;
    let kept = match &keep {
        Some(name) => Some((folder.store()?, SessionName::new(name)?)),
        None => None,
    };
    let session = sign_in.sign_in(output, |mut sign_in| {
        if let Some(label) = label {
            sign_in = sign_in.label(label);
        }
        match &kept {
            Some((store, name)) => sign_in.keep_in(Arc::new(store.clone()), name.as_str()),
            None => sign_in,
        }
    });
    let token = session.await?.current();
    let mut pairs = details(&token);
    if let Some((store, name)) = &kept {
        pairs.push(("kept", json!(store.path_of(name).display().to_string())));
        return output.result(&pairs);
    }
    let text = token.access_token.expose();
    if output.is_json() {
        pairs.insert(0, ("access_token", json!(text)));
        return output.result(&pairs);
    }
    for (name, value) in &pairs {
        if let Value::String(value) = value {
            output.note(&format!("{name:10}  {value}"));
        }
    }
    output.bytes(format!("{text}\n").as_bytes())
}

fn details(token: &Token) -> Vec<(&'static str, Value)> {
    vec![
        ("token_type", json!("DPoP")),
        ("sub", json!(token.sub)),
        ("scope", json!(token.scope)),
        ("resource", json!(token.resource)),
        ("session_id", json!(token.session_id)),
        ("expires_at", json!(moment_text(token.expires_at))),
    ]
}
