//! The measured processes: started on a free port, their CPU time and memory read from the kernel.
//!
//! CPU time is the sum over the threads' `schedstat`, in nanoseconds, as the scheduler counts it.
//! Threads of these servers do not end while they serve, so none is missed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;

/// A server that runs as a child, and ends with this value.
pub(crate) struct Server {
    child: Child,
    /// `host:port`.
    pub(crate) address: String,
}

impl Server {
    /// A release binary, in development mode, with its state in memory.
    pub(crate) fn countersign(binary: &Path) -> Result<Self, Failure> {
        Self::start(development(binary))
    }

    /// The same with its sessions in `folder`.
    pub(crate) fn durable(binary: &Path, folder: &Path) -> Result<Self, Failure> {
        let mut command = development(binary);
        command.arg("--data-dir").arg(folder);
        Self::start(command)
    }

    /// This program as the bare one.
    pub(crate) fn echo() -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--echo");
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(output).lines();
        let address = lines.find_map(|line| {
            let line = line.ok()?;
            Some(line.strip_prefix("listening on http://")?.to_owned())
        });
        // What else it prints is read and dropped, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Self { child, address: address.unwrap_or_default() };
        if server.address.is_empty() {
            return Err("the server did not say where it listens".into());
        }
        Ok(server)
    }

    /// CPU time of all its threads.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            sum += run_time(&thread?.path().join("schedstat").to_string_lossy())?;
        }
        Ok(sum)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes.ok_or("no VmRSS")?.parse()?;
        Ok(kibibytes * 1024)
    }
}

fn development(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--operations-listen", "off"]);
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good as gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of the calling thread.
pub(crate) fn own_thread_cpu() -> Result<Duration, Failure> {
    run_time("/proc/thread-self/schedstat")
}

fn run_time(schedstat: &str) -> Result<Duration, Failure> {
    let text = fs::read_to_string(schedstat)?;
    let nanoseconds = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}
