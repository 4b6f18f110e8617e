//! The server as a process of its own, with its store in a folder: started, killed, starved of disk.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout};

/// How long a process may take to say something; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `countersign serve`; it is killed when dropped.
pub(crate) struct Process {
    pub(crate) issuer: String,
    pub(crate) health: String,
    pub(crate) child: Child,
    /// How long it took from the start until it listened.
    pub(crate) ready_after: Duration,
    _stdout: BufReader<ChildStdout>,
}

/// A port that was free just now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Process {
    /// A development server on `port` with its store in `folder`; `before` is typed before it in a shell.
    pub(crate) async fn start(port: u16, folder: &Path, before: &str) -> Self {
        let listen = format!("--listen 127.0.0.1:{port} --operations-listen 127.0.0.1:0");
        Self::start_with(port, &listen, folder, before).await
    }

    /// A server with the configuration at `$1`.
    pub(crate) async fn start_configured(port: u16, file: &Path) -> Self {
        Self::start_configured_after(port, file, "trap '' XFSZ").await
    }

    /// The same; `before` is typed before it in a shell.
    pub(crate) async fn start_configured_after(port: u16, file: &Path, before: &str) -> Self {
        let (folder, listen) = (file.parent().unwrap(), format!("--config {}", file.display()));
        Self::start_with(port, &listen, &folder.join("store"), before).await
    }

    async fn start_with(port: u16, arguments: &str, folder: &Path, before: &str) -> Self {
        let script =
            format!("{before}\nexec \"$0\" serve {arguments} --log-level warn --data-dir \"$1\"");
        Self::by(&script, port, folder).await
    }

    /// A server on `port` with a configuration file that says where its store is, or that it is in
    /// memory; its issuer is `http://` and its address.
    pub(crate) async fn configured(port: u16, file: &Path) -> Self {
        let script = format!(
            "exec \"$0\" serve --listen 127.0.0.1:{port} --operations-listen 127.0.0.1:0 \
             --log-level warn --config \"$1\""
        );
        Self::by(&script, port, file).await
    }

    /// The same, which logs all that it can log to the file `log`.
    pub(crate) async fn traced(port: u16, file: &Path, log: &Path) -> Self {
        let script = format!(
            "exec \"$0\" serve --listen 127.0.0.1:{port} --operations-listen 127.0.0.1:0 \
             --log-level trace --config \"$1\" 2>'{}'",
            log.display()
        );
        Self::by(&script, port, file).await
    }

    /// What it said on standard output after it listened, once it has ended.
    pub(crate) async fn rest_of_stdout(mut self) -> String {
        let mut rest = String::new();
        timeout(PATIENCE, self._stdout.read_to_string(&mut rest)).await.unwrap().unwrap();
        rest
    }

    async fn by(script: &str, port: u16, argument: &Path) -> Self {
        let began = Instant::now();
        let mut child = Command::new("/bin/sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_countersign")])
            .arg(argument)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut health, mut line) = (String::new(), String::new());
        while !line.starts_with("listening on ") {
            if let Some(url) = line.strip_prefix("health on ") {
                health = url.trim().to_owned();
            }
            line.clear();
            let read = timeout(PATIENCE, stdout.read_line(&mut line)).await.unwrap().unwrap();
            assert!(read > 0, "the server ended: {:?}", child.try_wait());
        }
        let issuer = format!("http://127.0.0.1:{port}");
        Self { issuer, health, child, ready_after: began.elapsed(), _stdout: stdout }
    }

    /// Ends it as a power cut ends a process.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Tells it to stop, and waits.
    pub(crate) async fn stop(&mut self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(pid).status().await.unwrap().success());
        let ended = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// `countersign store check`, as JSON.
pub(crate) async fn check(folder: &Path) -> serde_json::Value {
    let done = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["--json", "store", "check", "--data-dir"])
        .arg(folder)
        .output()
        .await
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    serde_json::from_slice(&done.stdout).unwrap()
}
