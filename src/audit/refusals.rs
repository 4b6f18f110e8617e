//! Which refusals are recorded: decisions about trust, and of those a bounded number a minute.
//!
//! Anybody can be refused as often as the request limit allows. Without a bound, whoever wants a record
//! gone would write others until the retention removes it, or until the disk is full.

use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_sdk::time::Timestamp;

use crate::model::reason::Reason;

/// How many refusals are recorded in a minute; the others are counted.
pub const A_MINUTE: u64 = 120;
const MINUTE: u64 = 60;

/// How far before the minute a refusal may be dated and still count to it: a request is dated from its
/// beginning, and may have waited for nodes of a chain.
const LATE: u64 = 120;

/// Whether a refusal for this reason is a decision about trust, and no fault of form or of ours.
#[expect(clippy::too_many_lines, reason = "one line for each reason, and no wildcard arm")]
pub const fn is_decision(reason: Reason) -> bool {
    match reason {
        Reason::PrivateKeyReceived
        | Reason::FormatUnsupported
        | Reason::AccountNotAllowed
        | Reason::NonceUnknown
        | Reason::NonceUsed
        | Reason::ChallengeExpired
        | Reason::MessageMismatch
        | Reason::DomainNotAllowed
        | Reason::UriNotAllowed
        | Reason::ChainNotAllowed
        | Reason::MessageExpired
        | Reason::MessageNotYetValid
        | Reason::IssuedAtOutOfRange
        | Reason::StatementMismatch
        | Reason::SignatureMismatch
        | Reason::MalleableSignature
        | Reason::FactoryNotAllowed
        | Reason::ProofRequired
        | Reason::ProofInvalid
        | Reason::ProofExpired
        | Reason::ProofReplayed
        | Reason::ProofKeyMismatch
        | Reason::AssertionInvalid
        | Reason::AssertionExpired
        | Reason::AssertionReplayed
        | Reason::RefreshTokenInvalid
        | Reason::RefreshReused
        | Reason::SessionEnded
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::TokenNotBound
        | Reason::BoundTokenAsBearer
        | Reason::ClientNotAuthenticated
        | Reason::ResourceNotAllowed
        | Reason::ScopeNotGranted
        | Reason::ScopeNotAllowed
        | Reason::TokenAudience
        | Reason::OperatorUnknown
        | Reason::ScopeInsufficient
        | Reason::StepUpRequired
        | Reason::ApprovalNotDistinct
        | Reason::ApprovalMismatch
        | Reason::ApprovalVoid => true,
        Reason::MalformedRequest
        | Reason::AuthorizationPending
        | Reason::BodyTooLarge
        | Reason::BodyTimeout
        | Reason::ContentType
        | Reason::ParameterMissing
        | Reason::ParameterRepeated
        | Reason::ParameterUnknown
        | Reason::NotFound
        | Reason::MethodNotAllowed
        | Reason::RateLimited
        | Reason::MalformedMessage
        | Reason::MessageTooLarge
        | Reason::AccountInvalid
        | Reason::VersionUnsupported
        | Reason::RecapInvalid
        | Reason::SessionKeyInvalid
        | Reason::SignatureMalformed
        | Reason::PublicKeyInvalid
        | Reason::ProofNonceRequired
        | Reason::ChainUnavailable
        | Reason::RefreshLate
        | Reason::SessionUnknown
        | Reason::TokenRequired
        | Reason::GrantUnsupported
        | Reason::ResourceRequired
        | Reason::ScopeUnknown
        | Reason::StoreUnavailable
        | Reason::AuditUnavailable
        | Reason::KeyUnknown
        | Reason::KeyRevoked
        | Reason::KeyRejected
        | Reason::KeysUnavailable
        | Reason::SigningUnavailable
        | Reason::ApprovalUnknown
        | Reason::ApprovalsFull
        | Reason::ServerError => false,
    }
}

/// How many refusals came in this minute.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    began: Timestamp,
    recorded: u64,
    omitted: u64,
}

impl Refusals {
    /// Whether one more is recorded now.
    pub(super) fn admits(&self, now: Timestamp) -> bool {
        let mut minute = self.lock();
        // A clock that was set back by more begins a new minute.
        if now.since(minute.began) >= MINUTE || minute.began.since(now) > LATE {
            (minute.began, minute.recorded) = (now, 0);
        }
        let admitted = minute.recorded < A_MINUTE;
        match admitted {
            true => minute.recorded = minute.recorded.saturating_add(1),
            false => minute.omitted = minute.omitted.saturating_add(1),
        }
        admitted
    }

    /// How many were not recorded since this was asked, once their minute is over or `at_once`.
    pub(super) fn omitted(&self, now: Timestamp, at_once: bool) -> u64 {
        let mut minute = self.lock();
        match at_once || now.since(minute.began) >= MINUTE {
            true => std::mem::take(&mut minute.omitted),
            false => 0,
        }
    }

    /// Counts some that could not be told.
    pub(super) fn give_back(&self, count: u64) {
        let mut minute = self.lock();
        minute.omitted = minute.omitted.saturating_add(count);
    }

    fn lock(&self) -> MutexGuard<'_, Minute> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_no_more_recorded() {
        let (refusals, now) = (Refusals::default(), Timestamp::from_unix(1_000_000));
        let admitted = (0..A_MINUTE * 3).filter(|_| refusals.admits(now)).count() as u64;
        assert_eq!(admitted, A_MINUTE);
        assert_eq!(refusals.omitted(now.plus(59), false), 0, "their minute is not over");
        assert_eq!(refusals.omitted(now.plus(60), false), A_MINUTE * 2);
        assert_eq!(refusals.omitted(now.plus(60), true), 0, "told once");
        assert!(refusals.admits(now.plus(60)));
    }

    #[test]
    fn what_is_dated_before_the_minute_counts_to_it_unless_the_clock_was_set_back() {
        let (refusals, now) = (Refusals::default(), Timestamp::from_unix(1_000_000));
        let times = (0..A_MINUTE * 3).map(|late| now.minus(late % LATE));
        assert_eq!(times.filter(|then| refusals.admits(*then)).count() as u64, A_MINUTE);
        assert!(!refusals.admits(now.minus(LATE)));
        assert!(refusals.admits(now.minus(LATE + 1)));
    }
}
