//! An Ethereum wallet signs in once, and a session key signs every call after that.
//!
//! The wallet sees one text, in which its person reads what the token will be able to do. The SDK
//! has checked that text before: another domain, another issuer, another key, or a scope that was
//! not asked for, and the wallet is never asked. The session is kept: the program's next run takes
//! it up without the wallet, has its token renewed, and logs out.
//!
//! `cargo run --example wallet_sign_in`, with `countersign serve` and the example `escrow_api`
//! beside it.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use countersign_sdk::account::Account;
use countersign_sdk::client::{
    Client, FileSessionStore, InMemoryWallet, SessionName, SessionStore, SignIn, Wallet,
};
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
    /// Where the session is kept; without, in a folder of temporary files.
    #[arg(long)]
    sessions: Option<PathBuf>,
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

    let temporary =
        std::env::temp_dir().join(format!("countersign-example-{}", std::process::id()));
    let folder = args.sessions.as_ref().unwrap_or(&temporary);
    let store: Arc<dyn SessionStore> = Arc::new(FileSessionStore::new(folder));

    let session = SignIn::new(&args.issuer)
        .resource(&args.api)
        .scope("read escrow:create escrow:read")
        .label("the example")
        .keep_in(Arc::clone(&store), "wallet")
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
    next_run(&args.api, store).await?;
    if args.sessions.is_none() {
        std::fs::remove_dir(temporary)?;
    }
    Ok(())
}

/// What the program does when it is started again, some time later.
async fn next_run(api: &str, store: Arc<dyn SessionStore>) -> Result<(), Box<dyn Error>> {
    // As if the token had ended meanwhile: it is renewed by the refresh token and the session key.
    let name = SessionName::new("wallet")?;
    let mut kept = store.load(&name).await?.ok_or("nothing was kept")?;
    kept.token.expires_at = kept.token.issued_at;
    store.save(&name, &kept).await?;

    let session = SignIn::resume_from(store, name.as_str()).await?.session()?;
    let token = session.access_token().await?;
    println!("renewed without the wallet until {}", token.expires_at);

    let client = Client::new(session);
    let answer = client.request("GET", &format!("{api}/hello")).send().await?;
    println!("GET /hello: {}", answer.status());
    if !answer.status().is_success() {
        return Err("the API refused the renewed token".into());
    }

    // The issuer ends the session, and the file is removed.
    client.session().log_out().await?;
    println!("logged out");
    Ok(())
}
