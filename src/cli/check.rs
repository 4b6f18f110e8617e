//! `countersign check`: says everything that is wrong with a configuration, and starts nothing.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;

use crate::cli::{exit, fail};
use crate::config::{self, Flags};

/// Check a configuration file and list every fault, without starting anything.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The configuration file (TOML).
    #[arg(required_unless_present = "print_config_doc")]
    pub file: Option<PathBuf>,
    /// Print docs/CONFIG.md as it follows from the table of keys.
    #[arg(long, hide = true)]
    pub print_config_doc: bool,
}

/// Runs the command.
pub fn run(args: Args) -> ExitCode {
    let mut out = io::stdout().lock();
    if args.print_config_doc {
        let written = out.write_all(config::doc::render().as_bytes());
        return if written.is_ok() { ExitCode::SUCCESS } else { exit::FAILED };
    }
    let flags = Flags { config: args.file, ..Flags::default() };
    match config::load(&flags, &config::process_environment()) {
        Ok(settings) => {
            let _ = writeln!(out, "the configuration is good; issuer {}", settings.issuer.issuer());
            ExitCode::SUCCESS
        }
        Err(faults) => fail(exit::configuration(), &faults.to_string()),
    }
}
