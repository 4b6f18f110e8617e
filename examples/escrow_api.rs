//! An escrow API that only the right keys can use: depositor and beneficiary are keys, not accounts.
//!
//! Each handler's signature says what it demands: `Scoped<EscrowRelease>` cannot be had without a
//! token of the issuer for this resource, with that scope, and a proof by the key that the token is
//! bound to. What remains for the code below is the escrow itself, kept in memory.
//!
//! Copy how it uses the checks, not how it keeps money: a restart forgets every escrow, nothing bounds
//! how many there are, connections have no time limits, the body of a request is not signed (what
//! carries it must be TLS to the end), and the difference of 403 and 404 tells which escrows exist.
//!
//! `cargo run --example escrow_api`, with `countersign serve` beside it.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRef, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use countersign_sdk::account::Account;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::resource::{Caller, ResourceConfig, ResourceServer, Scoped};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

countersign_sdk::required_scope! {
    Read = "read";
    EscrowCreate = "escrow:create";
    EscrowRead = "escrow:read";
    EscrowRelease = "escrow:release";
    EscrowClaim = "escrow:claim"
}

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8800")]
    listen: SocketAddr,
    /// The Countersign issuer whose tokens are taken.
    #[arg(long, default_value = "http://127.0.0.1:8700")]
    issuer: String,
    /// The URL under which clients see this API, which is also its resource identifier [default: where it listens]
    #[arg(long)]
    public_url: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    let address = listener.local_addr()?;
    let public_url = args.public_url.unwrap_or(format!("http://{address}"));
    let server = ResourceConfig::new(args.issuer, public_url)
        .realm("escrow")
        .scopes_supported([
            "read",
            "escrow:create",
            "escrow:read",
            "escrow:release",
            "escrow:claim",
        ])
        .advertise_metadata()
        // What only reads goes on while the issuer's revocations are out of reach; money does not move.
        .open_when_stale(["read", "escrow:read"])
        .build()?;
    server.follow_revocations().await;
    println!("listening on http://{address}");
    axum::serve(listener, router(server)).await?;
    Ok(())
}

fn router(server: ResourceServer) -> Router {
    Router::new()
        .route("/hello", get(hello))
        .route("/escrows", post(create))
        .route("/escrows/{id}", get(show))
        .route("/escrows/{id}/release", post(release))
        .route("/escrows/{id}/claim", post(claim))
        .merge(server.metadata_router())
        .fallback(|| async { Refused::not_found() })
        .method_not_allowed_fallback(|| async { Refused::method() })
        .with_state(Escrows { server, all: Arc::default() })
}

/// Everything the handlers share. One lock for all escrows, held for an instant: a state is looked
/// at and changed in one go, so of two releases or claims at once one finds it done.
#[derive(Clone)]
struct Escrows {
    server: ResourceServer,
    all: Arc<Mutex<Vec<Escrow>>>,
}

/// Where the extractors find the checks.
impl FromRef<Escrows> for ResourceServer {
    fn from_ref(escrows: &Escrows) -> Self {
        escrows.server.clone()
    }
}

/// `amount` is an integer in the currency's minor unit: 1050 EUR are 10.50 €.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    beneficiary: String,
    amount: u64,
    currency: String,
}

#[derive(Clone, Serialize)]
struct Escrow {
    id: usize,
    /// The subject whose money it is. A `did:key` is its key; a wallet's `did:pkh` is controlled by
    /// one, whichever session key signs for it today.
    depositor: String,
    /// The key that signed the deposit, for the record.
    depositor_key: Option<Thumbprint>,
    #[serde(flatten)]
    terms: Terms,
    state: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Held,
    Released,
    Claimed,
}

async fn hello(caller: Scoped<Read>) -> Json<Value> {
    Json(json!({ "sub": caller.sub(), "jkt": caller.jkt() }))
}

async fn create(
    caller: Scoped<EscrowCreate>,
    State(escrows): State<Escrows>,
    terms: Result<Json<Terms>, JsonRejection>,
) -> Result<(StatusCode, Json<Escrow>), Refused> {
    let Json(terms) = terms.map_err(|error| Refused::terms(error.body_text()))?;
    let code = terms.currency.as_bytes();
    let is_currency = code.len() == 3 && code.iter().all(u8::is_ascii_uppercase);
    if terms.amount == 0 || !is_currency || party(&terms.beneficiary).is_none() {
        let needed =
            "amount above 0 in minor units, currency such as EUR, beneficiary a did:pkh or did:key";
        return Err(Refused::terms(needed.to_owned()));
    }
    let mut all = escrows.all.lock().unwrap_or_else(PoisonError::into_inner);
    let escrow = Escrow {
        id: all.len(),
        depositor: caller.sub().to_owned(),
        depositor_key: caller.jkt(),
        terms,
        state: Stage::Held,
    };
    all.push(escrow.clone());
    Ok((StatusCode::CREATED, Json(escrow)))
}

async fn show(
    caller: Scoped<EscrowRead>,
    State(escrows): State<Escrows>,
    Path(id): Path<String>,
) -> Result<Json<Escrow>, Refused> {
    escrows.with(&id, |escrow| {
        let beneficiary = only(&escrow.terms.beneficiary, &caller, "not_a_party");
        only(&escrow.depositor, &caller, "not_a_party").or(beneficiary)
    })
}

async fn release(
    caller: Scoped<EscrowRelease>,
    State(escrows): State<Escrows>,
    Path(id): Path<String>,
) -> Result<Json<Escrow>, Refused> {
    escrows.with(&id, |escrow| {
        only(&escrow.depositor, &caller, "not_the_depositor")?;
        escrow.advance(Stage::Held, Stage::Released)
    })
}

async fn claim(
    caller: Scoped<EscrowClaim>,
    State(escrows): State<Escrows>,
    Path(id): Path<String>,
) -> Result<Json<Escrow>, Refused> {
    escrows.with(&id, |escrow| {
        only(&escrow.terms.beneficiary, &caller, "not_the_beneficiary")?;
        escrow.advance(Stage::Released, Stage::Claimed)
    })
}

fn only(name: &str, caller: &Caller, reason: &'static str) -> Result<(), Refused> {
    let text = "the key that signed this request is not the one that may do this";
    match (party(name), party(caller.sub())) {
        (Some(allowed), Some(calling)) if allowed == calling => Ok(()),
        (_, _) => Err(Refused(StatusCode::FORBIDDEN, reason, text.to_owned())),
    }
}

/// The one spelling of a party that can sign in; money for anybody else would be locked for good.
/// The case of an Ethereum address is a checksum and no part of the name.
fn party(did: &str) -> Option<String> {
    let named = did.strip_prefix("did:pkh:");
    match named.unwrap_or(did).parse().ok()? {
        Account::Chain(account) if named.is_some() && account.chain().namespace() == "eip155" => {
            let digits = account.address().strip_prefix("0x")?;
            let is_address = digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            is_address.then(|| did.to_ascii_lowercase())
        }
        account @ Account::Chain(_) if named.is_some() => Some(account.to_did()),
        account @ Account::Key(_) if named.is_none() => Some(account.to_did()),
        Account::Chain(_) | Account::Key(_) => None,
    }
}

impl Escrows {
    /// Runs `step` on an escrow while nobody else can, and returns the escrow as it is then.
    fn with(
        &self,
        id: &str,
        step: impl FnOnce(&mut Escrow) -> Result<(), Refused>,
    ) -> Result<Json<Escrow>, Refused> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // One spelling for each: `+0` and `00` are no names of the first.
        let position = id.parse::<usize>().ok().filter(|number| number.to_string() == id);
        let escrow = position.and_then(|position| all.get_mut(position));
        let escrow = escrow.ok_or_else(Refused::not_found)?;
        step(escrow)?;
        Ok(Json(escrow.clone()))
    }
}

impl Escrow {
    fn advance(&mut self, from: Stage, to: Stage) -> Result<(), Refused> {
        if self.state != from {
            let text = "the escrow is not in the state that this step starts from";
            return Err(Refused(StatusCode::CONFLICT, "wrong_state", text.to_owned()));
        }
        self.state = to;
        Ok(())
    }
}

/// A refusal, in the shape that the answers of the checks have: status, reason, sentence.
struct Refused(StatusCode, &'static str, String);

impl Refused {
    fn terms(text: String) -> Self {
        Self(StatusCode::BAD_REQUEST, "malformed_request", text)
    }

    fn method() -> Self {
        let text = "this path does not take this method".to_owned();
        Self(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
    }

    fn not_found() -> Self {
        let text = "there is no such escrow or path";
        Self(StatusCode::NOT_FOUND, "not_found", text.to_owned())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, reason, text) = self;
        let forbidden = status == StatusCode::FORBIDDEN;
        let error = if forbidden { "access_denied" } else { "invalid_request" };
        let body = json!({ "error": error, "error_description": text, "reason": reason });
        (status, Json(body)).into_response()
    }
}
