//! Operators are accepted when each is somebody of its own, who can sign in and has somewhere to call.
//!
//! Two operators who are one key under two names would be two persons where two are asked for. What
//! a `did:key` says of itself shows that here; of addresses, which are hashes, it shows when they sign in.

use std::net::SocketAddr;

use countersign_sdk::account::Account;
use countersign_sdk::chain::near::name_of;

use super::fault::Fault;
use super::keys::{
    ADMIN_APPROVALS, OPERATIONS_LISTEN, OPERATIONS_URL, OPERATOR_ACCOUNT, OPERATOR_SCOPES,
    OPERATORS,
};
use super::raw::RawTable;
use super::reader::{Reader, plain};
use super::settings::{Issuer, Operator, Resource};
use super::shape::Shape;
use crate::model::operator::{AdminScope, Care};
use crate::wallet::registry;

/// Every operator; nothing when one is faulty.
pub(crate) fn all(written: &[RawTable], faults: &mut Vec<Fault>) -> Option<Vec<Operator>> {
    let before = faults.len();
    let read: Vec<Option<Operator>> = written.iter().map(|raw| one(raw, faults)).collect();
    for (index, (raw, operator)) in written.iter().zip(&read).enumerate() {
        let Some(operator) = operator else { continue };
        let others = written.iter().zip(&read).enumerate().filter(|(other, _)| *other != index);
        for (other, (twin, named)) in others {
            let Some(named) = named else { continue };
            let again = named.subject == operator.subject && other < index;
            if again || is_key_of(&named.subject, &operator.subject) {
                let problem =
                    format!("is the same key as {}: an operator stands here once", twin.key);
                faults.extend(account(raw).map(|written| written.fault(problem, None)));
            }
        }
    }
    (faults.len() == before).then(|| read.into_iter().flatten().collect())
}

fn one(raw: &RawTable, faults: &mut Vec<Fault>) -> Option<Operator> {
    let mut reader = Reader {
        values: &raw.values,
        place: raw.source.clone(),
        prefix: format!("{}.", raw.key),
        faults,
    };
    let subject = reader.read(&OPERATOR_ACCOUNT);
    let scopes = reader.read(&OPERATOR_SCOPES);
    let subject = subject?;
    if !can_sign_in(&subject) {
        let problem = "cannot sign in as an operator: its wallets do not show what they sign";
        reader.fault(&OPERATOR_ACCOUNT, problem);
        return None;
    }
    if is_name(&subject) {
        let problem =
            "cannot sign in as an operator: it is a name, whose keys only its chain knows";
        reader.fault(&OPERATOR_ACCOUNT, problem);
        return None;
    }
    Some(Operator { subject, scopes: plain(scopes?) })
}

fn account(raw: &RawTable) -> Option<&super::written::Written> {
    raw.values.get(OPERATOR_ACCOUNT.name)
}

fn account_of(subject: &str) -> Option<Account> {
    subject.strip_prefix("did:pkh:").unwrap_or(subject).parse().ok()
}

/// Whether a format whose wallets show the text signs for accounts like this one.
fn can_sign_in(subject: &str) -> bool {
    let Some(account) = account_of(subject) else { return false };
    registry::FORMATS.iter().any(|format| {
        format.shows_text()
            && format.accounts().namespaces().contains(&account.namespace())
            && format.accounts().canonical_account(&account).is_ok()
    })
}

/// Whether an account is no key of its own. That a contract stands at an address does not show here: its
/// operator is refused at the sign-in.
fn is_name(subject: &str) -> bool {
    let Some(Account::Chain(account)) = account_of(subject) else { return false };
    account.chain().namespace() == "near" && name_of(account.address()).is_some()
}

/// Whether `key` is a `did:key` that signs in as `subject` too.
fn is_key_of(key: &str, subject: &str) -> bool {
    let Some(Account::Key(account)) = account_of(key) else { return false };
    key != subject && registry::subjects_of_key(account.key()).any(|name| name == subject)
}

/// The issuer itself is the resource of its operators, and nothing else may have that name.
pub(crate) fn check_resources(
    issuer: &Issuer,
    resources: &[Resource],
    written: &[RawTable],
    faults: &mut Vec<Fault>,
) {
    for (raw, resource) in written.iter().zip(resources) {
        let same = resource.uri.trim_end_matches('/') == issuer.issuer();
        if let Some(uri) = raw.values.get(super::keys::RESOURCE_URI.name).filter(|_| same) {
            let problem = "is the issuer itself, whose tokens are for its operators";
            faults.push(uri.fault(problem, None));
        }
    }
}

/// Where operators call must be there, and be named as they know it.
pub(crate) fn check_reach(
    listener: Option<SocketAddr>,
    url: Option<&str>,
    reader: &mut Reader<'_>,
) {
    let Some(address) = listener else {
        let problem = format!("is off, and [[{OPERATORS}]] call there");
        reader.fault(&OPERATIONS_LISTEN, problem);
        return;
    };
    if url.is_none() && !address.ip().is_loopback() && !reader.is_written(&OPERATIONS_URL) {
        reader.faults.push(Fault {
            source: reader.place.clone(),
            key: OPERATIONS_URL.name.to_owned(),
            found: None,
            problem: format!(
                "is required: there are [[{OPERATORS}]], and operations_listen = {address} is not loopback"
            ),
            accepted: Some(OPERATIONS_URL.shape.accepted()),
        });
    }
}

/// More approvals than there are people who can give one would stop every key operation for ever.
pub(crate) fn check_approvals(operators: &[Operator], care: Care, reader: &mut Reader<'_>) {
    let able = operators.iter().filter(|one| one.scopes.contains(&AdminScope::Keys)).count();
    if care.approvals > able.max(1) {
        let scope = AdminScope::Keys.name();
        let problem = format!("can never be met: {able} operators have {scope}");
        reader.fault(&ADMIN_APPROVALS, problem);
    }
}
