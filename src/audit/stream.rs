//! The records once more, as lines for a collector: on standard output or in a file.
//!
//! A copy, not the log: a collector that does not read stops nobody. Its lines are dropped then, which is
//! told in the log of the server, and the gap shows in the places of the records.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::Builder;

use super::folder::{OpenError, reach};

/// How many groups of lines may wait for the collector.
const QUEUE: usize = 256;
/// How many bytes of them.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;

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
    /// The bytes that wait.
    waiting: Arc<AtomicUsize>,
    drops: bool,
}

impl Stream {
    /// Opens the target and starts the thread that writes to it.
    pub(super) fn to(target: &Target) -> Result<Self, OpenError> {
        Self::over(match target {
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true).mode(0o600);
                Box::new(options.open(path).map_err(reach(path))?)
            }
        })
    }

    fn over(mut out: Box<dyn Write + Send>) -> Result<Self, OpenError> {
        let (lines, queue) = sync_channel::<Vec<u8>>(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&waiting);
        let copy = move || {
            for lines in queue {
                if let Err(error) = out.write_all(&lines).and_then(|()| out.flush()) {
                    tracing::error!(%error, "audit lines for the collector are lost");
                }
                taken.fetch_sub(lines.len(), Ordering::Relaxed);
            }
        };
        let thread = Builder::new().name("audit-stream".to_owned()).spawn(copy);
        thread.map_err(OpenError::Thread)?;
        Ok(Self { lines, waiting, drops: false })
    }

    /// Hands lines over, and never waits.
    pub(super) fn send(&mut self, lines: Vec<u8>) {
        let dropped = !self.takes(lines);
        if dropped && !self.drops {
            tracing::error!("the audit collector does not read; lines for it are dropped");
        }
        self.drops = dropped;
    }

    fn takes(&self, lines: Vec<u8>) -> bool {
        let (waiting, more) = (self.waiting.load(Ordering::Relaxed), lines.len());
        // One group alone may be larger.
        if waiting > 0 && waiting.saturating_add(more) > QUEUE_BYTES {
            return false;
        }
        self.waiting.fetch_add(more, Ordering::Relaxed);
        match self.lines.try_send(lines) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.waiting.fetch_sub(more, Ordering::Relaxed);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// A collector that reads once it is told to.
    struct Stalled(Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_waits_for_a_collector_that_does_not_read_is_bounded_in_bytes() {
        let (reads, stalled) = channel();
        let stream = Stream::over(Box::new(Stalled(stalled))).unwrap();
        let group = vec![0; QUEUE_BYTES / 4];
        let taken = (0..20).filter(|_| stream.takes(group.clone())).count();
        assert_eq!(taken, 4);
        drop(reads);
        while stream.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        assert!(stream.takes(vec![0; QUEUE_BYTES + 1]), "one alone");
    }
}
