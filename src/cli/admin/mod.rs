//! `countersign admin`: signs in as an operator for one command, and asks at the operations listener.
//!
//! | file | decides |
//! |---|---|
//! | `request` | which command is which request, and which scope it takes |
//! | `shown` | what of an answer a person is shown |
//!
//! Each command is a sign-in of its own, with the scope that it takes and no other, so none is ever
//! too old. A wallet's signature opens a session for as long as its one token lives.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use countersign_sdk::client::error::printable;
use countersign_sdk::client::{Client, InMemoryWallet};
use countersign_sdk::key::Thumbprint;
use serde_json::Value;

use super::failure::Failure;
use super::output::Output;
use super::signing::SignInArgs;
use crate::model::session::SessionId;
use crate::service::admin::action::Action;

mod request;
mod shown;

use request::Request;

/// What takes several operators.
const APPROVED: [Action; 5] = [
    Action::RotateKeys,
    Action::RetireKey,
    Action::RevokeKey,
    Action::Revoke,
    Action::RevokeEverything,
];

/// Seconds that a wallet's signature opens: as long as an operator's token lives.
const ONE_TOKEN: u64 = 300;

const EXAMPLE: &str = "\
Examples:
  countersign admin --issuer https://auth.example --operations-url http://127.0.0.1:8701 \\
      --operator-key operator.pem keys list
  countersign admin ... keys rotate
  countersign admin ... approve 7cLmXh2lQ0mCwqJ3cFvJ8A keys.rotate
  countersign admin ... revoke --subject did:pkh:eip155:1:0xAbc...

The issuer and the URL may stand in COUNTERSIGN_ISSUER and COUNTERSIGN_OPERATIONS_URL. Where a key
operation takes several operators, the command prints the id under which another one approves it, who says
what it is that is approved: if something else waits under that id, nothing is.";

/// Arguments of `countersign admin`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    who: Who,
    #[command(subcommand)]
    command: Command,
}

/// Who asks, and where.
#[derive(Debug, clap::Args)]
struct Who {
    /// The issuer, such as `https://auth.example`.
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_ISSUER", global = true)]
    issuer: Option<String>,
    /// Where operators call; operations_url of the server's configuration.
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_OPERATIONS_URL", global = true)]
    operations_url: Option<String>,
    /// The operator's key file: PKCS#8 PEM, or a private JWK.
    #[arg(long, value_name = "FILE", global = true)]
    operator_key: Option<PathBuf>,
    /// Answer a challenge in this format in place of an assertion, as `login` does.
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(InMemoryWallet::formats()),
        global = true
    )]
    format: Option<String>,
    /// The account that the key is expected to control.
    #[arg(long, value_name = "CAIP-10", global = true)]
    account: Option<String>,
}

/// What is asked for.
#[derive(Debug, Subcommand)]
enum Command {
    /// The signing keys of the server.
    #[command(subcommand)]
    Keys(Keys),
    /// List sessions of a subject or a key, or end one.
    Sessions(Sessions),
    /// List what is revoked.
    Revocations {
        /// Only what came after this cursor of an earlier answer.
        #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
        after: Option<String>,
    },
    /// Revoke tokens and sessions.
    Revoke(Revoke),
    /// List what waits for approval.
    Approvals,
    /// Approve what another operator asked for.
    Approve {
        /// The id of what waits.
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// What you approve.
        #[arg(value_parser = PossibleValuesParser::new(APPROVED.map(Action::name)))]
        action: String,
        /// What it is done to: a kid, a session, a key, a subject, as it was asked for.
        #[arg(allow_hyphen_values = true)]
        target: Option<String>,
    },
    /// Take back what you or another operator asked for.
    Withdraw {
        /// The id of what waits.
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Search the audit log.
    Audit(Audit),
}

/// What is done to signing keys.
#[derive(Debug, Subcommand)]
enum Keys {
    /// List them.
    List,
    /// Let the next one sign.
    Rotate,
    /// Let one sign no more; it stays published while its tokens live.
    Retire {
        /// The key's id.
        #[arg(allow_hyphen_values = true)]
        kid: Thumbprint,
    },
    /// Withdraw one at once, and end everything that it signed.
    Revoke {
        /// The key's id.
        #[arg(allow_hyphen_values = true)]
        kid: Thumbprint,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Sessions {
    /// Those of a subject, a did:pkh or did:key.
    #[arg(long, value_name = "DID")]
    subject: Option<String>,
    /// Those of a key, by its RFC 7638 thumbprint: the one that signs requests, or that was proven.
    #[arg(long, value_name = "JKT", allow_hyphen_values = true)]
    of_key: Option<Thumbprint>,
    /// End this one.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    end: Option<SessionId>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Revoke {
    /// An access token, by its jti.
    #[arg(long, value_name = "JTI", allow_hyphen_values = true)]
    token: Option<String>,
    /// A session, by its id.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    session: Option<SessionId>,
    /// Every session and token of a key, by its RFC 7638 thumbprint.
    #[arg(long, value_name = "JKT", allow_hyphen_values = true)]
    of_key: Option<Thumbprint>,
    /// Every session and token of a subject, a did:pkh or did:key.
    #[arg(long, value_name = "DID")]
    subject: Option<String>,
    /// Every session and token there is.
    #[arg(long)]
    everything: bool,
}

#[derive(Debug, clap::Args)]
struct Audit {
    /// Events of this name, such as `operator_action`.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Events in which this stands: a subject, an account, a jti, a session, a kid, a reason.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    about: Option<String>,
    /// From this second since 1970 on.
    #[arg(long, value_name = "SECONDS")]
    since: Option<u64>,
    /// Up to and including this second since 1970.
    #[arg(long, value_name = "SECONDS")]
    until: Option<u64>,
    /// Records after this one alone.
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`]; `refused` with the server's reason.
pub async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let Args { who, command } = args;
    let request = Request::of(&command)?;
    let base = who.operations_url.as_deref();
    let base = base.ok_or_else(|| Failure::usage("--operations-url is needed"))?;
    let base = base.trim_end_matches('/').to_owned();
    let client = who.sign_in(request.scope, &base, output).await?;
    let answer = ask(&client, &base, &request).await?;
    if output.is_json() {
        return output.document(&answer);
    }
    shown::print(&command, &answer, output)
}

impl Who {
    async fn sign_in(self, scope: &str, base: &str, output: &Output) -> Result<Client, Failure> {
        let issuer = self.issuer;
        let sign_in = SignInArgs {
            // The issuer itself is what operators sign in for.
            resource: issuer.clone(),
            issuer,
            key: self.operator_key,
            scope: Some(scope.to_owned()),
            format: self.format,
            account: self.account,
            ..SignInArgs::default()
        };
        let session = sign_in.sign_in(output, |sign_in| sign_in.session_expires_in(ONE_TOKEN));
        Ok(Client::new(session.await?).also_at(base)?)
    }
}

/// Sends a request, and reads what is answered.
async fn ask(client: &Client, base: &str, request: &Request) -> Result<Value, Failure> {
    let mut sent = client.request(request.method, &format!("{base}{}", request.path));
    if let Some(body) = &request.body {
        sent = sent.json(body.to_string());
    }
    let answer = sent.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let member = |name| body.get(name).and_then(Value::as_str);
    let description = member("error_description").unwrap_or("nothing more is said");
    Err(Failure::refused_for(
        format!("the server answered {status}: {}", printable(description)),
        member("reason"),
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    /// One name in 64 begins with a hyphen.
    #[test]
    fn names_may_begin_with_a_hyphen() {
        let (long, short) = (format!("-{}", "A".repeat(42)), format!("-{}", "A".repeat(21)));
        for command in [
            &["keys", "revoke", &long][..],
            &["keys", "retire", &long],
            &["approve", &short, "keys.revoke", &long],
            &["withdraw", &short],
            &["sessions", "--of-key", &long],
            &["sessions", "--end", &short],
            &["revoke", "--token", &short],
            &["revoke", "--session", &short],
            &["revoke", "--of-key", &long],
            &["revocations", "--after", &short],
            &["audit", "--about", &short],
        ] {
            let read = Cli::try_parse_from([&["countersign", "admin"], command].concat());
            assert!(read.is_ok(), "{command:?}: {read:?}");
        }
    }
}
