//! How the account of a chain is named in a text, where its namespace has no habits of its own.
//!
//! The address line holds the address and `Chain ID` the CAIP-2 reference, alone or behind its
//! namespace. Which chains and addresses there are is for the format to say.
//!
//! Specs: CAIP-2, CAIP-10, CAIP-122.

use countersign_sdk::account::{Account, ChainAccount, ChainId};

use super::accounts::{Spelling, other_namespace};
use super::caip122::UnverifiedMessage;
use crate::model::reason::{Reason, Refusal};

/// The chain's account, where it is of `namespace`.
///
/// # Errors
/// `format_unsupported` for an account of another one.
pub(super) fn of_namespace<'a>(
    format: &'static str,
    namespace: &str,
    account: &'a Account,
) -> Result<&'a ChainAccount, Refusal> {
    match account {
        Account::Chain(inner) if inner.chain().namespace() == namespace => Ok(inner),
        Account::Chain(_) | Account::Key(_) => Err(other_namespace(format, account)),
    }
}

/// The account of an address on a chain of `namespace`.
///
/// # Errors
/// `account_invalid` for what CAIP-10 has no room for.
pub(super) fn named(namespace: &str, reference: &str, address: &str) -> Result<Account, Refusal> {
    ChainId::new(namespace, reference)
        .and_then(|chain| ChainAccount::new(chain, address))
        .map(Account::Chain)
        .map_err(|error| Refusal::new(Reason::AccountInvalid, error.to_string()))
}

/// The reference that a text's `Chain ID` gives, with or without `namespace:` before it.
pub(super) fn reference_in<'a>(message: &UnverifiedMessage<'a>, namespace: &str) -> &'a str {
    let written = message.fields().chain_id.unwrap_or_default();
    let rest = written.strip_prefix(namespace).and_then(|rest| rest.strip_prefix(':'));
    rest.unwrap_or(written)
}

/// How an account of `namespace` stands in a text.
pub(super) fn spelling<'a>(namespace: &str, account: &'a Account) -> Option<Spelling<'a>> {
    match account {
        Account::Chain(inner) if inner.chain().namespace() == namespace => {
            Some(Spelling { address: inner.address(), chain_id: Some(inner.chain().reference()) })
        }
        Account::Chain(_) | Account::Key(_) => None,
    }
}
