//! What a person types: one file for each command.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod check;
pub mod serve;

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

/// Countersign: prove a key, get a token that only that key can use.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about)]
pub struct Cli {
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
}

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
    }
}

/// Says on standard error what went wrong, and gives the exit code.
pub(crate) fn fail(code: ExitCode, message: &str) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "countersign: {message}");
    code
}
