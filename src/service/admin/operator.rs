//! Whether a request comes from an operator who may do what it asks for, by a key that it has just proven.
//!
//! An [`Operator`] is a witness: there is no other way to one than through every check here, and
//! whatever operators do takes one. The configuration is asked at each request and not the token
//! alone: who is no operator any more is none from the next start on, however long its token lives. Nor
//! is the token's signature enough: the account's own key or the store has to say the same (protocol.md §8, RFC 9449 §7, RFC 9470).

use countersign_sdk::account::Account;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;

use super::action::Action;
use crate::model::operator::{AdminScope, Operators};
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::{LONGEST_LEEWAY, LONGEST_TOKEN, TokenNames};
use crate::model::session::SessionId;
use crate::service::context::{Context, session_refusal};
use crate::service::holder::{Holder, Presented, not_live};
use crate::service::recording;
use crate::store::SessionError;
use crate::token::access::ASSERTION_METHOD;
use crate::token::verify::OwnAccessToken;
use crate::wallet::format::WalletFormat as _;
use crate::wallet::key::RawKey;

/// An operator who may do what it asks for with this very request.
#[derive(Debug)]
pub struct Operator {
    voice: Voice,
    /// When its key was proven.
    signed_in_at: Timestamp,
}

/// A refusal, and who it was that was refused, as far as a token of ours says.
#[derive(Debug)]
pub struct Denied {
    /// Why.
    pub refusal: Refusal,
    /// The subject of the token.
    pub subject: Option<String>,
    /// Whether it is known to be the subject who was refused: by the token's key, for the issuer itself, and by what
    /// says so beside the token. Not somebody who has seen its token, an application at which it signed in, or
    /// whoever stole a key of the issuer.
    pub is_proven: bool,
}

/// Who said something, and by which keys and token: whether it still counts is asked later.
#[derive(Clone, Debug)]
pub struct Voice {
    subject: String,
    /// The key that signed the request, and the one that was proven at the sign-in.
    keys: [Option<Thumbprint>; 2],
    jti: String,
    session: Option<SessionId>,
    issued_at: Timestamp,
}

impl Operator {
    /// Verifies the token, the proof, and that this operator may do this now.
    ///
    /// # Errors
    /// The refusal of the first check that failed.
    pub(super) async fn prove(
        context: &Context,
        operators: &Operators,
        presented: &Presented<'_>,
        action: Action,
        now: Timestamp,
    ) -> Result<Self, Denied> {
        let verified = context.access_tokens.verify(presented.token, &*context.store, now).await;
        let token = verified.map_err(|error| Denied {
            refusal: not_live(error),
            subject: context.access_tokens.subject_of(presented.token, now),
            is_proven: false,
        })?;
        let subject = Some(token.subject().to_owned());
        let holder = match Holder::of(context, token, presented, now).await {
            Ok(holder) => holder,
            Err(refusal) => return Err(Denied { refusal, subject, is_proven: false }),
        };
        let allowed = match check_who(context, operators, &holder, now).await {
            Ok(allowed) => allowed,
            Err(refusal) => return Err(Denied { refusal, subject, is_proven: false }),
        };
        let operator = Self::of(operators, &holder, allowed, action, now);
        operator.map_err(|refusal| Denied { refusal, subject, is_proven: true })
    }

    fn of(
        operators: &Operators,
        holder: &Holder,
        allowed: &[AdminScope],
        action: Action,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let token = holder.token();
        check_scope(token, allowed, action)?;
        let operator = Self { voice: Voice::of(holder), signed_in_at: token.authenticated_at() };
        if action.is_grave() {
            operator.check_fresh(operators, now)?;
        }
        Ok(operator)
    }

    /// The operator's subject.
    pub fn subject(&self) -> &str {
        &self.voice.subject
    }

    /// The same operator, with the same request: what it approved runs in its name.
    pub(super) fn again(&self) -> Self {
        Self { voice: self.voice.clone(), signed_in_at: self.signed_in_at }
    }

    /// What this request counts as, where several operators have to agree.
    pub(super) const fn voice(&self) -> &Voice {
        &self.voice
    }

    /// What hurts everybody takes a sign-in of a moment ago; a refresh is none.
    ///
    /// # Errors
    /// [`Reason::StepUpRequired`].
    pub(super) fn check_fresh(&self, operators: &Operators, now: Timestamp) -> Result<(), Refusal> {
        let (limit, at) = (operators.care.step_up, self.signed_in_at);
        // One that lies ahead was dated by a clock that was wrong.
        if at <= now && now.since(at) <= limit {
            return Ok(());
        }
        let detail = format!("this takes a sign-in of the last {limit} seconds: sign in again");
        Err(Refusal::new(Reason::StepUpRequired, detail))
    }
}

/// What the configuration lets the holder do, if it comes for the issuer itself, and more than its token says who
/// it is.
async fn check_who<'a>(
    context: &Context,
    operators: &'a Operators,
    holder: &Holder,
    now: Timestamp,
) -> Result<&'a [AdminScope], Refusal> {
    let token = holder.token();
    if token.audience() != context.issuer.url {
        let detail = "this access token is for another resource; sign in for the issuer itself";
        return Err(Refusal::new(Reason::TokenAudience, detail));
    }
    let allowed = check_standing(operators, token)?;
    check_backing(context, holder, now).await?;
    Ok(allowed)
}

/// What the configuration lets the token's subject do, if it signed in as an operator may.
fn check_standing<'a>(
    operators: &'a Operators,
    token: &OwnAccessToken,
) -> Result<&'a [AdminScope], Refusal> {
    let unknown = |detail| Refusal::new(Reason::OperatorUnknown, detail);
    let allowed = operators.allowed(token.subject());
    let allowed = allowed.ok_or_else(|| unknown("this account is no operator of this issuer"))?;
    let method = match token.proven_key().1 {
        // An assertion proves what a message of the raw-key format proves.
        ASSERTION_METHOD => RawKey.name(),
        method => method,
    };
    let fits = operators.check_format(method);
    fits.map_err(|_| unknown("operators do not sign in by this message format"))?;
    Ok(allowed)
}

/// Checks, where the holder is an operator, that it is so by more than its token, whatever that is for: who ends
/// every session and token of an operator ends what the operator has asked for and approved.
///
/// # Errors
/// [`Reason::OperatorUnknown`], which is recorded; [`Reason::StoreUnavailable`].
pub(crate) async fn check_own(
    context: &Context,
    holder: &Holder,
    now: Timestamp,
) -> Result<(), Refusal> {
    let operators = context.rules.operators.as_ref();
    if operators.is_none_or(|operators| operators.allowed(holder.token().subject()).is_none()) {
        return Ok(());
    }
    let backed = check_backing(context, holder, now).await;
    backed.inspect_err(|refusal| recording::holder_refused(context, refusal.reason(), now))
}

/// Something beside the token says that it is this operator's: the proof by the very key that the account
/// is, or a session that the store keeps and in which everything stands that the token says. Whoever has
/// got hold of a key of the issuer writes any token, and is nobody by that here.
async fn check_backing(context: &Context, holder: &Holder, now: Timestamp) -> Result<(), Refusal> {
    let (token, key) = (holder.token(), Some(holder.key()));
    if let Ok(Account::Key(account)) = token.subject().parse() {
        let own = Some(account.key().thumbprint());
        if key == own && token.proven_key().0 == own {
            return Ok(());
        }
    }
    let nothing = || {
        let detail = "no session that lives says what this token says: sign in again";
        Refusal::new(Reason::OperatorUnknown, detail)
    };
    let session = context.store.session(token.session().ok_or_else(nothing)?, now).await;
    let session = match session {
        Ok(session) => session,
        Err(SessionError::Ended) => return Err(nothing()),
        Err(error) => return Err(session_refusal(error)),
    };
    let opened: Vec<&str> = session.scope.split(' ').collect();
    let is_theirs = session.subject == token.subject()
        && session.bound_to == key
        && session.resource == token.audience()
        && (session.proven, &*session.method) == token.proven_key()
        && session.created_at == token.authenticated_at()
        && token.scope().split(' ').all(|scope| scope.is_empty() || opened.contains(&scope));
    if is_theirs { Ok(()) } else { Err(nothing()) }
}

/// The token has the scope, and so has the operator today.
fn check_scope(
    token: &OwnAccessToken,
    allowed: &[AdminScope],
    action: Action,
) -> Result<(), Refusal> {
    let signed: Vec<&str> = token.scope().split(' ').collect();
    let has = |scope: &AdminScope| signed.contains(&scope.name()) && allowed.contains(scope);
    if action.takes().iter().any(has) {
        return Ok(());
    }
    let names: Vec<&str> = action.takes().iter().map(|scope| scope.name()).collect();
    let detail = format!("this takes a token, and an operator, with {}", names.join(" or "));
    Err(Refusal::new(Reason::ScopeInsufficient, detail))
}

impl Voice {
    fn of(holder: &Holder) -> Self {
        let token = holder.token();
        Self {
            subject: token.subject().to_owned(),
            keys: [Some(holder.key()), token.proven_key().0],
            jti: token.id().to_owned(),
            session: token.session(),
            issued_at: token.issued_at(),
        }
    }

    /// Who it was.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether somebody else spoke: another account, and no key in common.
    pub fn is_distinct_from(&self, other: &Self) -> bool {
        let shared = self.keys.iter().flatten().any(|key| other.keys.contains(&Some(*key)));
        self.subject != other.subject && !shared
    }

    /// Until when it is known whether what it stands on has ended: a session that ends notes that for as long as its
    /// newest token could be taken anywhere.
    pub(super) const fn counts_until(&self) -> Timestamp {
        self.issued_at.plus(LONGEST_TOKEN + LONGEST_LEEWAY)
    }

    /// The names by which what it stands on can be revoked.
    pub(super) fn names(&self) -> TokenNames<'_> {
        TokenNames {
            jti: Some(&self.jti),
            session: self.session,
            subject: &self.subject,
            keys: self.keys,
            issued_at: self.issued_at,
        }
    }
}

#[cfg(test)]
impl Voice {
    /// Somebody with these keys, who signed in at `at`.
    pub(super) fn for_tests(subject: &str, keys: [Option<Thumbprint>; 2], at: Timestamp) -> Self {
        let (subject, jti) = (subject.to_owned(), format!("jti of {subject}"));
        Self { subject, keys, jti, session: None, issued_at: at }
    }
}
