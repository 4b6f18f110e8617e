//! `countersign store`: looks after the embedded store, through the server that has it or by itself.
//!
//! | command | does | while the server runs |
//! |---|---|---|
//! | `check` | reads every record, compares what finds it | yes |
//! | `backup` | writes a consistent copy | yes |
//! | `restore` | makes a backup the store | no |
//! | `revoke` | ends sessions and tokens | yes |

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::{Clock as _, SystemClock};
use serde_json::json;

use super::failure::Failure;
use super::output::Output;
use crate::audit::event::StoreRestored;
use crate::audit::{self, Audit, Event, OnFailure};
use crate::control::{self, Answer, Named, Request};
use crate::model::revocation::is_subject;
use crate::model::session::SessionId;
use crate::store::embedded::{self, EmbeddedStore, Folder, OpenError, Report, Restored, Terms};
use crate::store::{Bounds, SessionBounds};

const EXAMPLE: &str = "\
Examples:
  countersign store check --data-dir /var/lib/countersign
  countersign store backup --data-dir /var/lib/countersign /backup/countersign-monday.redb
  countersign store restore --data-dir /var/lib/countersign /backup/countersign-monday.redb
  countersign store revoke --data-dir /var/lib/countersign --subject did:pkh:eip155:1:0xAbc...";

/// Arguments of `countersign store`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Where the store lies.
#[derive(Debug, clap::Args)]
struct At {
    /// The folder of the store, as the server has it.
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_STORE__DIRECTORY")]
    data_dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every record and compare what finds it.
    Check(At),
    /// Write a consistent copy to a new file, while sign-ins go on.
    Backup {
        #[command(flatten)]
        at: At,
        /// The file to write, for its owner alone. It must not exist.
        out: PathBuf,
    },
    /// Make a backup the store. The server must not run.
    Restore {
        #[command(flatten)]
        at: At,
        /// The backup; it is only read.
        from: PathBuf,
        /// Put the store aside that is there; it is kept beside.
        #[arg(long)]
        replace: bool,
        /// Let sessions and tokens of before go on, even those that were revoked after the backup was
        /// made. Without this every one of them ends.
        #[arg(long)]
        keep_sessions: bool,
    },
    /// End sessions and tokens.
    Revoke {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        what: What,
    },
}

/// What is to be revoked.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A session, by its id.
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
    /// Every session and token of a subject, a did:pkh or did:key.
    #[arg(long, value_name = "DID")]
    subject: Option<String>,
    /// Every session and token of a key, by its RFC 7638 thumbprint.
    #[arg(long, value_name = "JKT")]
    key: Option<Thumbprint>,
    /// Every session and token there is.
    #[arg(long)]
    everything: bool,
}

impl What {
    fn named(self) -> Result<Named, Failure> {
        match self {
            Self { session: Some(id), .. } => Ok(Named::Session(id)),
            Self { key: Some(jkt), .. } => Ok(Named::Key(jkt)),
            Self { subject: Some(subject), .. } if is_subject(&subject) => {
                Ok(Named::Subject(subject))
            }
            Self { subject: Some(_), .. } => Err(Failure::usage(control::NO_SUBJECT)),
            Self { everything: true, .. } => Ok(Named::Everything),
            Self { .. } => Err(Failure::usage("nothing is named to revoke")),
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    match args.command {
        Command::Check(at) => {
            let answer = done_by(&at.data_dir, Request::Check, output).await?;
            let Answer::Checked(report) = answer else { return finished(&answer) };
            tell(&report, output)?;
            match report.faults {
                0 => Ok(()),
                faults => Err(Failure::refused(format!("the store has {faults} faults"))),
            }
        }
        Command::Backup { at, out } => {
            let out = std::path::absolute(&out).map_err(|error| unreadable(&out, &error))?;
            finished(&done_by(&at.data_dir, Request::Backup { out: out.clone() }, output).await?)?;
            output.result(&[("backup", json!(out))])
        }
        Command::Restore { at, from, replace, keep_sessions } => {
            let terms = Terms { replace, keep_sessions };
            let folder = Folder::take(&at.data_dir).map_err(failed)?;
            let now = SystemClock.now();
            let restored = embedded::restore(&folder, &from, terms, now, &OsEntropy);
            let restored = restored.map_err(failed)?;
            if let Some(audit) = recorded_in(&at.data_dir, output) {
                let event = Event::StoreRestored(StoreRestored { keep_sessions });
                let recorded = audit.keep(event, now).await;
                recorded.map_err(|error| Failure::refused(format!("restored, but: {error}")))?;
            }
            told(&restored, keep_sessions, output)
        }
        Command::Revoke { at, what } => {
            finished(&done_by(&at.data_dir, Request::Revoke(what.named()?), output).await?)?;
            output.note("revoked");
            Ok(())
        }
    }
}

/// Has the server do it that serves from the folder, or does it here when none does.
async fn done_by(folder: &Path, request: Request, output: &Output) -> Result<Answer, Failure> {
    match control::ask(folder, &request) {
        Ok(answer) => return Ok(answer),
        Err(error) if nobody_answers(&error) => {}
        Err(error) => {
            let place = folder.display();
            return Err(Failure::refused(format!("the server of {place} gave no answer: {error}")));
        }
    }
    let place = folder;
    let folder = Folder::take_existing(folder).map_err(failed)?;
    if !folder.has_store().map_err(failed)? {
        return Err(failed(OpenError::Missing(folder.file())));
    }
    // Bounds are for requests; here nobody is kept out.
    let sessions =
        SessionBounds { total: usize::MAX, per_subject: usize::MAX, revocations: usize::MAX };
    let bounds = Bounds { nonces: 1, proofs: 1, answers: 1, sessions };
    let store = EmbeddedStore::open(folder, bounds, &OsEntropy).map_err(failed)?;
    let audit = match request {
        Request::Revoke(_) => recorded_in(place, output),
        Request::Check | Request::Backup { .. } | Request::Keys(_) => None,
    };
    Ok(control::answer(&Arc::new(store), audit.as_ref(), request, SystemClock.now()).await)
}

/// The audit log of a folder that no server has. What is revoked here is revoked without it too.
fn recorded_in(folder: &Path, output: &Output) -> Option<Audit> {
    match Audit::open(folder, &audit::Options::default(), OnFailure::Refuse) {
        Ok(audit) => Some(audit),
        Err(error) => {
            output.warning(&format!("this is not recorded: {error}"));
            None
        }
    }
}

/// Whether there is no server; a path too long for a socket has none either.
fn nobody_answers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
    [ConnectionRefused, InvalidInput, NotFound].contains(&error.kind())
}

fn finished(answer: &Answer) -> Result<(), Failure> {
    match answer {
        Answer::Done | Answer::Checked(_) => Ok(()),
        Answer::Failed(why) => Err(Failure::refused(why.clone())),
        Answer::Keys(_) => Err(Failure::refused("the server answered something else")),
    }
}

fn tell(report: &Report, output: &Output) -> Result<(), Failure> {
    output.result(&[
        ("sessions", json!(report.sessions)),
        ("live", json!(report.live)),
        ("revocations", json!(report.revocations)),
        ("published", json!(report.published)),
        ("bytes", json!(report.bytes)),
        ("faults", json!(report.faults)),
    ])?;
    for fault in &report.first_faults {
        output.warning(fault);
    }
    Ok(())
}

fn told(restored: &Restored, keep_sessions: bool, output: &Output) -> Result<(), Failure> {
    tell(&restored.report, output)?;
    if let Some(aside) = &restored.kept_beside {
        output.note(&format!("the store that was there is kept as {}", aside.display()));
    }
    output.note(match keep_sessions {
        true => {
            "sessions and tokens of before go on: whatever was revoked after the backup lives again"
        }
        false => "every session and token of before has ended",
    });
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn failed(error: OpenError) -> Failure {
    Failure::configuration(error.to_string())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::configuration(format!("{}: {error}", path.display()))
}
