//! What becomes of a key operation: it runs at once, or waits until other operators have approved it.

use serde::Serialize;

use super::Admitted;
use super::approvals::{ApprovalId, Approved, KeyOperation, Waiting};
use crate::audit::event::Outcome;
use crate::model::operator::AdminScope;
use crate::model::reason::{Reason, Refusal};
use crate::service::context::{Context, session_refusal};
use crate::service::keys::{self, KeyView};

/// A key operation that was asked for, or approved.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operated {
    /// It ran; the key that it was about, or that signs now.
    Key(Box<KeyView>),
    /// It waits for approvals.
    Approval(Waiting),
}

impl Admitted<'_> {
    /// The signing keys.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`].
    pub async fn list_keys(&self) -> Result<Vec<KeyView>, Refusal> {
        self.perform(async { Ok(keys::list(self.context()).await) }).await
    }

    /// Runs an operation, or lets it wait where it takes several operators.
    ///
    /// # Errors
    /// [`Reason::ApprovalsFull`], [`Reason::AuditUnavailable`], or what the keyring says.
    pub async fn operate(&self, operation: KeyOperation) -> Result<Operated, Refusal> {
        let care = self.desk.operators.care;
        if care.approvals <= 1 {
            return self.perform(self.run(operation)).await;
        }
        // What can never run is not waited for.
        let known = self.check_known(operation).await;
        self.or_refused(known).await?;
        let (terms, entropy) = ((care.approvals, care.approval_window), &*self.context().entropy);
        let voice = self.operator.voice();
        let asked = self.desk.approvals.ask(operation, voice, terms, self.now, entropy);
        let waiting = self.or_refused(asked).await?;
        self.record(Outcome::Requested, Some(waiting.id.clone())).await?;
        Ok(Operated::Approval(waiting))
    }

    /// What waits for approval.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`].
    pub async fn list_approvals(&self) -> Result<Vec<Waiting>, Refusal> {
        self.perform(async { Ok(self.desk.approvals.list(self.now)) }).await
    }

    /// Approves a request; with the last approval it runs.
    ///
    /// # Errors
    /// [`Reason::ApprovalUnknown`], [`Reason::ApprovalNotDistinct`], [`Reason::ApprovalVoid`],
    /// [`Reason::AuditUnavailable`], or what the keyring says.
    pub async fn approve(&self, id: ApprovalId) -> Result<Operated, Refusal> {
        let looked = self.look(id).await;
        self.or_refused(looked).await?;
        self.record(Outcome::Approved, Some(id.to_string())).await?;
        // Somebody else may have been faster.
        let approved = self.desk.approvals.approve(id, self.operator.voice(), self.now);
        match self.or_refused(approved).await? {
            Approved::StillWaits(waiting) => Ok(Operated::Approval(waiting)),
            Approved::Complete(operation) => self.run_approved(operation, id).await,
        }
    }

    /// Takes a request back, whoever made it: any operator who may approve may say no.
    ///
    /// # Errors
    /// [`Reason::ApprovalUnknown`] or [`Reason::AuditUnavailable`].
    pub async fn withdraw(&self, id: ApprovalId) -> Result<(), Refusal> {
        self.perform(async { self.desk.approvals.withdraw(id, self.now).map(drop) }).await
    }

    /// Whether this operator may approve, and everybody who spoke for it still counts: an operator who
    /// is none any more, or whose key, session or token was revoked since, has said nothing.
    async fn look(&self, id: ApprovalId) -> Result<(), Refusal> {
        let approvals = &self.desk.approvals;
        let (_, voices) = approvals.look(id, self.operator.voice(), self.now)?;
        for voice in &voices {
            let allowed = self.desk.operators.allowed(voice.subject()).unwrap_or_default();
            let revoked = self.context().store.is_revoked(&voice.names(), self.now).await;
            if revoked.map_err(session_refusal)? || !allowed.contains(&AdminScope::Keys) {
                let _ = approvals.withdraw(id, self.now);
                let detail = "somebody who asked for this or approved it was revoked since; it is \
                              dropped, and may be asked for again";
                return Err(Refusal::new(Reason::ApprovalVoid, detail));
            }
        }
        Ok(())
    }

    /// Runs what was asked for, once it is recorded whose operation it is.
    async fn run_approved(
        &self,
        operation: KeyOperation,
        id: ApprovalId,
    ) -> Result<Operated, Refusal> {
        let operation_itself = Admitted {
            desk: self.desk,
            operator: self.operator.again(),
            action: operation.action(),
            target: operation.kid().map(|kid| kid.to_string()),
            now: self.now,
        };
        operation_itself.record(Outcome::Done, Some(id.to_string())).await?;
        let done = operation_itself.run(operation).await;
        if let Err(refusal) = &done {
            operation_itself.afterwards(Outcome::Failed, refusal).await;
        }
        done
    }

    async fn check_known(&self, operation: KeyOperation) -> Result<(), Refusal> {
        let Some(kid) = operation.kid().map(|kid| kid.to_string()) else { return Ok(()) };
        let keys = keys::list(self.context()).await;
        if keys.iter().any(|key| key.kid == kid) {
            return Ok(());
        }
        Err(Refusal::new(Reason::KeyUnknown, "this issuer has no signing key of that name"))
    }

    async fn run(&self, operation: KeyOperation) -> Result<Operated, Refusal> {
        let (context, by, now): (&Context, _, _) = (self.context(), &self.actor(), self.now);
        let key = match operation {
            KeyOperation::Rotate => keys::rotate(context, by, now).await,
            KeyOperation::Retire(kid) => keys::retire(context, &kid.to_string(), by, now).await,
            KeyOperation::Revoke(kid) => keys::revoke(context, &kid.to_string(), by, now).await,
        };
        key.map(|key| Operated::Key(Box::new(key)))
    }
}
