# What CI runs and what a person runs are the same: scripts/test and these recipes agree line by line.

# List the recipes.
default:
    @just --list

# Check the format.
fmt:
    cargo fmt --all --check

# Lint all targets, with and without default features, and the documentation.
lint:
    cargo clippy --quiet --workspace --all-targets -- -D warnings
    cargo clippy --quiet -p countersign --no-default-features -- -D warnings
    cargo clippy --quiet -p countersign-sdk --no-default-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps

# Unit, integration and documentation tests, the published cases, the examples.
test:
    cargo test --workspace
    cargo build --bins --examples
    cargo run --quiet --example vectors -- tests/vectors
    scripts/examples

# The clients written by others, against the debug binaries.
clients:
    cargo build --bins --examples
    cd tests/clients && npm ci --silent --no-audit --no-fund
    cd tests/clients && COUNTERSIGN_BIN="{{justfile_directory()}}/target/debug/countersign" ESCROW_BIN="{{justfile_directory()}}/target/debug/examples/escrow_api" npm test

# Build the fuzz targets.
fuzz-build:
    scripts/fuzz build

# Advisories, licences, duplicates and sources of dependencies (cargo install cargo-deny).
deny:
    cargo deny check

# Each path beside its floor; see docs/BENCHMARKS.md.
bench *arguments:
    cargo build --release --bin countersign
    cargo bench {{arguments}}

# Everything that CI runs.
ci:
    scripts/test
