//! The rounds: the floor and the server by turns, so that both have the same weather.

use std::time::Duration;

use serde::Serialize;

use crate::clients::{Client, Peer};
use crate::drive::{Load, Outcome, drive};
use crate::floor::{Bare, Costs};
use crate::paths::Path;
use crate::process::Server;
use crate::{Args, Failure};

/// How far below saturation the paced load is.
const PACED: f64 = 0.5;

/// One round of one path.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Round {
    pub(crate) signatures: Costs,
    /// Microseconds of the bare program's CPU per HTTP request.
    pub(crate) bare_request: f64,
    /// The bare program with the signature operations.
    pub(crate) program: Outcome,
    /// The server, as fast as answers come.
    pub(crate) saturated: Outcome,
    /// The server at half of that rate.
    pub(crate) paced: Outcome,
}

/// All rounds of a path.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    #[serde(skip)]
    pub(crate) path: Path,
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Round>,
}

/// Measures each path in each round.
pub(crate) fn measure(args: &Args, paths: &[Path]) -> Result<Vec<Measured>, Failure> {
    let server = Server::countersign(&args.server)?;
    let echo = Server::echo()?;
    let bare = Bare::new()?;
    let mut all: Vec<Measured> = paths
        .iter()
        .map(|path| Measured { path: *path, name: path.name(), rounds: Vec::new() })
        .collect();
    for number in 1..=args.rounds {
        for measured in &mut all {
            eprintln!("round {number} of {}: {}", args.rounds, measured.name);
            let round = round(args, measured.path, &bare, &server, &echo)?;
            measured.rounds.push(round);
        }
    }
    Ok(all)
}

fn round(
    args: &Args,
    path: Path,
    bare: &Bare,
    server: &Server,
    echo: &Server,
) -> Result<Round, Failure> {
    let load =
        Load { clients: args.clients, window: Duration::from_secs_f64(args.seconds), rate: None };
    let mut probe = Client::new(&server.address, Path::Metadata, Peer::Countersign)?;
    let metadata = probe.metadata()?;
    let sample = Client::new(&server.address, Path::Evm, Peer::Countersign)?.challenge()?;
    let (bare_peer, work_peer) =
        (Peer::Echo { sample: sample.clone(), metadata }, Peer::Work { sample, metadata });
    let signatures = bare.costs()?;
    let request = drive(echo, path, &bare_peer, &load)?;
    let saturated = drive(server, path, &Peer::Countersign, &load)?;
    let program = drive(echo, path, &work_peer, &load)?;
    let below = Load { rate: Some(saturated.rate * PACED), ..load };
    Ok(Round {
        signatures,
        bare_request: request.cpu / f64::from(path.requests()),
        program,
        saturated,
        paced: drive(server, path, &Peer::Countersign, &below)?,
    })
}

impl Round {
    /// Microseconds of the floor: signatures, and a bare request for each request.
    pub(crate) fn floor(&self, path: Path) -> f64 {
        self.signatures.of(path.signatures()) + self.bare_request * f64::from(path.requests())
    }
}
