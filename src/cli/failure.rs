//! Why a command failed: one sentence for a person, one exit code for a script.

use std::io;
use std::process::ExitCode;

use countersign_sdk::client::address::AddressError;
use countersign_sdk::client::{ClientError, StoreError};

/// Whose fault it is, as the exit code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody's: the reader of our output went away.
    Quiet,
    /// Refused by the server or the wallet, or a check failed.
    Refused,
    /// The command line is wrong.
    Usage,
    /// A file or the configuration is wrong.
    Configuration,
    /// Nothing failed, but not everything was checked.
    Unchecked,
    /// The server was not reached.
    Network,
    /// The API answered with another status than 2xx.
    Status,
}

impl Fault {
    const fn code(self) -> u8 {
        match self {
            Self::Quiet => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Unchecked => 4,
            Self::Network => 6,
            Self::Status => 22,
        }
    }

    /// The name under which JSON output tells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Refused => "refused",
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::Unchecked => "unchecked",
            Self::Network => "network",
            Self::Status => "status",
        }
    }
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    fault: Fault,
    message: String,
    reason: Option<String>,
}

impl Failure {
    fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), reason: None }
    }

    /// Refused by somebody, or a check failed.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Fault::Refused, message)
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Fault::Usage, message)
    }

    /// A file or the configuration is wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Fault::Configuration, message)
    }

    /// Nothing failed, but not everything was checked.
    pub fn unchecked(message: impl Into<String>) -> Self {
        Self::new(Fault::Unchecked, message)
    }

    /// The server was not reached.
    pub fn network(message: impl Into<String>) -> Self {
        Self::new(Fault::Network, message)
    }

    /// The API answered, with another status than 2xx.
    pub fn status(message: impl Into<String>) -> Self {
        Self::new(Fault::Status, message)
    }

    /// A server refused, for the reason that its answer names.
    pub fn refused_for(message: impl Into<String>, reason: Option<&str>) -> Self {
        Self { reason: reason.map(str::to_owned), ..Self::refused(message) }
    }

    /// The same failure, with what to do about it.
    #[must_use]
    pub fn with_advice(mut self, advice: &str) -> Self {
        self.message = format!("{}; {advice}", self.message);
        self
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The server's reason code, if a server refused.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.fault.code())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Refused(refusal) => {
                Self { fault: Fault::Refused, message, reason: refusal.reason }
            }
            ClientError::Challenge(_)
            | ClientError::Signer(_)
            | ClientError::SignInRequired
            | ClientError::Protocol { .. } => Self::new(Fault::Refused, message),
            ClientError::Address(_) | ClientError::Request(_) | ClientError::Unprovable => {
                Self::new(Fault::Usage, message)
            }
            ClientError::Network(_) | ClientError::RenewalPaused { .. } => {
                Self::new(Fault::Network, message)
            }
            ClientError::Key(_) | ClientError::Entropy(_) => {
                Self::new(Fault::Configuration, message)
            }
            ClientError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Name => Self::usage(message),
            StoreError::Absent(name) => Self::usage(message)
                .with_advice(&format!("make one with countersign login --keep {name}")),
            StoreError::Kept { .. }
            | StoreError::File { .. }
            | StoreError::Busy(_)
            | StoreError::Other(_) => Self::configuration(message),
        }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::usage(error.to_string())
    }
}

/// What is left of a printing's outcome for a command that has an outcome of its own: a reader who
/// has gone away changes nothing about that.
pub(super) fn unless_quiet(printed: Result<(), Failure>) -> Result<(), Failure> {
    match printed {
        Err(failure) if failure.fault == Fault::Quiet => Ok(()),
        other => other,
    }
}

/// Output that could not be written; a closed pipe is how `head` says that it has enough.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let fault = match error.kind() {
            io::ErrorKind::BrokenPipe => Fault::Quiet,
            _ => Fault::Configuration,
        };
        Self::new(fault, format!("the output could not be written: {error}"))
    }
}
