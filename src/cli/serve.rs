//! `countersign serve`: runs the server, says loudly what it is, and drains when told to stop.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::app::{App, Surroundings};
use crate::cli::{exit, fail};
use crate::config::{self, Flags, LogFormat, Mode, Settings, StoreSettings};
use crate::telemetry;

/// Run the server. Without --config: development, on this machine alone.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The configuration file (TOML); see docs/CONFIG.md.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on, such as 127.0.0.1:8700; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// The address for health checks, or off.
    #[arg(long, value_name = "ADDR")]
    pub operations_listen: Option<String>,
    /// The folder of the embedded store, for sessions that outlive the process; store.directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The log's form: text or json.
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<String>,
    /// The log's level, such as info, or countersign=debug,info.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> ExitCode {
    let flags = Flags {
        config: args.config,
        listen: args.listen,
        operations_listen: args.operations_listen,
        data_dir: args.data_dir,
        log_format: args.log_format,
        log_level: args.log_level,
    };
    let settings = match config::load(&flags, &config::process_environment()) {
        Ok(settings) => settings,
        Err(faults) => return fail(exit::configuration(), &faults.to_string()),
    };
    let json = settings.log.format == LogFormat::Json;
    if let Err(error) = telemetry::init(json, &settings.log.level) {
        return fail(exit::configuration(), &error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(exit::FAILED, &format!("cannot start: {error}")),
    };
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> ExitCode {
    let app = match App::bind(settings, Surroundings::default()).await {
        Ok(app) => app,
        Err(error) => {
            let code = if error.is_final() { exit::configuration() } else { exit::FAILED };
            return fail(code, &error.to_string());
        }
    };
    let (tell, stop) = watch::channel(false);
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                return fail(exit::FAILED, &format!("cannot listen for signals: {error}"));
            }
        };
    if let Err(error) = announce(&app) {
        tracing::debug!(%error, "standard output is closed");
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: open requests may finish");
        tell.send_replace(true);
    });
    app.run(stop).await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

/// Says what is running, and in development what to type next.
fn announce(app: &App) -> io::Result<()> {
    let settings = app.settings();
    let issuer = settings.issuer.issuer();
    let mut out = io::stdout().lock();
    if settings.mode == Mode::Development {
        let kept = match &settings.store {
            StoreSettings::Memory => "keys and state are in memory and end with this process.",
            StoreSettings::Embedded { .. } => "keys are in memory and end with this process.",
        };
        writeln!(
            out,
            "\
!! DEVELOPMENT MODE: any page, API and scope on this machine is allowed, nothing is limited,
!! {kept} Use --config FILE for anything else."
        )?;
    }
    writeln!(out, "issuer {issuer}")?;
    if let Some(address) = app.operations_address() {
        writeln!(out, "health on http://{address}/health/ready")?;
    }
    if let StoreSettings::Embedded { directory } = &settings.store {
        writeln!(out, "sessions in {}", directory.display())?;
    }
    writeln!(out, "listening on http://{}", settings.listen)?;
    if settings.mode == Mode::Development {
        writeln!(
            out,
            "
Try it, in another terminal:
  countersign keygen --out agent.pem
  countersign login --issuer {issuer} --key agent.pem --resource http://127.0.0.1:8800 --scope read --keep demo
and call an API that takes the token, such as the example escrow_api:
  countersign call --session demo GET http://127.0.0.1:8800/hello"
        )?;
    }
    out.flush()
}
