//! Judges files and folders of test cases with the library itself, and prints each disagreement.
//!
//! `cargo run --release --example vectors -- <file or folder>…` ends with the count of cases, and
//! with a failure when one of them was answered otherwise than its file expects. docs/VECTORS.md
//! describes the files.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        eprintln!("usage: vectors <file or folder>…");
        return ExitCode::from(2);
    }
    match countersign::vectors::judge(&paths) {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.failed.is_empty()))
        }
        Err(error) => {
            eprintln!("vectors: {error}");
            ExitCode::from(2)
        }
    }
}
