//! What becomes of an operation that hurts everybody: it runs at once, or waits until other operators have approved it.

use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::action::Action;
use super::approvals::{ApprovalId, Approved, Operation, ShownOperation, Waiting};
use super::operator::Voice;
use super::{Admitted, Desk};
use crate::audit::Event;
use crate::audit::event::{OperatorAction, Outcome};
use crate::model::reason::{Reason, Refusal};
use crate::service::context::{Context, session_refusal};
use crate::service::keys::{self, KeyView};
use crate::service::recording;

/// An operation that was asked for, or approved.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operated {
    /// It ran; the key that it was about, or that signs now.
    Key(Box<KeyView>),
    /// It waits for approvals.
    Approval(Waiting),
    /// Sessions and tokens were ended, and that is kept.
    Done,
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
    /// [`Reason::ApprovalsFull`], [`Reason::AuditUnavailable`], or what the keyring or the store says.
    pub async fn operate(&self, operation: Operation) -> Result<Operated, Refusal> {
        let care = self.desk.operators.care;
        if care.approvals <= 1 {
            return self.perform(self.run(operation)).await;
        }
        // What can never run is not waited for.
        let known = self.check_known(&operation).await;
        self.or_refused(known).await?;
        let (voice, approvals) = (self.operator.voice(), &self.desk.approvals);
        let (terms, entropy) = ((care.approvals, care.approval_window), &*self.context().entropy);
        let reserved = approvals.reserve(&operation, voice, terms, self.now, entropy);
        let id = self.or_refused(reserved).await?;
        // On record first: what nobody could find in it is never approved.
        let requested = self.for_operation(&operation);
        if let Err(refusal) = requested.record(Outcome::Requested, Some(id.to_string())).await {
            approvals.give_back(id, self.now);
            return Err(refusal);
        }
        let waiting = self.or_refused(approvals.confirm(id, voice, self.now)).await?;
        Ok(Operated::Approval(waiting))
    }

    /// What waits for approval.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`].
    pub async fn list_approvals(&self) -> Result<Vec<Waiting>, Refusal> {
        self.perform(async {
            self.desk.drop_void(self.now).await?;
            Ok(self.desk.approvals.list(self.now))
        })
        .await
    }

    /// Approves a request that is for what is `expected`; with the last approval it runs.
    ///
    /// # Errors
    /// [`Reason::ApprovalUnknown`], [`Reason::ApprovalNotDistinct`], [`Reason::ApprovalMismatch`], [`Reason::ApprovalVoid`],
    /// [`Reason::AuditUnavailable`], or what the keyring says.
    pub async fn approve(
        &self,
        id: ApprovalId,
        expected: &ShownOperation,
    ) -> Result<Operated, Refusal> {
        let looked = self.look(id, expected).await;
        self.or_refused(looked).await?;
        self.record(Outcome::Approved, Some(id.to_string())).await?;
        // Somebody else may have been faster.
        let approved = self.desk.approvals.approve(id, self.operator.voice(), self.now);
        match self.or_refused(approved).await? {
            Approved::StillWaits(waiting) => Ok(Operated::Approval(waiting)),
            Approved::Complete(operation, voices) => self.run_approved(operation, voices, id).await,
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
    async fn look(&self, id: ApprovalId, expected: &ShownOperation) -> Result<(), Refusal> {
        let approvals = &self.desk.approvals;
        let (operation, voices) = approvals.look(id, self.operator.voice(), self.now)?;
        // A name is nothing that a person reads; what it stands for is.
        if operation.shown() != *expected {
            let detail = "what waits under this name is something else; look at the list again";
            return Err(Refusal::new(Reason::ApprovalMismatch, detail));
        }
        if self.desk.all_count(&operation, &voices, self.now).await? {
            return Ok(());
        }
        let _ = approvals.withdraw(id, self.now);
        Err(void())
    }

    /// Runs what was asked for, once it is recorded whose operation it is.
    async fn run_approved(
        &self,
        operation: Operation,
        voices: Vec<Voice>,
        id: ApprovalId,
    ) -> Result<Operated, Refusal> {
        let operation_itself = self.for_operation(&operation);
        operation_itself.record(Outcome::Done, Some(id.to_string())).await?;
        // Once more, for a revocation that came while the disk was written: from here on it comes after.
        let done = match self.desk.all_count(&operation, &voices, self.context().now()).await {
            Ok(true) => operation_itself.run(operation).await,
            Ok(false) => Err(void()),
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &done {
            operation_itself.afterwards(Outcome::Failed, refusal).await;
        }
        done
    }

    /// This operator with the operation itself, as the record names it.
    fn for_operation(&self, operation: &Operation) -> Admitted<'_> {
        Admitted {
            desk: self.desk,
            operator: self.operator.again(),
            action: operation.action(),
            target: operation.target(),
            now: self.now,
        }
    }

    async fn check_known(&self, operation: &Operation) -> Result<(), Refusal> {
        let Some(kid) = operation.kid().map(|kid| kid.to_string()) else { return Ok(()) };
        let keys = keys::list(self.context()).await;
        if keys.iter().any(|key| key.kid == kid) {
            return Ok(());
        }
        Err(Refusal::new(Reason::KeyUnknown, "this issuer has no signing key of that name"))
    }

    pub(super) async fn run(&self, operation: Operation) -> Result<Operated, Refusal> {
        let (context, by, now): (&Context, _, _) = (self.context(), &self.actor(), self.now);
        let key = match operation {
            Operation::End(revocation) => {
                let done = context.store.revoke(&revocation, context.now()).await;
                recording::of_revocation(context, &revocation, self.actor(), done, now)?;
                return Ok(Operated::Done);
            }
            Operation::Rotate => keys::rotate(context, by).await,
            Operation::Retire(kid) => keys::retire(context, &kid.to_string(), by).await,
            Operation::Revoke(kid) => keys::revoke(context, &kid.to_string(), by).await,
        };
        key.map(|key| Operated::Key(Box::new(key)))
    }
}

impl Desk {
    /// Drops what waits and was spoken for by somebody who does not count any more, each with a record.
    /// A store remembers a revocation for a while only, so this is done again and again in that time
    /// and not at an approval alone.
    ///
    /// # Errors
    /// [`Reason::StoreUnavailable`]: then nothing more is known of who counts.
    pub async fn drop_void(&self, now: Timestamp) -> Result<(), Refusal> {
        for (id, operation, voices) in self.approvals.spoken_for(now) {
            // Somebody may have withdrawn it, or it may have run, since.
            if self.all_count(&operation, &voices, now).await?
                || self.approvals.withdraw(id, now).is_err()
            {
                continue;
            }
            let dropped = Event::OperatorAction(OperatorAction {
                operator: voices.first().map(|voice| voice.subject().to_owned()),
                action: operation.action().name().to_owned(),
                target: operation.target(),
                outcome: Outcome::Failed,
                reason: Some(Reason::ApprovalVoid.code().to_owned()),
                approval: Some(id.to_string()),
            });
            // It is dropped either way.
            if let Err(error) = self.context.audit.write(dropped, now).await {
                tracing::error!(%error, approval = %id, "what was dropped is not on record");
            }
        }
        Ok(())
    }

    /// Whether everybody who spoke still counts: an operator who is none any more, or whose key, session
    /// or token was revoked since, has said nothing. The first asked for it, the others approved.
    async fn all_count(
        &self,
        operation: &Operation,
        voices: &[Voice],
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let takes = std::iter::once(operation.action()).chain(std::iter::repeat(Action::Approve));
        for (voice, action) in voices.iter().zip(takes) {
            let allowed = self.operators.allowed(voice.subject()).unwrap_or_default();
            let revoked = self.context.store.is_revoked(&voice.names(), now).await;
            let may = action.takes().iter().any(|scope| allowed.contains(scope));
            if revoked.map_err(session_refusal)? || !may {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn void() -> Refusal {
    let detail = "somebody who asked for this or approved it was revoked since; it is dropped, and may \
                  be asked for again";
    Refusal::new(Reason::ApprovalVoid, detail)
}
