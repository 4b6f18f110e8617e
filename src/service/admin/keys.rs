//! What becomes of a key operation: it runs at once, or waits until other operators have approved it.

use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::approvals::{ApprovalId, Approved, KeyOperation, Waiting};
use super::operator::Voice;
use super::{Admitted, Desk};
use crate::audit::Event;
use crate::audit::event::{OperatorAction, Outcome};
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
        let (voice, approvals) = (self.operator.voice(), &self.desk.approvals);
        let id = approvals.name(operation, voice, self.now, &*self.context().entropy)?;
        // On record first: what nobody could find in it is never approved.
        self.record(Outcome::Requested, Some(id.to_string())).await?;
        let terms = (care.approvals, care.approval_window);
        let asked = approvals.ask(id, operation, voice, terms, self.now);
        let waiting = self.or_refused(asked).await?;
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
    async fn look(&self, id: ApprovalId) -> Result<(), Refusal> {
        let approvals = &self.desk.approvals;
        let (_, voices) = approvals.look(id, self.operator.voice(), self.now)?;
        if self.desk.all_count(&voices, self.now).await? {
            return Ok(());
        }
        let _ = approvals.withdraw(id, self.now);
        Err(void())
    }

    /// Runs what was asked for, once it is recorded whose operation it is.
    async fn run_approved(
        &self,
        operation: KeyOperation,
        voices: Vec<Voice>,
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
        // Once more, for a revocation that came while the disk was written: from here on it comes after.
        let done = match self.desk.all_count(&voices, self.context().now()).await {
            Ok(true) => operation_itself.run(operation).await,
            Ok(false) => Err(void()),
            Err(refusal) => Err(refusal),
        };
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
            if self.all_count(&voices, now).await? || self.approvals.withdraw(id, now).is_err() {
                continue;
            }
            let dropped = Event::OperatorAction(OperatorAction {
                operator: voices.first().map(|voice| voice.subject().to_owned()),
                action: operation.action().name().to_owned(),
                target: operation.kid().map(|kid| kid.to_string()),
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
    /// or token was revoked since, has said nothing.
    async fn all_count(&self, voices: &[Voice], now: Timestamp) -> Result<bool, Refusal> {
        for voice in voices {
            let allowed = self.operators.allowed(voice.subject()).unwrap_or_default();
            let revoked = self.context.store.is_revoked(&voice.names(), now).await;
            if revoked.map_err(session_refusal)? || !allowed.contains(&AdminScope::Keys) {
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
