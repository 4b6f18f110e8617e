//! What operators do from afar: let in, recorded, and only then done (protocol.md §8).
//!
//! | file | decides |
//! |---|---|
//! | [`action`] | what there is to do, and which scope and sign-in it takes |
//! | [`operator`] | whether a request comes from an operator who may do it |
//! | [`approvals`] | when enough operators agree on what hurts everybody |
//! | [`keys`] | what becomes of that: signing keys, and revocations that put operators out |
//! | [`upkeep`] | sessions, revocations and the audit log, seen and changed |
//! | `refusals` | how many refusals of strangers are recorded |
//! | `pace` | how much an operator revokes in a minute |
//! | `searches` | how many searches of the audit log an operator has under way |
//!
//! Every action leaves a record, also the refused. What changes something is recorded on the disk
//! before it happens; if it then fails, a second record says so.

use std::sync::Arc;

use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::time::Timestamp;

use crate::audit::Event;
use crate::audit::event::{Actor, OperatorAction, Outcome};
use crate::model::operator::Operators;
use crate::model::reason::{Reason, Refusal};
use crate::service::context::{Context, audit_refusal};
use crate::service::holder::Presented;

pub mod action;
pub mod approvals;
pub mod keys;
pub mod operator;
mod pace;
mod refusals;
mod searches;
pub mod upkeep;

use action::Action;
use approvals::Approvals;
use operator::{Denied, Operator};
use pace::Pace;
use refusals::Refusals;
use searches::Searches;

/// Where operators come to.
#[derive(Debug)]
pub struct Desk {
    context: Arc<Context>,
    operators: Operators,
    /// Where clients reach it.
    base: TargetUri,
    approvals: Approvals,
    refusals: Refusals,
    pace: Pace,
    searches: Searches,
}

/// An operator who was let in for one action.
#[derive(Debug)]
#[must_use]
pub struct Admitted<'a> {
    desk: &'a Desk,
    operator: Operator,
    action: Action,
    target: Option<String>,
    now: Timestamp,
}

/// What a request brings, without what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Brought<'a> {
    /// The access token.
    pub token: &'a str,
    /// Whether it was sent as one that needs no proof.
    pub as_bearer: bool,
    /// The `DPoP` header.
    pub proof: Option<&'a str>,
}

impl Desk {
    /// The desk of an issuer, which clients reach at `base`; `None` where there are no operators.
    pub fn of(context: Arc<Context>, base: TargetUri) -> Option<Self> {
        let operators = context.rules.operators.clone()?;
        let approvals = Approvals::default();
        let (refusals, pace) = (Refusals::default(), Pace::default());
        let searches = Searches::default();
        Some(Self { context, operators, base, approvals, refusals, pace, searches })
    }

    /// The context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// How old, in seconds, the sign-in behind a grave action may be.
    pub const fn step_up(&self) -> u64 {
        self.operators.care.step_up
    }

    /// Lets an operator in for `action`, by a request for `method` and `path`; records whoever is not.
    ///
    /// # Errors
    /// The refusal of the first check that failed.
    pub async fn admit(
        &self,
        (action, target): (Action, Option<String>),
        (method, path): (&str, &str),
        brought: Result<Brought<'_>, Refusal>,
    ) -> Result<Admitted<'_>, Refusal> {
        let now = self.context.now();
        match self.prove(action, (method, path), brought, now).await {
            Ok(operator) => Ok(Admitted { desk: self, operator, action, target, now }),
            Err(denied) => {
                self.note(action, target, &denied, now).await;
                Err(denied.refusal)
            }
        }
    }

    async fn prove(
        &self,
        action: Action,
        (method, path): (&str, &str),
        brought: Result<Brought<'_>, Refusal>,
        now: Timestamp,
    ) -> Result<Operator, Denied> {
        let nobody = |refusal| Denied { refusal, subject: None, is_proven: false };
        let Brought { token, as_bearer, proof } = brought.map_err(nobody)?;
        // As it was received: a spelling of the path that a proxy or the router takes for another one is not
        // what the proof names.
        let target = TargetUri::at(&self.base, path)
            .map_err(|error| Refusal::new(Reason::MalformedRequest, error.to_string()));
        let target = &target.map_err(nobody)?;
        let presented = Presented { token, as_bearer, proof, method, target };
        Operator::prove(&self.context, &self.operators, &presented, action, now).await
    }

    /// Records a refusal: of an operator always, of others as many as are recorded. Who shows a token of an operator
    /// and is not known to be that operator is one of the others.
    async fn note(&self, action: Action, target: Option<String>, denied: &Denied, now: Timestamp) {
        let operator = denied.subject.clone();
        let is_operator =
            operator.as_deref().is_some_and(|subject| self.operators.allowed(subject).is_some());
        let omitted = match is_operator && denied.is_proven {
            true => None,
            false => match self.refusals.take(now) {
                Some(omitted) => omitted,
                None => return,
            },
        };
        let refused = Event::OperatorAction(OperatorAction {
            operator,
            action: action.name().to_owned(),
            target,
            outcome: Outcome::Refused,
            reason: Some(denied.refusal.reason().code().to_owned()),
            approval: None,
        });
        for event in omitted.map(Event::RefusalsOmitted).into_iter().chain([refused]) {
            // The answer is a refusal either way.
            if let Err(error) = self.context.audit.write(event, now).await {
                tracing::error!(%error, "the refusal of an operator's request was not recorded");
            }
        }
    }
}

impl Admitted<'_> {
    /// The moment at which the operator was let in.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Who did it, for the records of what was done.
    fn actor(&self) -> Actor {
        Actor::Operator(self.operator.subject().to_owned())
    }

    fn context(&self) -> &Context {
        &self.desk.context
    }

    /// Goes on with what the request says, or records that it was refused for it.
    ///
    /// # Errors
    /// The one in `read`.
    pub async fn or_refused<T>(&self, read: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(refusal) = &read {
            self.afterwards(Outcome::Refused, refusal).await;
        }
        read
    }

    /// Records the action, and then does it: what cannot be recorded does not happen.
    async fn perform<T>(
        &self,
        effect: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        self.record(Outcome::Done, None).await?;
        let done = effect.await;
        if let Err(refusal) = &done {
            self.afterwards(Outcome::Failed, refusal).await;
        }
        done
    }

    /// Records the action with an outcome, on the disk if it changes something.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`].
    async fn record(&self, outcome: Outcome, approval: Option<String>) -> Result<(), Refusal> {
        let (audit, event) = (&self.context().audit, self.event(outcome, None, approval));
        let recorded = match self.action.changes() {
            true => audit.insist(event, self.now).await,
            false => audit.write(event, self.now).await,
        };
        recorded.map_err(audit_refusal)
    }

    /// Records what can no longer be otherwise.
    async fn afterwards(&self, outcome: Outcome, refusal: &Refusal) {
        let event = self.event(outcome, Some(refusal.reason()), None);
        if let Err(error) = self.context().audit.write(event, self.now).await {
            tracing::error!(%error, "how an operator's action ended was not recorded");
        }
    }

    fn event(&self, outcome: Outcome, reason: Option<Reason>, approval: Option<String>) -> Event {
        Event::OperatorAction(OperatorAction {
            operator: Some(self.operator.subject().to_owned()),
            action: self.action.name().to_owned(),
            target: self.target.clone(),
            outcome,
            reason: reason.map(|reason| reason.code().to_owned()),
            approval,
        })
    }
}
