//! The records once more, as lines for a collector: on standard output or in a file.
//!
//! A copy, not the log: a collector that does not read stops nobody. Its lines are dropped then, which is
//! told in the log of the server, and the gap shows in the places of the records.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::Builder;

use super::folder::{OpenError, reach};

/// How many groups of lines may wait for the collector.
const QUEUE: usize = 256;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, to which is added.
    File(PathBuf),
}

/// The way to the collector.
#[derive(Debug)]
pub(super) struct Stream {
    lines: SyncSender<Vec<u8>>,
    drops: bool,
}

impl Stream {
    /// Opens the target and starts the thread that writes to it.
    pub(super) fn to(target: &Target) -> Result<Self, OpenError> {
        let mut out: Box<dyn Write + Send> = match target {
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true).mode(0o600);
                Box::new(options.open(path).map_err(reach(path))?)
            }
        };
        let (lines, queue) = sync_channel::<Vec<u8>>(QUEUE);
        let copy = move || {
            for lines in queue {
                if let Err(error) = out.write_all(&lines).and_then(|()| out.flush()) {
                    tracing::error!(%error, "audit lines for the collector are lost");
                }
            }
        };
        let thread = Builder::new().name("audit-stream".to_owned()).spawn(copy);
        thread.map_err(OpenError::Thread)?;
        Ok(Self { lines, drops: false })
    }

    /// Hands lines over, and never waits.
    pub(super) fn send(&mut self, lines: Vec<u8>) {
        let dropped = match self.lines.try_send(lines) {
            Ok(()) => false,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => true,
        };
        if dropped && !self.drops {
            tracing::error!("the audit collector does not read; lines for it are dropped");
        }
        self.drops = dropped;
    }
}
