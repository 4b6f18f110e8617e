//! An Ethereum wallet signs in once, and a session key signs every call after that.
//!
//! The wallet sees one text, in which its person reads what the token will be able to do. The SDK
//! has checked that text before: another domain, another issuer, another key, or a scope that was
//! not asked for, and the wallet is never asked.
//!
//! `cargo run --example wallet_sign_in`, with `countersign serve` and the example `escrow_api`
//! beside it.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use countersign_sdk::account::Account;
use countersign_sdk::client::{Client, InMemoryWallet, SignIn, Wallet};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, SignerError};

#[derive(Parser)]
struct Args {
    /// The Countersign issuer.
    #[arg(long, default_value = "http://127.0.0.1:8700")]
    issuer: String,
    /// The API to call, which is also the resource that the token is for.
    #[arg(long, default_value = "http://127.0.0.1:8800")]
    api: String,
}

/// A wallet that shows its person what is about to be signed. A real one would be a browser
/// extension or a device; this trait is all that it takes to bring one.
#[derive(Debug)]
struct ShowingWallet(InMemoryWallet);

#[async_trait]
impl Wallet for ShowingWallet {
    fn account(&self) -> &Account {
        self.0.account()
    }

    fn format(&self) -> &str {
        self.0.format()
    }

    async fn sign_message(&self, message: &str) -> Result<String, SignerError> {
        println!("the wallet is asked to sign:\n");
        for line in message.lines() {
            println!("    {line}");
        }
        println!();
        self.0.sign_message(message).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let key = InMemorySigner::generate(Curve::Secp256k1, &OsEntropy)?;
    let wallet = ShowingWallet(InMemoryWallet::ethereum(key, 1)?);

    let session = SignIn::new(&args.issuer)
        .resource(&args.api)
        .scope("read escrow:create escrow:read")
        .wallet(Arc::new(wallet))
        .await?;
    let token = session.access_token().await?;
    println!("signed in as {} until {}", token.sub, token.expires_at);

    let client = Client::new(session);
    let hello = client.request("GET", &format!("{}/hello", args.api));
    let answer = hello.send().await?;
    let status = answer.status();
    println!("GET /hello: {status} {}", answer.text().await?);
    if !status.is_success() {
        return Err("the API refused".into());
    }

    // What was not signed for is not possible: the token lacks escrow:release.
    let release = client.request("POST", &format!("{}/escrows/0/release", args.api));
    let status = release.send().await?.status();
    println!("POST /escrows/0/release: {status}");
    if status != 403 {
        return Err("the API let through what was not signed for".into());
    }
    Ok(())
}
