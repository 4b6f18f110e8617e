//! What durability costs: the rates of the embedded store beside those in memory, by turns.

use std::time::Duration;

use serde::Serialize;

use crate::clients::Peer;
use crate::drive::{Load, Outcome, drive};
use crate::paths::Path;
use crate::process::Server;
use crate::{Args, Failure};

/// One path on both stores.
#[derive(Debug, Serialize)]
pub(crate) struct Durable {
    pub(crate) title: &'static str,
    pub(crate) clients: usize,
    pub(crate) rounds: Vec<Pair>,
}

/// One round of both.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    pub(crate) memory: Outcome,
    pub(crate) embedded: Outcome,
}

/// Measures the paths that write sessions.
pub(crate) fn measure(args: &Args) -> Result<Vec<Durable>, Failure> {
    let folder = tempfile::tempdir_in(&args.durable_folder)?;
    let memory = Server::countersign(&args.server)?;
    let embedded = Server::durable(&args.server, &folder.path().join("store"))?;
    let load = Load {
        clients: args.durable_clients,
        window: Duration::from_secs_f64(args.seconds),
        rate: None,
    };
    [Path::Evm, Path::Refresh]
        .into_iter()
        .map(|path| {
            let one = |server| drive(server, path, &Peer::Countersign, &load);
            let pair = |round| {
                eprintln!("durability, round {round} of {}: {}", args.rounds, path.name());
                Ok(Pair { memory: one(&memory)?, embedded: one(&embedded)? })
            };
            let rounds = (1..=args.rounds).map(pair).collect::<Result<_, Failure>>()?;
            Ok(Durable { title: path.title(), clients: args.durable_clients, rounds })
        })
        .collect()
}
