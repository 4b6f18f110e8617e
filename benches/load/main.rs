//! The load command: what a sign-in costs a real server, beside the floor measured in the same run.
//!
//! `cargo bench --bench load` starts the release binary and a bare axum program as child processes
//! and drives both over loopback with the same requests. What is compared is the CPU time of the
//! two processes, because client and server share the machine; what is printed is a table of goals
//! and results. It asserts no time: docs/BENCHMARKS.md says how to read it.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that measures time, waits, and prints what it found"
)]

mod clients;
mod drive;
mod durable;
mod echo;
mod floor;
mod http;
mod memory;
mod paths;
mod process;
mod report;
mod revocation;
mod rounds;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// The server's allocator, so that the bare program beside it differs in nothing but its work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why a measurement could not be made.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures complete sign-ins against the release binary, beside the floor of the same run.
#[derive(Debug, Parser)]
struct Args {
    /// Connections that are kept open, each with one request at a time.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds, of which the median is taken; floor and server alternate within each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Nonces, and then challenges, that are asked for and not used; 0 leaves memory out.
    #[arg(long, default_value_t = 1_000_000)]
    nonces: u64,
    /// Sign-ins after which the memory of a spent nonce is read.
    #[arg(long, default_value_t = 200_000)]
    sign_ins: u64,
    /// Connections where the embedded store is compared with memory; 0 leaves that out.
    #[arg(long, default_value_t = 64)]
    durable_clients: usize,
    /// The folder in which the compared store lies, on the disk that is to be measured.
    #[arg(long, default_value = "target")]
    durable_folder: PathBuf,
    /// Tokens that are revoked while a resource server is called with them; 0 leaves that out.
    #[arg(long, default_value_t = 1000)]
    revocations: usize,
    /// Only these paths, such as evm,agent,assertion,challenge,metadata.
    #[arg(long, value_delimiter = ',')]
    paths: Vec<String>,
    /// Another binary of the server, such as one of an earlier version.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_countersign"))]
    server: PathBuf,
    /// Print JSON in place of the table.
    #[arg(long)]
    json: bool,
    /// Be the bare program, until standard input closes.
    #[arg(long, hide = true)]
    echo: bool,
    /// Given by `cargo bench`, and of no meaning here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.echo { echo::run() } else { measure(&args) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<(), Failure> {
    let paths = paths::chosen(&args.paths)?;
    let start = memory::start(&args.server)?;
    let measured = rounds::measure(args, &paths)?;
    let durable = (args.durable_clients > 0).then(|| durable::measure(args)).transpose()?;
    let revocations = (args.revocations > 0).then(|| revocation::measure(args)).transpose()?;
    let memory = (args.nonces > 0).then(|| memory::measure(args)).transpose()?;
    let besides = report::Besides { durable, revocations, memory };
    let report = report::Report::of(args, &start, measured, besides);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(())
}
