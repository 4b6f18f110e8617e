//! Many clients at once: as fast as answers come, or at a given rate.
//!
//! Each client is a thread with one connection. The window that counts opens after a warm-up and is
//! the same for the operations and for the server's CPU time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Failure;
use crate::clients::{Client, Peer};
use crate::paths::Path;
use crate::process::Server;

/// Before the window opens: connections, caches and the allocator settle.
const WARM_UP: Duration = Duration::from_millis(300);

/// A load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) window: Duration,
    /// Operations per second of all clients together; `None` is as many as will go.
    pub(crate) rate: Option<f64>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    /// Microseconds of server CPU per operation.
    pub(crate) cpu: f64,
    /// Operations per second.
    pub(crate) rate: f64,
    /// Microseconds that the answers of one operation took, at the median.
    pub(crate) p50: f64,
    /// The same at the 99th percentile.
    pub(crate) p99: f64,
}

#[derive(Default)]
struct Shared {
    counting: AtomicBool,
    done: AtomicBool,
    operations: AtomicU64,
}

/// Puts `load` on a server.
pub(crate) fn drive(
    server: &Server,
    path: Path,
    peer: &Peer,
    load: &Load,
) -> Result<Outcome, Failure> {
    let clients = (0..load.clients)
        .map(|_| Client::new(&server.address, path, peer.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let shared = Shared::default();
    thread::scope(|scope| {
        let started = Instant::now();
        let threads: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(index, client)| {
                let pace = Pace::of(load, index, started);
                let shared = &shared;
                scope.spawn(move || run(client, pace, shared))
            })
            .collect();
        thread::sleep(WARM_UP);
        let counted = count(server, &shared, load.window);
        shared.done.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        for thread in threads {
            waits.append(&mut thread.join().map_err(|_| "a client panicked")??);
        }
        let (cpu, elapsed, operations) = counted?;
        Ok(summary(cpu, elapsed, operations, waits))
    })
}

/// Opens the window, and closes it.
fn count(
    server: &Server,
    shared: &Shared,
    window: Duration,
) -> Result<(Duration, Duration, u64), Failure> {
    let operations = shared.operations.load(Ordering::Relaxed);
    let (cpu, opened) = (server.cpu()?, Instant::now());
    shared.counting.store(true, Ordering::Relaxed);
    thread::sleep(window);
    shared.counting.store(false, Ordering::Relaxed);
    let done = shared.operations.load(Ordering::Relaxed) - operations;
    Ok((server.cpu()?.saturating_sub(cpu), opened.elapsed(), done))
}

fn run(mut client: Client, mut pace: Option<Pace>, shared: &Shared) -> Result<Vec<u32>, Failure> {
    let mut waits = Vec::new();
    while !shared.done.load(Ordering::Relaxed) {
        if let Some(pace) = &mut pace {
            pace.wait();
        }
        let waited = client.go()?;
        shared.operations.fetch_add(1, Ordering::Relaxed);
        if shared.counting.load(Ordering::Relaxed) {
            waits.push(u32::try_from(waited.as_micros()).unwrap_or(u32::MAX));
        }
    }
    Ok(waits)
}

/// When a client's next operation begins.
struct Pace {
    next: Instant,
    every: Duration,
}

impl Pace {
    /// Clients begin one after the other, so that their operations are spread over time.
    fn of(load: &Load, index: usize, started: Instant) -> Option<Self> {
        let apart = Duration::from_secs_f64(1.0 / load.rate?);
        Some(Self {
            next: started + apart * u32::try_from(index).unwrap_or(0),
            every: apart * u32::try_from(load.clients).unwrap_or(1),
        })
    }

    fn wait(&mut self) {
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next += self.every;
    }
}

fn summary(cpu: Duration, elapsed: Duration, operations: u64, mut waits: Vec<u32>) -> Outcome {
    waits.sort_unstable();
    let at = |percent: usize| {
        let index = waits.len().saturating_sub(1) * percent / 100;
        waits.get(index).copied().map_or(0.0, f64::from)
    };
    let operations = operations.max(1) as f64;
    Outcome {
        cpu: cpu.as_secs_f64() * 1e6 / operations,
        rate: operations / elapsed.as_secs_f64(),
        p50: at(50),
        p99: at(99),
    }
}
