//! Who signed is found in the signature where a key alone proves the account; only otherwise the account's chain is asked.
//!
//! A key that is its own account is done with before anything here is awaited, so that no node is in
//! its way. A contract, or a name of NEAR, is what its chain says it is at this moment: it gets a
//! shorter session, and is asked about again each time that a session goes on. A chain that says no
//! ends the session; one that says nothing changes nothing.
//!
//! Specs: protocol.md §5, ERC-1271, ERC-6492, EIP-7702, NEP-413.

use countersign_sdk::account::Account;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::dpop::VerifiedProof;
use countersign_sdk::time::Timestamp;

use super::context::Context;
use super::possession;
use crate::audit::evidence::ChainSaid;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::ResourceRules;
use crate::rpc::{ApprovedSignature, AskError, Asker, Asking, Block, Said};
use crate::store::SpentNonce;
use crate::token::access::{Authenticated, Possession};
use crate::wallet::format::{Evidence, Issuing, VerifiedSigner};
use crate::wallet::on_chain::Question;
use crate::wallet::policy::{BoundMessage, OpenedNonce};
use crate::wallet::registry;

pub(crate) mod again;

/// What a signature shows by itself.
#[derive(Debug)]
pub(crate) enum Signed {
    /// A key of the account.
    ByKey(Box<VerifiedSigner>),
    /// Nothing yet: the chain has to be asked. The refusal holds where there is nobody to ask about.
    Open(Question, Refusal),
}

impl Signed {
    /// Looks at the signature of a text. Asks nobody.
    ///
    /// # Errors
    /// What the format says, where no node could say more.
    pub(crate) fn read(
        context: &Context,
        bound: &BoundMessage<'_>,
        evidence: &Evidence<'_>,
        issuing: &dyn Issuing,
    ) -> Result<Self, Refusal> {
        let refused = match bound.verify_issued(evidence, issuing) {
            Ok(signer) => return Ok(Self::ByKey(Box::new(signer))),
            Err(refused) => refused,
        };
        let question = bound.question(evidence, refused.clone())?;
        match (&question, context.nodes.serve(question.account())) {
            (_, true) => Ok(Self::Open(question, refused)),
            (Question::Contract(contract), false) if contract.is_wrapped() => Err(not_served()),
            (Question::Contract(_) | Question::AccessKey(_), false) => Err(refused),
        }
    }

    /// Everything that can be refused before a chain is asked, and by whom it is asked: whoever holds the
    /// key that signs the requests, once for each proof. So the proof is used up by a wrong signature too.
    /// `None` where nobody has to be asked.
    ///
    /// # Errors
    /// `account_not_allowed`, what was wrong with the signature, or what is wrong with the proof.
    pub(crate) async fn admit(
        &self,
        context: &Context,
        session_key: Option<&Thumbprint>,
        proof: Option<&VerifiedProof>,
        rules: &ResourceRules,
        now: Timestamp,
    ) -> Result<Option<Possession>, Refusal> {
        let own_key = match self {
            Self::ByKey(_) => return Ok(None),
            // Nothing is proven yet, so this is what it would be without nodes: a signature of no key.
            Self::Open(Question::Contract(_), refused) if !rules.on_chain.taken => {
                return Err(refused.clone());
            }
            Self::Open(Question::Contract(question), _) => {
                check_contract(question.account(), rules)?;
                None
            }
            Self::Open(Question::AccessKey(named), _) => {
                rules.check_on_chain()?;
                check_signer(named.signer(), rules)?;
                Some(named.signer().thumbprint())
            }
        };
        possession::match_key(proof, session_key.copied(), own_key)?;
        possession::claim(context, proof, rules, now).await.map(Some)
    }

    /// Asks the chain, where that has to be, once the question was [admitted](Self::admit).
    ///
    /// # Errors
    /// `factory_not_allowed`, `chain_unavailable`, or what was wrong with the signature.
    pub(crate) async fn prove(
        self,
        context: &Context,
        bound: &BoundMessage<'_>,
        now: Timestamp,
    ) -> Result<Proven, Refusal> {
        let (question, refused) = match self {
            Self::ByKey(signer) => return Ok(Proven::Key(*signer)),
            Self::Open(question, refused) => (question, refused),
        };
        let signer = match &question {
            Question::Contract(_) => None,
            Question::AccessKey(named) => Some(named.signer().thumbprint()),
        };
        let message = bound.question_key(signer);
        let asker = Asker::SignIn { message, until: bound.nonce().until };
        let asking = asking(context, asker, now)?;
        match question {
            Question::Contract(question) => {
                match context.nodes.contract(*question, &asking).await.map_err(ask_refusal)? {
                    Said::Yes(approved) => Ok(Proven::Contract(approved)),
                    Said::No => Err(Refusal::new(
                        Reason::SignatureMismatch,
                        "the contract at this account does not take the signature for its own",
                    )),
                    // An account without code is its key's, and what was wrong for a key is what is wrong.
                    Said::NoContract => Err(refused),
                }
            }
            Question::AccessKey(named) => {
                let said = context.nodes.access_key(named.question(), &asking).await;
                match said.map_err(ask_refusal)? {
                    Said::Yes(witness) => {
                        let block = witness.block();
                        let name = |signer| Proven::Name(signer, block);
                        named.confirmed(&witness).map(name).ok_or_else(not_a_key)
                    }
                    Said::No | Said::NoContract => Err(not_a_key()),
                }
            }
        }
    }
}

/// Who is proven to have signed.
#[derive(Debug)]
pub(crate) enum Proven {
    /// The key that the account is.
    Key(VerifiedSigner),
    /// A key that the account's chain says may do everything for it, and the block that it said so of.
    Name(VerifiedSigner, Block),
    /// The contract at the account.
    Contract(ApprovedSignature),
}

impl Proven {
    /// The key that was proven, if one was.
    pub(crate) const fn signer(&self) -> Option<&VerifiedSigner> {
        match self {
            Self::Key(signer) | Self::Name(signer, _) => Some(signer),
            Self::Contract(_) => None,
        }
    }

    /// The nonce of the text, to be spent.
    pub(crate) fn nonce(&self, bound: &BoundMessage<'_>) -> OpenedNonce {
        match self {
            Self::Key(_) | Self::Name(..) => *bound.nonce(),
            // Delegated code may take what its key signs: they spend one nonce, not one each.
            Self::Contract(approved) if approved.is_delegated() => *bound.nonce(),
            Self::Contract(_) => bound.nonce_of_contract(),
        }
    }

    /// Who it is: `sub`.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Key(signer) | Self::Name(signer, _) => signer.subject().to_owned(),
            Self::Contract(approved) => approved.account().to_did(),
        }
    }

    /// What the chain said, where it was asked.
    pub(crate) fn chain_said(&self) -> Option<ChainSaid> {
        let (tag, block) = match self {
            Self::Key(_) => return None,
            Self::Name(_, block) => ("final", *block),
            Self::Contract(approved) => (approved.tag().name(), approved.block()),
        };
        let Block { number, time } = block;
        Some(ChainSaid { block_tag: tag.to_owned(), block: number, block_time: time })
    }

    /// Its thumbprint.
    pub(crate) fn thumbprint(&self) -> Option<Thumbprint> {
        self.signer().map(VerifiedSigner::thumbprint)
    }

    /// Whether this account may have tokens under `rules`, by every name that it goes by.
    ///
    /// # Errors
    /// `account_not_allowed`.
    pub(crate) fn check(&self, rules: &ResourceRules) -> Result<(), Refusal> {
        match self {
            Self::Key(signer) | Self::Name(signer, _) => check_signer(signer, rules),
            Self::Contract(approved) => check_contract(approved.account(), rules),
        }
    }

    /// The last second of what it opens: for what only its chain knows, sooner than for a key.
    pub(crate) fn until(
        &self,
        context: &Context,
        signed: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match self {
            Self::Key(_) => signed,
            Self::Name(..) | Self::Contract(_) => {
                let longest = now.plus(context.rules.contract_session_lifetime);
                Some(signed.map_or(longest, |signed| signed.min(longest)))
            }
        }
    }

    /// Who signed in by the text, its nonce being spent.
    pub(crate) fn authenticated(
        &self,
        bound: &BoundMessage<'_>,
        spent: SpentNonce,
    ) -> Authenticated {
        match self {
            Self::Key(signer) | Self::Name(signer, _) => {
                Authenticated::by_message(bound, signer, spent)
            }
            Self::Contract(approved) => {
                tracing::info!(
                    account = %approved.account(),
                    tag = approved.tag().name(),
                    block = approved.block().number,
                    "a contract signed in"
                );
                Authenticated::by_contract(bound, approved, spent)
            }
        }
    }
}

fn check_signer(signer: &VerifiedSigner, rules: &ResourceRules) -> Result<(), Refusal> {
    rules.check_subject(signer.subject())?;
    rules.check_names(registry::subjects_of_key(signer.key()))
}

fn check_contract(account: &Account, rules: &ResourceRules) -> Result<(), Refusal> {
    let format = registry::by_account(account).ok_or_else(registry::unknown)?;
    rules.check_contract(&account.to_did(), &format.accounts().subject_of(account)?)
}

fn not_a_key() -> Refusal {
    Refusal::new(
        Reason::SignatureMismatch,
        "the key that signed is not a full-access key of the account, as its chain says",
    )
}

fn not_served() -> Refusal {
    Refusal::new(
        Reason::ChainNotAllowed,
        "accounts of this chain that are contracts or names are not taken here: none of its nodes is asked",
    )
}

fn asking(context: &Context, asker: Asker, now: Timestamp) -> Result<Asking, Refusal> {
    Asking::new(asker, now, &*context.entropy)
        .map_err(|_| Refusal::new(Reason::ServerError, "no random bytes to be had"))
}

fn ask_refusal(error: AskError) -> Refusal {
    match error {
        AskError::Unconfigured => not_served(),
        AskError::Factory => Refusal::new(
            Reason::FactoryNotAllowed,
            "the factory that the signature names (ERC-6492) is not one that this server calls; deploy the \
             account first, or have the factory allowed",
        ),
        AskError::TooOften => Refusal::new(
            Reason::NonceUsed,
            "the account's chain was asked about this message as often as may be; ask for a new challenge",
        ),
        AskError::Crowded => Refusal::new(
            Reason::ChainUnavailable,
            "too many questions about the account or its chain are under way; nothing has changed: try again shortly",
        ),
        AskError::Unavailable => Refusal::new(
            Reason::ChainUnavailable,
            "too few nodes of the account's chain gave the same answer; nothing has changed: try again shortly",
        ),
    }
}
