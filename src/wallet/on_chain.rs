//! What a text and its signature leave to be asked of the account's chain, and what is proven once it has answered.
//!
//! A format that finds no key of the account in a signature may still know what to ask. A question
//! proves nothing; the nodes' witness for this very question makes it a proof.
//!
//! Specs: ERC-1271, ERC-6492, NEP-413.

use countersign_sdk::account::Account;

use super::format::VerifiedSigner;
use crate::rpc::{AccessKeyQuestion, ContractQuestion, KeyOfAccount};

/// What is left to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether the contract at the account takes the signature.
    Contract(Box<ContractQuestion>),
    /// Whether the key that signed is one of the name's.
    AccessKey(Box<NamedSigner>),
}

impl Question {
    /// The account that it is about.
    pub const fn account(&self) -> &Account {
        match self {
            Self::Contract(question) => question.account(),
            Self::AccessKey(named) => named.question().account(),
        }
    }
}

/// A key that signed a text, and a name that it says it may sign for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSigner {
    signer: VerifiedSigner,
    question: AccessKeyQuestion,
}

impl NamedSigner {
    /// For the formats: the signature is the key's; whose key it is has not been asked yet.
    pub(in crate::wallet) const fn new(
        signer: VerifiedSigner,
        question: AccessKeyQuestion,
    ) -> Self {
        Self { signer, question }
    }

    /// The key that signed; whose it is has not been asked yet.
    pub const fn signer(&self) -> &VerifiedSigner {
        &self.signer
    }

    /// What to ask.
    pub const fn question(&self) -> &AccessKeyQuestion {
        &self.question
    }

    /// The key and its account, once the chain has said that they belong together; `None` for a
    /// witness of another key or account.
    pub fn confirmed(self, witness: &KeyOfAccount) -> Option<VerifiedSigner> {
        let Self { signer, .. } = self;
        witness.is_of(signer.account(), signer.key()).then_some(signer)
    }
}
