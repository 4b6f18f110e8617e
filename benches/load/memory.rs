//! Memory: at rest, after a million nonces and challenges that nobody uses, and per sign-in.

use std::path::Path as File;
use std::thread;
use std::time::Instant;

use serde::Serialize;

use crate::clients::{Client, Peer};
use crate::paths::Path;
use crate::process::Server;
use crate::report::median;
use crate::{Args, Failure};

/// Servers that are started one after the other, for the time of a start.
const STARTS: usize = 5;

/// A start.
#[derive(Debug, Serialize)]
pub(crate) struct Start {
    /// Milliseconds from the start of the process until it had answered a request.
    pub(crate) ready_ms: f64,
    /// Resident bytes then.
    pub(crate) resident: u64,
}

/// Resident bytes before and after.
#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    pub(crate) operations: u64,
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// What was read.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) nonces: Growth,
    pub(crate) challenges: Growth,
    pub(crate) sign_ins: Growth,
}

impl Growth {
    /// Bytes for each operation.
    pub(crate) fn each(&self) -> f64 {
        let grown = self.after.saturating_sub(self.before);
        grown as f64 / self.operations.max(1) as f64
    }
}

/// Starts servers and looks at them.
pub(crate) fn start(binary: &File) -> Result<Start, Failure> {
    let mut times = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let server = Server::countersign(binary)?;
        Client::new(&server.address, Path::Metadata, Peer::Countersign)?.metadata()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        resident.push(server.resident()? as f64);
    }
    Ok(Start { ready_ms: median(times), resident: median(resident) as u64 })
}

/// A new server for each, so that none inherits.
pub(crate) fn measure(args: &Args) -> Result<Memory, Failure> {
    Ok(Memory {
        nonces: growth(args, args.nonces, ("nonces", Path::Metadata), Client::nonce)?,
        challenges: growth(args, args.nonces, ("challenges", Path::Challenge), |client| {
            client.challenge().map(drop)
        })?,
        sign_ins: growth(args, args.sign_ins, ("sign-ins", Path::Agent), |client| {
            client.go().map(drop)
        })?,
    })
}

/// Does `one` so many times, after a tenth as often for the allocator to settle.
fn growth(
    args: &Args,
    operations: u64,
    what: (&str, Path),
    one: fn(&mut Client) -> Result<(), Failure>,
) -> Result<Growth, Failure> {
    let (title, path) = what;
    eprintln!("memory: {operations} {title}");
    let server = Server::countersign(&args.server)?;
    let mut clients = (0..args.clients)
        .map(|_| Client::new(&server.address, path, Peer::Countersign))
        .collect::<Result<Vec<_>, _>>()?;
    let share = operations / u64::try_from(args.clients.max(1))?;
    repeat(&mut clients, share / 10, one)?;
    let before = server.resident()?;
    repeat(&mut clients, share, one)?;
    Ok(Growth {
        operations: share * u64::try_from(args.clients)?,
        before,
        after: server.resident()?,
    })
}

fn repeat(
    clients: &mut [Client],
    times: u64,
    one: fn(&mut Client) -> Result<(), Failure>,
) -> Result<(), Failure> {
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(move || (0..times).try_for_each(|_| one(client))))
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a client panicked")??;
        }
        Ok(())
    })
}
