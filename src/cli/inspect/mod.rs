//! Explains a token, a refresh token or a proof check by check: what was expected beside what was received.
//!
//! A refused credential shows one reason, the first; here all of them stand side by side. Nothing
//! printed could be used in the credential's place: signatures are left out.

mod jwt;
mod proof;
mod refresh;
mod report;
mod token;

use std::fs::File;
use std::io::{self, Read as _};

use countersign_sdk::client::Http;
use countersign_sdk::client::address::Issuer;
use countersign_sdk::client::discovery;
use countersign_sdk::resource::IssuerKeys;
use countersign_sdk::time::{Clock as _, SystemClock, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::failure::{Failure, unless_quiet};
use super::output::Output;
use jwt::Jwt;
use report::Report;

/// The largest text read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

const EXAMPLE: &str = "\
Examples:
  countersign inspect @token.txt --issuer https://auth.example --resource https://escrow.example
  countersign inspect @proof.txt --method POST --url https://escrow.example/escrows --token token.txt

Exits with 1 when a check fails, and with 4 when none failed and what was given was not enough to
check all of it.";

/// Arguments of `countersign inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The token, refresh token or proof: a text, @FILE, or - for standard input.
    #[arg(default_value = "-")]
    input: String,
    /// The issuer expected; its keys are fetched to verify a token's signature.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The resource expected as a token's audience.
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// The method of the request that a proof came with.
    #[arg(long)]
    method: Option<String>,
    /// The URL of the request that a proof came with, as the server sees it.
    #[arg(long)]
    url: Option<String>,
    /// The access token that a proof came with.
    #[arg(long, value_name = "FILE")]
    token: Option<String>,
    /// The moment to judge at, RFC 3339 or seconds since 1970; now unless given.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
}

/// Explains the input.
///
/// # Errors
/// [`Failure`]; `refused` when a check failed.
pub async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let text = read(&args.input)?;
    if args.input != "-" && !args.input.starts_with('@') {
        output.warning("an argument shows in process lists and shell histories; give @FILE or -");
    }
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let mut report = Report::default();
    if refresh::is_one(text.trim()) {
        refresh::explain(text.trim(), &mut report);
    } else {
        explain_jws(&args, text.trim(), now, &mut report).await?;
    }
    unless_quiet(report.print(output))?;
    match report.failures() {
        0 if report.is_decided() => Ok(()),
        0 => Err(Failure::unchecked("nothing failed, but not everything was checked")),
        1 => Err(Failure::refused("one check failed")),
        number => Err(Failure::refused(format!("{number} checks failed"))),
    }
}

async fn explain_jws(
    args: &Args,
    text: &str,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), Failure> {
    match Jwt::parse(text) {
        Err(fault) => report.failed("form", "a compact JWS with JSON in it", fault),
        Ok(jwt) if jwt.is_proof() => {
            let access_token = args.token.as_deref().map(|path| read(&format!("@{path}")));
            let given = proof::Given {
                method: args.method.as_deref(),
                url: args.url.as_deref(),
                access_token: access_token.transpose()?,
                now,
            };
            proof::explain(text, &jwt, &given, report);
        }
        Ok(jwt) => {
            let given = token::Given {
                issuer: args.issuer.as_deref(),
                resource: args.resource.as_deref(),
                keys: issuer_keys(args.issuer.as_deref()).await?,
                now,
            };
            token::explain(text, &jwt, &given, report);
        }
    }
    Ok(())
}

async fn issuer_keys(issuer: Option<&str>) -> Result<Option<IssuerKeys>, Failure> {
    let Some(issuer) = issuer else {
        return Ok(None);
    };
    let (http, issuer) = (Http::new()?, Issuer::parse(issuer)?);
    let metadata = discovery::discover(&http, &issuer).await?;
    let keys = IssuerKeys::from_json(&discovery::key_set(&http, &metadata).await?);
    let keys = keys.map_err(|error| Failure::refused(format!("{}: {error}", issuer.as_str())))?;
    Ok(Some(keys))
}

fn read(input: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match input.strip_prefix('@') {
        Some(path) => {
            File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        }
        None if input == "-" => io::stdin().lock().take(MAX_BYTES + 1).read_to_string(&mut text),
        None => return Ok(input.to_owned()),
    };
    let name = if input == "-" { "standard input" } else { input };
    read.map_err(|error| Failure::configuration(format!("{name}: {error}")))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Failure::usage(format!("{name}: larger than 64 KiB; no server reads that")));
    }
    Ok(text)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Timestamp::from_unix(seconds));
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .and_then(|moment| u64::try_from(moment.unix_timestamp()).ok())
        .map(Timestamp::from_unix)
        .ok_or_else(|| "neither RFC 3339 nor seconds since 1970".to_owned())
}
