//! What the accounts of a namespace are: which there are, how one stands in a text, and who it is.
//!
//! Formats of one namespace differ in what is signed and agree in this, so it stands apart from
//! them. Nothing here proves anything: a key does, in a format.
//!
//! Specs: CAIP-2, CAIP-10, protocol.md §1.

use std::fmt::Debug;

use countersign_sdk::account::{Account, ChainId};

use super::caip122::UnverifiedMessage;
use crate::model::reason::{Reason, Refusal};

/// How an account stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling<'a> {
    /// The address line.
    pub address: &'a str,
    /// The value of `Chain ID`, for formats that have one.
    pub chain_id: Option<&'a str>,
}

/// The accounts that a format signs for.
pub trait Accounts: Send + Sync + Debug {
    /// Their namespaces; the first format of a namespace is its default.
    fn namespaces(&self) -> &'static [&'static str];

    /// The canonical form of an account that was asked for, such as its EIP-55 spelling.
    ///
    /// # Errors
    /// `format_unsupported` for another namespace or a kind of account that the format does not sign
    /// for, `chain_not_allowed`, `account_invalid` for an address that is not a right one.
    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal>;

    /// The canonical spelling of a chain, `None` for one that no such account is on.
    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId>;

    /// Who a canonical account is on every chain, as `sub` has it: `did:pkh` on the namespace's
    /// canonical chain, or the `did:key`; of a name, on the chain that it is of.
    ///
    /// # Errors
    /// `format_unsupported` or `account_invalid` for an account of others.
    fn subject_of(&self, account: &Account) -> Result<String, Refusal>;

    /// Whether a canonical account is a name whose keys its chain alone knows. Such accounts are taken
    /// where nodes of that chain are configured, and what they may do is asked again and again.
    fn is_name(&self, _account: &Account) -> bool {
        false
    }

    /// How a canonical account is written in the text; `None` for an account of others.
    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>>;

    /// The account that a text names by its address and chain.
    ///
    /// # Errors
    /// `account_invalid` or `chain_not_allowed`.
    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal>;
}

/// The refusal for an account of a namespace that the format does not know.
pub(in crate::wallet) fn other_namespace(format: &'static str, account: &Account) -> Refusal {
    Refusal::new(
        Reason::FormatUnsupported,
        format!("accounts of {} do not sign messages of the format {format}", account.namespace()),
    )
}
