//! `countersign audit`: reads the audit log, says whether it is what was written, and shows a sign-in to others.
//!
//! | command | does |
//! |---|---|
//! | `tail`, `search` | print records |
//! | `export` | prints the lines as they are |
//! | `verify` | reads all of it, and names the first thing that is wrong |
//! | `prove` | writes the proof of one sign-in |
//! | `check` | verifies such a proof, with public keys alone |
//!
//! Everything here only reads, also beside a running server.

mod judge;
mod show;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use countersign_sdk::time::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::failure::Failure;
use super::output::Output;
use crate::audit::folder::FOLDER;
use crate::audit::verify::Gaps;

const EXAMPLE: &str = "\
Examples:
  countersign audit tail --data-dir /var/lib/countersign -n 50
  countersign audit search --data-dir /var/lib/countersign --event sign_in --about did:pkh:eip155:1:0xAbc...
  countersign audit verify --data-dir /var/lib/countersign
  countersign audit prove --data-dir /var/lib/countersign 3q2-7wAB... --out sign-in.json
  countersign audit check sign-in.json --keys jwks.json";

/// Arguments of `countersign audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Where the log lies.
#[derive(Debug, clap::Args)]
struct At {
    /// The data directory of the server; the log is in its folder `audit`.
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_STORE__DIRECTORY")]
    data_dir: PathBuf,
}

impl At {
    fn log(&self) -> PathBuf {
        self.data_dir.join(FOLDER)
    }
}

/// Which records.
#[derive(Debug, clap::Args)]
struct Which {
    /// Events of this name, such as `sign_in`.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Events that name this: a subject, an account, an operator, a `jti`, a session, a `kid`, a reason.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    about: Option<String>,
    /// From this moment on, RFC 3339 or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Up to and including this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// After the record of this place.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the newest records.
    Tail {
        #[command(flatten)]
        at: At,
        /// How many.
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
        lines: usize,
        /// Go on with every record that comes.
        #[arg(short, long)]
        follow: bool,
    },
    /// Print the records that are asked for.
    Search {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        which: Which,
    },
    /// Print the records that are asked for as the lines of the log.
    Export {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        which: Which,
    },
    /// Read the whole log, and name the first thing that is wrong with it.
    Verify {
        #[command(flatten)]
        at: At,
        /// The keys that may have signed checkpoints, as a JWK set that does not come from the data directory; those
        /// that lie there unless given, which is said.
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
        /// Lines of this log from elsewhere, such as a collector's; every record in them must fit.
        #[arg(long, value_name = "FILE")]
        known: Option<PathBuf>,
        /// The most records that may stand between two checkpoints, or after the last.
        #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
        gap_records: u64,
        /// The longest time, in seconds, that a record may have waited for a checkpoint while a server ran.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        gap_seconds: u64,
    },
    /// Write the proof of a sign-in, which others can check.
    Prove {
        #[command(flatten)]
        at: At,
        /// The `jti` of the token that the sign-in gave.
        #[arg(allow_hyphen_values = true)]
        jti: String,
        /// The file to write; standard output unless given. It must not exist.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check the proof of a sign-in with public keys alone.
    Check {
        /// The proof, or - for standard input.
        file: PathBuf,
        /// The issuer's keys, as a JWK set; without them the key in the proof is believed, which is said.
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// [`Failure`]; `refused` when something is not as it was written.
pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    match args.command {
        Command::Tail { at, lines, follow } => show::tail(&at.log(), lines, follow, output).await,
        Command::Search { at, which } => show::search(&at.log(), which.query(), output),
        Command::Export { at, which } => show::export(&at.log(), which.query(), output),
        Command::Verify { at, keys, known, gap_records, gap_seconds } => {
            let gaps = Gaps { records: gap_records, seconds: gap_seconds };
            let by = judge::Judged { keys: keys.as_deref(), known: known.as_deref(), gaps };
            judge::verify(&at.data_dir, &by, output)
        }
        Command::Prove { at, jti, out } => judge::prove(&at.log(), &jti, out.as_deref(), output),
        Command::Check { file, keys } => judge::check(&file, keys.as_deref(), output),
    }
}

impl Which {
    fn query(self) -> crate::audit::Query {
        let Self { event, about, since, until, after } = self;
        crate::audit::Query { after, limit: 0, event, about, since, until }
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Timestamp::from_unix(seconds));
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok();
    let seconds = moment.and_then(|moment| u64::try_from(moment.unix_timestamp()).ok());
    seconds
        .map(Timestamp::from_unix)
        .ok_or_else(|| "a moment is RFC 3339, or seconds since 1970".to_owned())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::configuration(format!("{}: {error}", path.display()))
}
