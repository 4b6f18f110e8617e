//! Makes the secret by which a resource server may ask about its tokens, and what the configuration keeps of it.

use countersign_sdk::entropy::OsEntropy;
use serde_json::json;

use super::failure::Failure;
use super::output::Output;
use crate::model::introspection::Secret;

const EXAMPLE: &str = "\
Example:
  countersign secret
Give the secret to the resource server, and write the hash into the configuration:
  [[resources]]
  introspection_secret = \"sha256:…\"";

/// Arguments of `countersign secret`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {}

/// Makes a secret and prints it, once, with its hash.
///
/// # Errors
/// [`Failure`] when there is no randomness or the output is closed.
pub fn run(_args: &Args, output: &Output) -> Result<(), Failure> {
    let secret =
        Secret::generate(&OsEntropy).map_err(|error| Failure::configuration(error.to_string()))?;
    output.result(&[
        ("secret", json!(secret.expose())),
        ("introspection_secret", json!(secret.hash().to_string())),
    ])
}
