//! What operators can do, and what each of it takes: the one table of scopes and sign-ins.
//!
//! The match has no wildcard arm: an action that is added does not compile until somebody has said
//! who may do it.

use crate::model::operator::AdminScope;

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// See the signing keys.
    ListKeys,
    /// Let the next key sign.
    RotateKeys,
    /// Let a key sign no more.
    RetireKey,
    /// End a key and everything that it signed.
    RevokeKey,
    /// See sessions of a subject or a key.
    ListSessions,
    /// End a session.
    EndSession,
    /// See what is revoked.
    ListRevocations,
    /// Revoke a token, a session, everything of a key or a subject.
    Revoke,
    /// Revoke everything there is.
    RevokeEverything,
    /// Search the audit log.
    SearchAudit,
    /// See what waits for approval.
    ListApprovals,
    /// Approve what another operator asked for.
    Approve,
    /// Take back what somebody asked for.
    Withdraw,
}

impl Action {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::ListKeys,
        Self::RotateKeys,
        Self::RetireKey,
        Self::RevokeKey,
        Self::ListSessions,
        Self::EndSession,
        Self::ListRevocations,
        Self::Revoke,
        Self::RevokeEverything,
        Self::SearchAudit,
        Self::ListApprovals,
        Self::Approve,
        Self::Withdraw,
    ];

    /// Its name in the audit log and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ListKeys => "keys.list",
            Self::RotateKeys => "keys.rotate",
            Self::RetireKey => "keys.retire",
            Self::RevokeKey => "keys.revoke",
            Self::ListSessions => "sessions.list",
            Self::EndSession => "sessions.end",
            Self::ListRevocations => "revocations.list",
            Self::Revoke => "revocations.add",
            Self::RevokeEverything => "revocations.everything",
            Self::SearchAudit => "audit.search",
            Self::ListApprovals => "approvals.list",
            Self::Approve => "approvals.approve",
            Self::Withdraw => "approvals.withdraw",
        }
    }

    /// The scopes of which it takes one. Whoever may do something may also see what it is done to.
    pub const fn takes(self) -> &'static [AdminScope] {
        match self {
            Self::ListKeys | Self::ListApprovals => &[AdminScope::Read, AdminScope::Keys],
            Self::ListSessions | Self::ListRevocations => &[AdminScope::Read, AdminScope::Sessions],
            Self::RotateKeys
            | Self::RetireKey
            | Self::RevokeKey
            | Self::Approve
            | Self::Withdraw => &[AdminScope::Keys],
            Self::EndSession | Self::Revoke | Self::RevokeEverything => &[AdminScope::Sessions],
            Self::SearchAudit => &[AdminScope::Audit],
        }
    }

    /// Whether the sign-in behind it must be a fresh one: whoever got hold of a session key alone does
    /// nothing that hurts everybody.
    pub const fn is_grave(self) -> bool {
        match self {
            Self::RotateKeys
            | Self::RetireKey
            | Self::RevokeKey
            | Self::RevokeEverything
            | Self::Approve
            | Self::Withdraw => true,
            Self::ListKeys
            | Self::ListSessions
            | Self::EndSession
            | Self::ListRevocations
            | Self::Revoke
            | Self::SearchAudit
            | Self::ListApprovals => false,
        }
    }

    /// Whether it changes something, so that its record is on the disk before it does.
    pub const fn changes(self) -> bool {
        match self {
            Self::ListKeys
            | Self::ListSessions
            | Self::ListRevocations
            | Self::SearchAudit
            | Self::ListApprovals => false,
            Self::RotateKeys
            | Self::RetireKey
            | Self::RevokeKey
            | Self::EndSession
            | Self::Revoke
            | Self::RevokeEverything
            | Self::Approve
            | Self::Withdraw => true,
        }
    }
}
