//! Calls a protected API in the manner of curl, with a token and a proof made for this request.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::time::Duration;

use clap::ArgGroup;
use countersign_sdk::client::address::Address;
use countersign_sdk::client::error::printable;
use countersign_sdk::client::{Client, ClientError, Response, Session};
use serde_json::{Value, json};

use super::failure::{Failure, unless_quiet};
use super::kept::{self, Folder};
use super::output::{Output, TerminalText};
use super::signing::SignInArgs;

/// The largest body sent, in bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;
/// How long the end of a renewal is waited for once the answer is there.
const SETTLING: Duration = Duration::from_secs(5);

const EXAMPLE: &str = "\
Examples:
  countersign call --session demo GET http://127.0.0.1:8800/hello
  countersign call --key agent.pem --issuer http://127.0.0.1:8700 --scope escrow:create \\
      POST http://127.0.0.1:8800/escrows -d '{\"amount\":1000}'

The body goes to standard output; on a terminal its control characters are escaped. The token goes
to the origin of its resource alone, and to those of --also-at. Redirects are not followed: a proof
is for one URL.";

/// Arguments of `countersign call`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
#[command(group(ArgGroup::new("credentials").required(true).multiple(true).args(["session", "key"])))]
pub struct Args {
    /// The method, such as GET.
    method: String,
    /// The URL.
    url: String,
    /// A header field, 'Name: value'; may stand several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The body: a text, @FILE, or - for standard input. JSON is labelled as such.
    #[arg(short = 'd', long = "data", value_name = "DATA", allow_hyphen_values = true)]
    data: Option<String>,
    /// Print the status and the header fields too.
    #[arg(short = 'i', long = "include")]
    include: bool,
    /// Print the body as it is, on a terminal too.
    #[arg(long)]
    raw: bool,
    /// Send the token to this origin too, for a resource that is served elsewhere than it is named.
    #[arg(long, value_name = "ORIGIN")]
    also_at: Vec<String>,
    /// Use the session kept under this name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "issuer", "resource", "scope", "format", "account", "domain", "session_key", "assertion"])]
    session: Option<String>,
    #[command(flatten)]
    sign_in: SignInArgs,
    #[command(flatten)]
    folder: Folder,
}

/// Makes the call.
///
/// # Errors
/// [`Failure`]; `status` when the API answered, with another status than 2xx.
pub async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let address = Address::parse(&args.url)?;
    let body = args.data.as_deref().map(read_body).transpose()?;
    let session = credentials(&args, &address, output).await?;
    let mut client = Client::new(session);
    for origin in &args.also_at {
        client = client.also_at(origin)?;
    }
    let mut request = client.request(&args.method, &args.url);
    let mut typed = false;
    for field in &args.headers {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| Failure::usage("a header field is 'Name: value'"))?;
        typed |= name.eq_ignore_ascii_case("content-type");
        request = request.header(name.trim(), value.trim());
    }
    if let Some(body) = body {
        if !typed && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() {
            request = request.header("content-type", "application/json");
        }
        request = request.body(body);
    }
    let answer = request.send().await?;
    let done = show(answer, &args, output).await;
    // A token that is renewed meanwhile is worth a moment, and no more: the next call renews it.
    let settled = tokio::time::timeout(SETTLING, client.session().settle()).await;
    if let Ok(Err(ClientError::RenewalPaused { cause, .. })) = settled {
        output.warning(&format!("the token was not renewed: {cause}"));
    }
    done
}

async fn credentials(args: &Args, address: &Address, output: &Output) -> Result<Session, Failure> {
    if let Some(name) = &args.session {
        return kept::resume(&args.folder, name, output).await;
    }
    let mut sign_in = args.sign_in.clone();
    // An API is mostly named by its origin.
    sign_in.resource.get_or_insert_with(|| address.origin());
    sign_in.sign_in(output, |sign_in| sign_in).await
}

fn read_body(data: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match data.strip_prefix('@') {
        Some(path) => {
            File::open(path).and_then(|file| file.take(MAX_BODY + 1).read_to_end(&mut bytes))
        }
        None if data == "-" => io::stdin().lock().take(MAX_BODY + 1).read_to_end(&mut bytes),
        None => return Ok(data.as_bytes().to_vec()),
    };
    read.map_err(|error| Failure::configuration(format!("{data}: {error}")))?;
    if bytes.len() as u64 > MAX_BODY {
        return Err(Failure::usage("the body is larger than 64 MiB"));
    }
    Ok(bytes)
}

/// Prints the answer, and turns its status into the exit code, whether or not anybody reads it.
async fn show(mut answer: Response, args: &Args, output: &Output) -> Result<(), Failure> {
    let status = answer.status();
    let fields = fields(&answer);
    unless_quiet(if output.is_json() {
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        output.document(&json!({"status": status.as_u16(), "headers": fields, "body": body}))
    } else {
        print(&mut answer, &fields, args, output).await
    })?;
    if status.is_success() {
        return Ok(());
    }
    let why = fields.iter().find(|(name, _)| name == "www-authenticate");
    Err(Failure::status(match why {
        Some((_, challenge)) => format!("the API answered {status}; {challenge}"),
        None => format!("the API answered {status}"),
    }))
}

fn fields(answer: &Response) -> Vec<(String, String)> {
    let fields = answer.headers().iter();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    fields.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

async fn print(
    answer: &mut Response,
    fields: &[(String, String)],
    args: &Args,
    output: &Output,
) -> Result<(), Failure> {
    if args.include {
        let mut head = format!("HTTP/1.1 {}\n", answer.status());
        for (name, value) in fields {
            head.push_str(&format!("{name}: {}\n", printable(value)));
        }
        output.bytes((head + "\n").as_bytes())?;
    }
    let mut terminal = (!args.raw && io::stdout().is_terminal()).then(TerminalText::default);
    while let Some(chunk) = answer.chunk().await? {
        match &mut terminal {
            Some(terminal) => output.bytes(terminal.shown(&chunk).as_bytes())?,
            None => output.bytes(&chunk)?,
        }
    }
    Ok(())
}
