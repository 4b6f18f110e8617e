//! Sessions, revocations and the audit log, as operators see and change them.
//!
//! What is revoked here is revoked as the control socket does it: kept before it is answered, and
//! told to whoever reads the feed (protocol.md §7).

use countersign_sdk::key::Thumbprint;

use super::Admitted;
use super::approvals::Operation;
use super::keys::Operated;
use crate::audit;
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::{Entry, Revocation};
use crate::model::session::{Session, SessionId};
use crate::service::context::{audit_refusal, session_refusal};
use crate::service::feed::Cursor;
use crate::store::SessionError;

/// The most sessions of one answer.
const MOST_SESSIONS: usize = 1000;
/// The most revocations of one answer.
const MOST_REVOCATIONS: usize = 1000;

/// Whose sessions are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A subject's.
    Subject(String),
    /// A key's, as the one that signs requests or the one that was proven.
    Key(Thumbprint),
}

/// Sessions that were found.
#[derive(Debug)]
pub struct Found {
    /// The oldest first.
    pub sessions: Vec<Session>,
    /// Whether there are more than are told.
    pub more: bool,
}

/// A part of what is revoked.
#[derive(Debug)]
pub struct Revocations {
    /// In the order in which they were made.
    pub entries: Vec<Entry>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Whether there is more beyond.
    pub more: bool,
}

impl Admitted<'_> {
    /// The sessions of a subject or key that are not over.
    ///
    /// # Errors
    /// [`Reason::StoreUnavailable`] or [`Reason::AuditUnavailable`].
    pub async fn sessions(&self, whose: Whose) -> Result<Found, Refusal> {
        self.perform(async {
            let store = &self.context().store;
            let found = match &whose {
                Whose::Subject(subject) => store.sessions_of(subject, self.now).await,
                Whose::Key(key) => store.sessions_by_key(*key, self.now).await,
            };
            let mut sessions = found.map_err(session_refusal)?;
            let more = sessions.len() > MOST_SESSIONS;
            sessions.truncate(MOST_SESSIONS);
            Ok(Found { sessions, more })
        })
        .await
    }

    /// Ends one session and its tokens. It is kept when this returns, unless it waits for approval.
    ///
    /// # Errors
    /// [`Reason::SessionUnknown`], or as [`Admitted::revoke`].
    pub async fn end_session(&self, id: SessionId) -> Result<Operated, Refusal> {
        let known = match self.context().store.session(id, self.now).await {
            Ok(_) => Ok(()),
            Err(SessionError::Ended) => {
                let detail = "there is no session of that name, or it is over";
                Err(Refusal::new(Reason::SessionUnknown, detail))
            }
            Err(error) => Err(session_refusal(error)),
        };
        self.or_refused(known).await?;
        self.revoke(Revocation::Session(id)).await
    }

    /// Revokes. It is kept when this returns, unless it can put operators out and waits for approval.
    ///
    /// # Errors
    /// [`Reason::RateLimited`], [`Reason::StepUpRequired`], [`Reason::ApprovalsFull`],
    /// [`Reason::StoreUnavailable`] or [`Reason::AuditUnavailable`].
    pub async fn revoke(&self, revocation: Revocation) -> Result<Operated, Refusal> {
        self.or_refused(self.desk.pace.take(self.operator.subject(), self.now)).await?;
        let touches = self.touches_operators(&revocation).await;
        let operation = Operation::End(revocation);
        if !self.or_refused(touches).await? {
            return self.perform(self.run(operation)).await;
        }
        let fresh = self.operator.check_fresh(&self.desk.operators, self.now);
        self.or_refused(fresh).await?;
        self.operate(operation).await
    }

    /// Whether it can put operators out: with a stolen session key nobody keeps the others from their work.
    /// Whose a key is, is not known of all keys, and whose a token was, of none.
    async fn touches_operators(&self, revocation: &Revocation) -> Result<bool, Refusal> {
        let is_operator = |subject: &str| self.desk.operators.allowed(subject).is_some();
        match revocation {
            Revocation::Token { .. } => Ok(false),
            Revocation::Session(id) => match self.context().store.session(*id, self.now).await {
                Ok(session) => Ok(is_operator(&session.subject)),
                Err(SessionError::Ended) => Ok(false),
                Err(error) => Err(session_refusal(error)),
            },
            Revocation::Subject(subject) => Ok(is_operator(subject)),
            Revocation::Key(_) | Revocation::Everything | Revocation::TokensBefore(_) => Ok(true),
        }
    }

    /// What is revoked, after a place in the sequence.
    ///
    /// # Errors
    /// [`Reason::StoreUnavailable`] or [`Reason::AuditUnavailable`].
    pub async fn revocations(&self, after: Option<Cursor>) -> Result<Revocations, Refusal> {
        self.perform(async {
            let place = after.map(Cursor::place);
            let page = self.context().store.revocations(place, MOST_REVOCATIONS, self.now).await;
            let page = page.map_err(session_refusal)?;
            let (cursor, more) = (Cursor::at(page.next), page.more);
            Ok(Revocations { entries: page.entries, cursor, more })
        })
        .await
    }

    /// What was recorded.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`]; [`Reason::RateLimited`] where more searches wait, or are the operator's own,
    /// than may.
    pub async fn search(&self, query: audit::Query) -> Result<audit::Page, Refusal> {
        let _until_it_ends =
            self.or_refused(self.desk.searches.begin(self.operator.subject())).await?;
        self.perform(async { self.context().audit.search(query).await.map_err(audit_refusal) })
            .await
    }
}
