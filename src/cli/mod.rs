//! What a person types: one file for each command, and what all of them share.
//!
//! | file | decides |
//! |---|---|
//! | [`serve`], [`check`] | how the server is run, and its configuration judged |
//! | [`keygen`] | what a new key is called everywhere |
//! | [`secret`] | by what a resource server may ask about its tokens |
//! | [`login`] | how a key file becomes a token |
//! | [`call`] | a protected call in the manner of curl |
//! | [`admin`] | what operators ask of a running server |
//! | [`logout`], [`sessions`] | how a kept session is ended, and which others there are |
//! | [`store`] | how the embedded store is looked after: checked, backed up, restored, revoked from |
//! | [`audit`] | how the audit log is read, verified, and shown to others |
//! | [`keys`] | how the signing keys are looked after: listed, rotated, revoked, sealed |
//! | [`inspect`] | why a token or a proof would be refused |
//! | `signing` | which key signs in, by which format, and which key signs requests |
//! | `key_file`, `kept` | where keys and sessions lie on disk, and who may read them |
//! | [`output`], [`failure`] | what is printed, and the exit codes |
//!
//! Secrets come from files and standard input, never from arguments: those show in process lists
//! and shell histories.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod admin;
pub mod audit;
pub mod call;
pub mod check;
pub mod failure;
pub mod inspect;
mod kept;
mod key_file;
pub mod keygen;
pub mod keys;
pub mod login;
pub mod logout;
pub mod output;
pub mod secret;
pub mod serve;
pub mod sessions;
mod signing;
pub mod store;

use failure::Failure;
use output::Output;

/// Exit codes, the same for every command.
pub mod exit {
    use std::process::ExitCode;

    /// Refused, or a check failed.
    pub const FAILED: ExitCode = ExitCode::FAILURE;
    /// The configuration is wrong.
    pub fn configuration() -> ExitCode {
        ExitCode::from(3)
    }
}

const AFTER_HELP: &str = "\
Exit codes:
  0   done
  1   refused, or a check failed
  2   the command line is wrong
  3   a file or the configuration is wrong
  4   nothing failed, but not everything was checked (inspect)
  6   the server was not reached
  22  the API answered with another status than 2xx (call)";

/// Countersign: prove a key, get a token that only that key can use.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about, after_help = AFTER_HELP)]
pub struct Cli {
    /// Print JSON, errors too (keygen, secret, login, call, logout, sessions, inspect).
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(serve::Args),
    /// Check a configuration file.
    Check(check::Args),
    /// Make a key and tell its names.
    Keygen(keygen::Args),
    /// Make a secret by which a resource server may ask about its tokens.
    Secret(secret::Args),
    /// Sign in with a key file; print the token or keep it.
    Login(login::Args),
    /// Call a protected API, as curl would, with a token and a proof.
    Call(call::Args),
    /// End a kept session, at the issuer and here.
    Logout(logout::Args),
    /// List the sessions of a kept session's account, or end them.
    Sessions(sessions::Args),
    /// Look after the store: check, backup, restore, revoke.
    Store(store::Args),
    /// Ask a running server as one of its operators: keys, sessions, revocations, approvals, audit.
    Admin(admin::Args),
    /// Read the audit log, verify it, and prove a sign-in to others.
    Audit(audit::Args),
    /// Look after the signing keys: list, rotate, retire, revoke, import, seal.
    Keys(keys::Args),
    /// Explain a token or a proof, check by check.
    Inspect(inspect::Args),
}

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    let output = Output::new(cli.json);
    let done = match cli.command {
        Command::Serve(args) => return serve::run(args),
        Command::Check(args) => return check::run(args),
        Command::Keygen(args) => keygen::run(&args, &output),
        Command::Secret(args) => secret::run(&args, &output),
        Command::Login(args) => block_on(login::run(args, &output)),
        Command::Call(args) => block_on(call::run(args, &output)),
        Command::Logout(args) => block_on(logout::run(args, &output)),
        Command::Sessions(args) => block_on(sessions::run(args, &output)),
        Command::Store(args) => block_on(store::run(args, &output)),
        Command::Admin(args) => block_on(admin::run(args, &output)),
        Command::Audit(args) => block_on(audit::run(args, &output)),
        Command::Keys(args) => block_on(keys::run(args, &output)),
        Command::Inspect(args) => block_on(inspect::run(args, &output)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

/// A runtime of one thread is enough for a command that waits for one server.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::network(format!("the runtime did not start: {error}")))?;
    runtime.block_on(command)
}

/// Says on standard error what went wrong, and gives the exit code.
pub(crate) fn fail(code: ExitCode, message: &str) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "countersign: {message}");
    code
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for name in [
            "admin", "keygen", "secret", "login", "call", "logout", "sessions", "inspect", "store",
            "audit",
        ] {
            let sub = command.find_subcommand_mut(name).unwrap();
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Example"), "{name}");
            assert!(help.contains(&format!("countersign {name}")), "{name}");
        }
    }
}
