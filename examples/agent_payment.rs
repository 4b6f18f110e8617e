//! Two agents settle a payment through an escrow, each by its own key and by nothing else.
//!
//! The depositor is an Ed25519 key, the beneficiary a secp256k1 key. Neither has an account, a
//! password or an API key anywhere: each proves its key in one round trip, and every call carries a
//! proof made for that call. The wrong agent's attempts are refused.
//!
//! `cargo run --example agent_payment`, with `countersign serve` and the example `escrow_api`
//! beside it.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::sync::Arc;

use clap::Parser;
use countersign_sdk::client::{Client, SignIn};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner};
use serde_json::{Value, json};

#[derive(Parser)]
struct Args {
    /// The Countersign issuer.
    #[arg(long, default_value = "http://127.0.0.1:8700")]
    issuer: String,
    /// The escrow API, which is also the resource that the tokens are for.
    #[arg(long, default_value = "http://127.0.0.1:8800")]
    api: String,
}

/// A signed-in agent.
struct Agent {
    name: &'static str,
    client: Client,
    api: String,
}

impl Agent {
    async fn sign_in(
        name: &'static str,
        curve: Curve,
        args: &Args,
    ) -> Result<Self, Box<dyn Error>> {
        let key = Arc::new(InMemorySigner::generate(curve, &OsEntropy)?);
        let session = SignIn::new(&args.issuer)
            .resource(&args.api)
            .scope("escrow:create escrow:read escrow:release escrow:claim")
            .agent(key)
            .await?;
        let sub = session.access_token().await?.sub.clone();
        println!("{name} ({}) is {sub}", curve.name());
        Ok(Self { name, client: Client::new(session), api: args.api.clone() })
    }

    async fn sub(&self) -> Result<String, Box<dyn Error>> {
        Ok(self.client.session().access_token().await?.sub.clone())
    }

    /// Calls the API and insists on the status that the story needs.
    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        expected: u16,
    ) -> Result<Value, Box<dyn Error>> {
        let url = format!("{}{path}", self.api);
        let mut request = self.client.request(method, &url);
        if let Some(body) = body {
            request = request.json(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        println!("{} {method} {path}: {status} {text}", self.name);
        if status != expected {
            return Err(format!("{status} where {expected} was expected").into());
        }
        Ok(serde_json::from_str(&text)?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let depositor = Agent::sign_in("depositor", Curve::Ed25519, &args).await?;
    let beneficiary = Agent::sign_in("beneficiary", Curve::Secp256k1, &args).await?;

    let terms = json!({
        "beneficiary": beneficiary.sub().await?,
        "amount": 1050,
        "currency": "EUR",
    });
    let escrow = depositor.call("POST", "/escrows", Some(terms), 201).await?;
    let id = escrow.get("id").ok_or("the escrow has no id")?;
    let path = format!("/escrows/{id}");
    let (release, claim) = (format!("{path}/release"), format!("{path}/claim"));

    // Only the depositor's key releases, and nothing is claimed before.
    beneficiary.call("POST", &release, None, 403).await?;
    beneficiary.call("POST", &claim, None, 409).await?;
    depositor.call("POST", &release, None, 200).await?;
    // Only the beneficiary's key claims, and once.
    depositor.call("POST", &claim, None, 403).await?;
    beneficiary.call("POST", &claim, None, 200).await?;
    beneficiary.call("POST", &claim, None, 409).await?;

    let settled = depositor.call("GET", &path, None, 200).await?;
    match settled.get("state").and_then(Value::as_str) {
        Some("claimed") => Ok(()),
        _ => Err("the payment was not settled".into()),
    }
}
