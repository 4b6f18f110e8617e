//! Which paths are measured: their requests, the signatures none can do without, and their goals.

use crate::Failure;
use crate::floor::Operation;

/// One way through the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// An EVM wallet with a P-256 session key: `/challenge`, then `/token` with a DPoP proof.
    Evm,
    /// An Ed25519 agent by the challenge flow, its own key signing the proof.
    Agent,
    /// An Ed25519 agent by an assertion (RFC 7523): one request.
    Assertion,
    /// A wallet's session, bound to a P-256 key, goes on: one request.
    Refresh,
    /// `/challenge` alone.
    Challenge,
    /// The metadata document: a request that does nothing.
    Metadata,
}

impl Path {
    const ALL: [Self; 6] =
        [Self::Evm, Self::Agent, Self::Assertion, Self::Refresh, Self::Challenge, Self::Metadata];

    /// The name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Evm => "evm",
            Self::Agent => "agent",
            Self::Assertion => "assertion",
            Self::Refresh => "refresh",
            Self::Challenge => "challenge",
            Self::Metadata => "metadata",
        }
    }

    /// What it is, for the table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Evm => "sign-in, EVM wallet + P-256 session key",
            Self::Agent => "sign-in, Ed25519 agent, challenge flow",
            Self::Assertion => "sign-in, Ed25519 agent, jwt-bearer",
            Self::Refresh => "refresh, P-256 session key",
            Self::Challenge => "challenge",
            Self::Metadata => "metadata",
        }
    }

    /// How many HTTP requests it takes.
    pub(crate) const fn requests(self) -> u32 {
        match self {
            Self::Evm | Self::Agent => 2,
            Self::Assertion | Self::Refresh | Self::Challenge | Self::Metadata => 1,
        }
    }

    /// The signatures that any server must check and make on it.
    pub(crate) const fn signatures(self) -> &'static [Operation] {
        use Operation::{Ed25519Sign, Ed25519Verify, P256Verify, Recover};
        match self {
            Self::Evm => &[Recover, P256Verify, Ed25519Sign],
            Self::Agent | Self::Assertion => &[Ed25519Verify, Ed25519Verify, Ed25519Sign],
            Self::Refresh => &[P256Verify, Ed25519Sign],
            Self::Challenge | Self::Metadata => &[],
        }
    }

    /// The goal: server CPU at most so many times the floor.
    pub(crate) const fn goal(self) -> Option<f64> {
        match self {
            Self::Evm | Self::Agent | Self::Assertion | Self::Refresh => Some(1.25),
            Self::Challenge => Some(1.3),
            Self::Metadata => None,
        }
    }
}

/// The paths of those names; all when none is named.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Path>, Failure> {
    if names.is_empty() {
        return Ok(Path::ALL.to_vec());
    }
    names.iter().map(|name| named(name)).collect()
}

/// The path of that name.
pub(crate) fn named(name: &str) -> Result<Path, Failure> {
    Path::ALL
        .into_iter()
        .find(|path| path.name() == name)
        .ok_or_else(|| format!("no path is called {name}").into())
}
