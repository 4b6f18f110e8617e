//! A session of an account that only its chain knows goes on for as long as the chain says what it said at its beginning.
//!
//! A contract is asked with the digest and the signature of the sign-in, a name with the key that was
//! proven. A no ends the session there and then; silence leaves it as it is.

use countersign_sdk::account::Account;
use countersign_sdk::chain::near::name_of;
use countersign_sdk::time::Timestamp;

use super::{ask_refusal, check_contract};
use crate::audit::Event;
use crate::audit::event::{Actor, SessionEnded};
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::ResourceRules;
use crate::model::revocation::Revocation;
use crate::model::session::{ContractProof, Session};
use crate::rpc::{AccessKeyQuestion, Asker, ContractQuestion, Said};
use crate::service::context::{Context, session_refusal};
use crate::service::recording;
use crate::store::SessionError;
use crate::wallet::format::WalletFormat as _;
use crate::wallet::{registry, siwe};

/// Whether a session's account has to be asked about again, and may still have tokens.
///
/// # Errors
/// `account_not_allowed`; `session_ended` for a contract's that is bound to no key, as none is opened any more.
pub(crate) fn check_subject(session: &Session, rules: &ResourceRules) -> Result<(), Refusal> {
    match &session.contract {
        Some(_) if session.bound_to.is_none() => Err(session_refusal(SessionError::Ended)),
        Some(_) => check_contract(&account_of(session)?, rules),
        None => {
            if is_name(session)? {
                rules.check_on_chain()?;
            }
            rules.check_subject(&session.subject)
        }
    }
}

/// The message format that a session was opened with.
pub(crate) fn format_of(session: &Session) -> &str {
    match &session.contract {
        Some(_) => siwe::Siwe.name(),
        None => &session.method,
    }
}

/// Whether a session is of an account that only its chain knows, and lasts no longer than such may.
///
/// # Errors
/// `server_error` for a session whose account cannot be read.
pub(crate) fn is_on_chain(session: &Session) -> Result<bool, Refusal> {
    Ok(session.contract.is_some() || is_name(session)?)
}

/// Asks the chain of a session's account whether what was proven still holds. A no ends the session.
///
/// # Errors
/// `session_ended`, `chain_unavailable`, `store_unavailable`; `chain_not_allowed` where the chain is not
/// asked any more.
pub(crate) async fn prove(
    context: &Context,
    session: &Session,
    now: Timestamp,
) -> Result<(), Refusal> {
    let asking = || super::asking(context, Asker::Session(session.id), now);
    let holds = match &session.contract {
        Some(proof) => {
            let question = contract_question(session, proof)?;
            match context.nodes.contract(question, &asking()?).await.map_err(ask_refusal)? {
                Said::Yes(approved) => heard(session, approved.block().number),
                Said::No | Said::NoContract => false,
            }
        }
        None if is_name(session)? => {
            let question = key_question(session)?;
            match context.nodes.access_key(&question, &asking()?).await.map_err(ask_refusal)? {
                Said::Yes(witness) => heard(session, witness.block().number),
                Said::No | Said::NoContract => false,
            }
        }
        None => true,
    };
    if holds {
        return Ok(());
    }
    tracing::info!(session = %session.id, account = %session.account, "the account's chain says no");
    let ended = context.store.revoke(&Revocation::Session(session.id), now).await;
    ended.map_err(session_refusal)?;
    let (sid, sub) = (session.id, session.subject.clone());
    let event = Event::SessionEnded(SessionEnded { sid, sub, by: Actor::Server });
    recording::told(context, event, now);
    Err(Refusal::new(
        Reason::SessionEnded,
        "the account's chain says that what was signed does not hold for it any more, as after a change of \
         its owners or keys: the session is ended; sign in again",
    ))
}

/// A yes, kept in the log with its session and block.
fn heard(session: &Session, block: u64) -> bool {
    tracing::info!(session = %session.id, account = %session.account, block, "the account's chain says yes");
    true
}

fn contract_question(
    session: &Session,
    proof: &ContractProof,
) -> Result<ContractQuestion, Refusal> {
    let account = account_of(session)?;
    let address = match &account {
        Account::Chain(account) => siwe::address_bytes(account.address()),
        Account::Key(_) => None,
    };
    let signature = proof.signature.clone();
    address
        .and_then(|address| ContractQuestion::new(account, address, proof.digest, signature))
        .ok_or_else(unreadable)
}

fn key_question(session: &Session) -> Result<AccessKeyQuestion, Refusal> {
    let account = account_of(session)?;
    let name = match &account {
        Account::Chain(account) => name_of(account.address()),
        Account::Key(_) => None,
    };
    match session.proven_did.as_deref().map(str::parse) {
        Some(Ok(Account::Key(key))) => {
            let name = name.ok_or_else(unreadable)?;
            Ok(AccessKeyQuestion::new(account, name, key.key().clone()))
        }
        Some(Ok(Account::Chain(_)) | Err(_)) | None => Err(unreadable()),
    }
}

fn is_name(session: &Session) -> Result<bool, Refusal> {
    match registry::by_name(&session.method) {
        Some(format) => Ok(format.accounts().is_name(&account_of(session)?)),
        None => Ok(false),
    }
}

fn account_of(session: &Session) -> Result<Account, Refusal> {
    session.account.parse().map_err(|_| unreadable())
}

fn unreadable() -> Refusal {
    Refusal::new(Reason::ServerError, "the session's account cannot be read")
}
