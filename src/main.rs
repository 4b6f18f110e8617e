//! The `countersign` command: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use countersign::cli::{self, Cli};

/// Measured faster than the system's under the load of `cargo bench`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
