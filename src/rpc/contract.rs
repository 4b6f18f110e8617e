//! Whether a contract takes a signature for its own is asked in one simulated call that deploys, asks and tells its block.
//!
//! A node is handed a small program as the code of a contract to be (`checker.yul`), runs it, and
//! gives back what it returns. The program looks whether the account has code, calls the factory where
//! it has none and the signature says how, asks `isValidSignature`, and takes nothing for a yes but the
//! magic value in exactly one word. A contract that reverts or runs out of gas is a no of the
//! contract's; an error of the node is no answer. The chain's id, the block's time and a digest of the
//! question are part of what comes back, so that a node of another chain, one that is behind, and an
//! answer to something else are found out.
//!
//! Specs: ERC-1271, ERC-6492, EIP-7702, EIP-3541, EIP-1474 (`eth_call`).

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use countersign_sdk::account::Account;
use countersign_sdk::time::Timestamp;
use serde_json::json;
use sha3::{Digest as _, Keccak256};

use super::answer::{self, Answer, AnswerError};
use super::deployment::{Deployment, SignatureParts};
use super::node::NodeError;
use super::quorum::{Chain, Reading};
use super::{AskError, Asking, Block, BlockTag, Said};

/// The longest signature for a contract that is read, in bytes, with what ERC-6492 wraps around it.
pub const MAX_CONTRACT_SIGNATURE: usize = 4096;

/// What `checker.yul` compiles to; a test compiles it again and compares.
const CHECKER: &str = "61012c803803808260803960805160601c6094519060b45160601c9160c85160e01c80850390604b198201906000978896863b15610105575b50853b61005e575b88886080209060005246602052436040524260605260805260a06000f35b602095969850600094939291604c91601f1960bf8b011695630b135d3f60e11b8752600487015260406024870152836044870152010160648401398280526064602c19909101601f19160190845afa926002810193630b135d3f60e11b600051149060203d1416166100d5575b8080808080610040565b600391935060006001819201948180523c61ef0160005160f01c146100fc575b38806100cb565b600691506100f5565b80156100385798506000808360cc8260039d5af1610124575b38610038565b88965061011e56";

/// Five words: verdict, chain, block, its time, and what was asked.
const ANSWER: usize = 160;

/// The chain on which keys have their subjects (`did:pkh:eip155:1:…`). Delegated code there would have the
/// subject of the key that delegated, for every chain; so there it is never a contract.
const CHAIN_OF_KEYS: u64 = 1;

/// A contract account, what it is to have signed, and the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct ContractQuestion {
    account: Account,
    address: [u8; 20],
    digest: [u8; 32],
    signature: Vec<u8>,
}

impl ContractQuestion {
    /// Whether `account`, whose address is `address`, signed `digest` by `signature`, which may be wrapped.
    /// `None` for one that is longer than may be, or wrapped otherwise than it should be.
    pub fn new(
        account: Account,
        address: [u8; 20],
        digest: [u8; 32],
        signature: Vec<u8>,
    ) -> Option<Self> {
        let fits = signature.len() <= MAX_CONTRACT_SIGNATURE;
        SignatureParts::read(&signature).filter(|_| fits)?;
        Some(Self { account, address, digest, signature })
    }

    /// The account.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// What is said to be signed.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The signature as it was sent, wrapped or not.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether the signature says how the account is deployed.
    pub fn is_wrapped(&self) -> bool {
        self.parts().deployment.is_some()
    }

    /// Whether the signature names a factory that is none of these.
    pub(super) fn names_a_factory_beside(&self, factories: &[[u8; 20]]) -> bool {
        self.parts().deployment.is_some_and(|named| !factories.contains(&named.factory))
    }

    fn parts(&self) -> SignatureParts<'_> {
        // `new` has read the same bytes.
        let whole = SignatureParts { signature: &self.signature, deployment: None };
        SignatureParts::read(&self.signature).unwrap_or(whole)
    }

    /// The input of the program, as `checker.yul` says. No factory is called but one of these.
    fn input(&self, factories: &[[u8; 20]]) -> Vec<u8> {
        let parts = self.parts();
        let nothing = Deployment { factory: [0; 20], call: &[] };
        let listed = parts.deployment.filter(|named| factories.contains(&named.factory));
        let deployment = listed.unwrap_or(nothing);
        let length = u32::try_from(deployment.call.len()).unwrap_or(u32::MAX);
        let input = [
            &self.address[..],
            &self.digest,
            &deployment.factory,
            &length.to_be_bytes(),
            deployment.call,
            parts.signature,
        ];
        input.concat()
    }
}

impl fmt::Debug for ContractQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContractQuestion({})", self.account)
    }
}

/// Witness that enough nodes of an account's chain said that the account takes a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedSignature {
    question: ContractQuestion,
    tag: BlockTag,
    block: Block,
    delegated: bool,
}

impl ApprovedSignature {
    /// The account.
    pub const fn account(&self) -> &Account {
        &self.question.account
    }

    /// What it signed.
    pub const fn digest(&self) -> [u8; 32] {
        self.question.digest
    }

    /// The signature as it was sent, wrapped or not.
    pub fn signature(&self) -> &[u8] {
        &self.question.signature
    }

    /// Whether it is code that the key of the account's address has delegated to.
    pub const fn is_delegated(&self) -> bool {
        self.delegated
    }

    /// The kind of block that was asked for.
    pub const fn tag(&self) -> BlockTag {
        self.tag
    }

    /// The lowest block at which a node of the quorum was asked.
    pub const fn block(&self) -> Block {
        self.block
    }
}

/// What a node says of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the signature, as it is or once it is deployed.
    Takes,
    /// It is code that a key has delegated to, and takes the signature.
    DelegatedTakes,
    /// It does not, or is not there and was not deployed.
    Refuses,
    /// There is none.
    NoContract,
}

/// What an answer must be the answer to.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The id of the request.
    pub id: u64,
    /// The number of the chain (EIP-155).
    pub chain: u64,
    /// The Keccak-256 of the program's input.
    pub input: [u8; 32],
    /// The second before which no block may have been made.
    pub not_before: u64,
}

/// Asks the nodes of a chain.
pub(super) async fn ask(
    chain: &Chain,
    question: ContractQuestion,
    asking: &Asking,
) -> Result<Said<ApprovedSignature>, AskError> {
    let settings = &chain.settings;
    let reference = match question.account() {
        Account::Chain(account) => account.chain().reference().parse::<u64>().ok(),
        Account::Key(_) => None,
    };
    let number = reference.ok_or(AskError::Unconfigured)?;
    let (tag, input) = (settings.block, question.input(&settings.factories));
    let asked = Asked {
        id: asking.id,
        chain: number,
        input: Keccak256::digest(&input).into(),
        not_before: asking.now.minus(settings.max_block_age).as_unix(),
    };
    let program = format!("0x{CHECKER}{}", hex::encode(input));
    // Contracts can tell a simulation by an origin of zero, and answer it as they please.
    let from = format!("0x{}", hex::encode(asking.from));
    let request = json!({
        "jsonrpc": "2.0",
        "id": asked.id,
        "method": "eth_call",
        "params": [{"from": from, "data": program}, tag.name()],
    });
    let request = Bytes::from(request.to_string());
    let agreed = chain.agree(asking, question.account(), |node| {
        let request = request.clone();
        async move {
            let body = node.exchange(request).await?;
            let (said, block) = verdict(&body, &asked).map_err(NodeError::from)?;
            Ok(Reading { said, block })
        }
    });
    let Reading { said, block } = agreed.await?;
    let taken = |delegated| Said::Yes(ApprovedSignature { question, tag, block, delegated });
    Ok(match said {
        Verdict::Takes => taken(false),
        Verdict::DelegatedTakes if settings.delegated && number != CHAIN_OF_KEYS => taken(true),
        Verdict::Refuses => Said::No,
        Verdict::DelegatedTakes | Verdict::NoContract => Said::NoContract,
    })
}

/// What a body says: the verdict, and the block that it was given at.
///
/// # Errors
/// [`AnswerError`] for anything but the five words of a node of the chain, about what was asked.
pub fn verdict(body: &[u8], asked: &Asked) -> Result<(Verdict, Block), AnswerError> {
    let Answer::Result(result) = answer::read(body, asked.id)? else {
        return Err(AnswerError::Refused);
    };
    let text: Cow<'_, str> = serde_json::from_str(result.get()).map_err(|_| AnswerError::Result)?;
    let mut words = [0; ANSWER];
    text.strip_prefix("0x")
        .and_then(|digits| hex::decode_to_slice(digits, &mut words).ok())
        .ok_or(AnswerError::Result)?;
    let (words, _) = words.as_chunks::<32>();
    let [said, chain, block, time, input] = words else { return Err(AnswerError::Result) };
    if small(chain) != Some(asked.chain) {
        return Err(AnswerError::OtherChain);
    }
    if *input != asked.input {
        return Err(AnswerError::OtherQuestion);
    }
    let time = small(time).ok_or(AnswerError::Result)?;
    if time < asked.not_before {
        return Err(AnswerError::Behind);
    }
    let said = match small(said).ok_or(AnswerError::Result)? {
        0 => Verdict::NoContract,
        1 | 4 => Verdict::Takes,
        2 | 3 | 5 => Verdict::Refuses,
        6 => Verdict::DelegatedTakes,
        _ => return Err(AnswerError::Result),
    };
    let number = small(block).ok_or(AnswerError::Result)?;
    Ok((said, Block { number, time: Some(Timestamp::from_unix(time)) }))
}

/// A word that is a number of 64 bits.
fn small(word: &[u8]) -> Option<u64> {
    let (high, low) = word.split_last_chunk::<8>()?;
    high.iter().all(|byte| *byte == 0).then_some(u64::from_be_bytes(*low))
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
