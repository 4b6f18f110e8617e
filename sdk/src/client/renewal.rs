//! How a renewal goes: what another program kept, the refresh token, and only then a new proof.
//!
//! A refresh token is presented until another one came for it. An answer that was lost – a time-out,
//! a broken connection, a 503 – says nothing about it: it is presented again later, and the issuer
//! gives the same successor again. Only `invalid_grant` ends it. And nothing older than the newest
//! is presented, which would look like theft: one renewal at a time writes, and where the session
//! is kept, it holds that place's lock and begins with what lies there.
//!
//! Specs: protocol.md §6, RFC 9700 §2.2.2.

use std::sync::Arc;

use super::error::ClientError;
use super::session::{Keeping, Shared};
use super::token::Token;
use crate::time::Timestamp;

/// The longest pause after failed renewals, in seconds.
const MAX_PAUSE: u64 = 30;
/// The reasons with which `invalid_grant` says that the session is over.
const ENDED: [&str; 3] = ["session_ended", "refresh_reused", "refresh_token_invalid"];

/// The renewals that failed since the last one that did not.
#[derive(Debug, Default)]
pub(super) struct Failures {
    number: u32,
    last: Timestamp,
    cause: String,
}

impl Failures {
    fn add(&mut self, now: Timestamp, cause: &ClientError) {
        self.number = self.number.saturating_add(1);
        self.last = now;
        self.cause = cause.to_string();
    }

    /// Seconds of pause after the last failure: 1, 2, 4… at most 30; `None` without a failure.
    fn pause(&self) -> Option<u64> {
        let doublings = self.number.checked_sub(1)?;
        Some(1_u64.checked_shl(doublings).map_or(MAX_PAUSE, |pause| pause.min(MAX_PAUSE)))
    }

    /// Refuses an attempt within the pause.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), ClientError> {
        let Some(pause) = self.pause() else { return Ok(()) };
        let seconds = pause.saturating_sub(now.since(self.last));
        // A clock that was set back does not lengthen the pause.
        if seconds == 0 || now < self.last {
            return Ok(());
        }
        Err(ClientError::RenewalPaused { seconds, cause: self.cause.clone() })
    }

    /// What became of the last renewal.
    pub(super) fn last_failure(&self) -> Result<(), ClientError> {
        match self.pause() {
            None => Ok(()),
            Some(seconds) => Err(ClientError::RenewalPaused { seconds, cause: self.cause.clone() }),
        }
    }
}

/// What lies where the session is kept.
pub(super) enum Newest {
    /// What we have.
    Ours,
    /// What another program has renewed.
    Theirs(Box<Token>),
    /// Nothing, or another session: this one was logged out or replaced there.
    Gone,
}

impl Shared {
    /// A token in place of `stale`, by this caller or by the one that it waited for.
    pub(super) async fn renew(&self, stale: &Token) -> Result<Arc<Token>, ClientError> {
        let mut failures = self.renewal.lock().await;
        self.renew_holding(&mut failures, stale).await
    }

    /// The same, for who holds the lock of renewals.
    pub(super) async fn renew_holding(
        &self,
        failures: &mut Failures,
        stale: &Token,
    ) -> Result<Arc<Token>, ClientError> {
        let current = self.open()?;
        if current.access_token != stale.access_token {
            return Ok(current);
        }
        failures.check(self.plan.http.local_now())?;
        match self.next(&current).await {
            Ok(fresh) => {
                *failures = Failures::default();
                Ok(self.put(fresh))
            }
            // It is not for want of trying.
            Err(ClientError::SignInRequired) => Err(ClientError::SignInRequired),
            Err(error) => {
                failures.add(self.plan.http.local_now(), &error);
                Err(error)
            }
        }
    }

    /// The next token, kept before it is handed out.
    async fn next(&self, current: &Arc<Token>) -> Result<Token, ClientError> {
        let Some(keeping) = &self.keeping else {
            return self.obtain(current).await;
        };
        let _held = keeping.store.lock(&keeping.name).await?;
        let last = match self.newest(keeping, current).await? {
            Newest::Ours => Arc::clone(current),
            Newest::Theirs(token) if !token.is_due(self.plan.now()) => return Ok(*token),
            Newest::Theirs(token) => self.put(*token),
            Newest::Gone => {
                self.close();
                return Err(ClientError::SignInRequired);
            }
        };
        let next = self.obtain(&last).await;
        let left = self.open()?;
        match next {
            Ok(fresh) => {
                let is_new = fresh.session_id.is_some() && fresh.session_id != last.session_id;
                match is_new {
                    true => self.save_new(keeping, &fresh).await?,
                    false => self.save(keeping, &fresh).await?,
                }
                Ok(fresh)
            }
            Err(error) if left.refresh_token != last.refresh_token => {
                // So that the next program does not present it either. If it does, it is told so.
                let _ = self.save(keeping, &left).await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Compares what is kept with what we have; the caller holds the place's lock.
    pub(super) async fn newest(
        &self,
        keeping: &Keeping,
        current: &Token,
    ) -> Result<Newest, ClientError> {
        let Some(kept) = keeping.store.load(&keeping.name).await? else {
            return Ok(Newest::Gone);
        };
        if !self.record(keeping, current).continues_as(&kept) {
            return Ok(Newest::Gone);
        }
        let theirs = kept.token;
        let same = theirs.access_token == current.access_token
            && theirs.refresh_token == current.refresh_token;
        Ok(if same { Newest::Ours } else { Newest::Theirs(Box::new(theirs)) })
    }

    /// By the refresh token, or by a proof once that is over or where there is none.
    async fn obtain(&self, last: &Token) -> Result<Token, ClientError> {
        if let Some(refresh_token) = &last.refresh_token {
            match self.plan.refresh(last, refresh_token, &*self.signer).await {
                Err(error) if is_end(&error) => {
                    self.put(Token { refresh_token: None, ..last.clone() });
                }
                answered => return answered,
            }
        }
        if !self.prover.is_unattended() {
            return Err(ClientError::SignInRequired);
        }
        self.prover.prove(&self.plan, &*self.signer).await
    }
}

/// Whether the issuer says that the session is over. An issuer that gives no reason says so by
/// `invalid_grant` alone (RFC 6749 §5.2); another reason is told of the request, not of the session.
fn is_end(error: &ClientError) -> bool {
    match error {
        ClientError::Refused(refusal) => {
            let is_ours = refusal.reason.as_deref().is_none_or(|reason| ENDED.contains(&reason));
            (400..500).contains(&refusal.status) && refusal.error == "invalid_grant" && is_ours
        }
        ClientError::Address(_)
        | ClientError::Network(_)
        | ClientError::Protocol { .. }
        | ClientError::Challenge(_)
        | ClientError::Signer(_)
        | ClientError::Key(_)
        | ClientError::Entropy(_)
        | ClientError::Store(_)
        | ClientError::Unprovable
        | ClientError::RenewalPaused { .. }
        | ClientError::SignInRequired
        | ClientError::Request(_) => false,
    }
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;
