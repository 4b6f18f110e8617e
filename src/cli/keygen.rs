//! Makes a key, writes it for its owner alone, and tells every name that it will go by.

use std::path::PathBuf;

use clap::ValueEnum;
use countersign_sdk::client::{InMemoryWallet, Wallet as _, WalletKeyError};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, SecretKeyError, Signer as _};
use serde_json::{Value, json};

use super::failure::Failure;
use super::key_file;
use super::output::Output;

const EXAMPLE: &str = "\
Example:
  countersign keygen --out agent.pem
  countersign keygen --curve secp256k1 --out wallet.pem";

/// Arguments of `countersign keygen`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The file to write, as PKCS#8 PEM with mode 600. It must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The key's curve.
    #[arg(long, value_enum, default_value_t = CurveName::Ed25519)]
    curve: CurveName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CurveName {
    /// For agents and Solana accounts.
    Ed25519,
    /// For agents and Ethereum accounts.
    Secp256k1,
    /// For session keys only.
    P256,
}

impl CurveName {
    const fn curve(self) -> Curve {
        match self {
            Self::Ed25519 => Curve::Ed25519,
            Self::Secp256k1 => Curve::Secp256k1,
            Self::P256 => Curve::P256,
        }
    }
}

/// Makes the key and prints its names.
///
/// # Errors
/// [`Failure`] when the file exists or cannot be written.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let signer = generate(args.curve.curve()).map_err(unmade)?;
    let names = names(&signer)?;
    key_file::write_new(&args.out, &signer.to_pkcs8_pem().map_err(unmade)?)?;
    let mut pairs = vec![("file", json!(args.out.display().to_string()))];
    pairs.extend(names);
    output.result(&pairs)
}

fn generate(curve: Curve) -> Result<InMemorySigner, SecretKeyError> {
    InMemorySigner::generate(curve, &OsEntropy)
}

fn unmade(error: SecretKeyError) -> Failure {
    Failure::configuration(error.to_string())
}

/// Curve, `did:key`, thumbprint, and the account that the key controls on its chain.
fn names(signer: &InMemorySigner) -> Result<Vec<(&'static str, Value)>, Failure> {
    let key = signer.public_key();
    let copy = || key_file::copy(signer);
    let wallet: Option<Result<InMemoryWallet, WalletKeyError>> = match key.curve() {
        Curve::Ed25519 => Some(InMemoryWallet::solana(copy()?)),
        Curve::Secp256k1 => Some(InMemoryWallet::ethereum(copy()?, 1)),
        Curve::P256 => None,
    };
    let account = wallet
        .transpose()
        .map_err(|error| Failure::configuration(error.to_string()))?
        .map(|wallet| wallet.account().to_string());
    Ok(vec![
        ("curve", json!(key.curve().name())),
        ("did", json!(key.to_did_key())),
        ("jkt", json!(key.thumbprint().to_string())),
        ("account", json!(account)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_by_the_names_of_its_chain() {
        for (curve, account) in [
            (Curve::Ed25519, "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:"),
            (Curve::Secp256k1, "eip155:1:0x"),
        ] {
            let names = names(&generate(curve).unwrap()).unwrap();
            let value = |name| names.iter().find(|(key, _)| *key == name).unwrap().1.clone();
            assert!(value("account").as_str().unwrap().starts_with(account));
            assert!(value("did").as_str().unwrap().starts_with("did:key:z"));
        }
        let p256 = names(&generate(Curve::P256).unwrap()).unwrap();
        assert!(p256.contains(&("account", Value::Null)));
    }
}
