//! Whether a contract takes a signature for its own is asked in one simulated call that deploys, asks and tells its block.
//!
//! A node is handed a small program as the code of a contract to be (`checker.yul`), runs it, and
//! gives back what it returns. The program looks whether the account has code, calls the factory where
//! it has none and the signature says how, asks `isValidSignature`, and takes nothing for a yes but the
//! magic value in exactly one word. A contract that reverts or runs out of gas is a no of the
//! contract's; an error of the node is no answer. The chain's id is part of what comes back, so
//! that a node of another chain is found out.
//!
//! Specs: ERC-1271, ERC-6492, EIP-7702, EIP-1474 (`eth_call`).

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use countersign_sdk::account::Account;
use serde_json::json;

use super::answer::{self, Answer, AnswerError, ID};
use super::deployment::{Deployment, SignatureParts};
use super::node::NodeError;
use super::quorum::{Chain, Reading};
use super::{AskError, BlockTag, Said};

/// The longest signature for a contract that is read, in bytes, with what ERC-6492 wraps around it.
pub const MAX_CONTRACT_SIGNATURE: usize = 4096;

/// What `checker.yul` compiles to; a test compiles it again and compares.
const CHECKER: &str = "60f1803803808260803960805160601c6094519060b45160601c9160c85160e01c9485850390604b198201906000968796863b1560ce575b50853b6050575b87600052466020524360405260606000f35b6020975097604c916000979960bf601f1991011695630b135d3f60e11b8752600487015260406024870152836044870152010160648401398380526064602c19909101601f191601915afa906002810191630b135d3f60e11b600051149060203d14161660c4575b8080808080808796603e565b60019150013860b8565b801560375797506000808a60cc8260039c5af160ea575b386037565b87965060e556";

/// Three words: verdict, chain, block.
const ANSWER: usize = 96;

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

    /// Whether the signature says how the account is deployed.
    pub fn is_wrapped(&self) -> bool {
        self.parts().deployment.is_some()
    }

    fn parts(&self) -> SignatureParts<'_> {
        // `new` has read the same bytes.
        let whole = SignatureParts { signature: &self.signature, deployment: None };
        SignatureParts::read(&self.signature).unwrap_or(whole)
    }

    /// The program and its input, as `checker.yul` says.
    fn program(&self) -> String {
        let parts = self.parts();
        let nothing = Deployment { factory: [0; 20], call: &[] };
        let deployment = parts.deployment.unwrap_or(nothing);
        let length = u32::try_from(deployment.call.len()).unwrap_or(u32::MAX);
        let input = [
            &self.address[..],
            &self.digest,
            &deployment.factory,
            &length.to_be_bytes(),
            deployment.call,
            parts.signature,
        ];
        format!("0x{CHECKER}{}", hex::encode(input.concat()))
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
    block: u64,
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

    /// The kind of block that was asked for.
    pub const fn tag(&self) -> BlockTag {
        self.tag
    }

    /// The lowest number of a block at which a node of the quorum was asked.
    pub const fn block(&self) -> u64 {
        self.block
    }
}

/// What a node says of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the signature, as it is or once it is deployed.
    Takes,
    /// It does not, or is not there and was not deployed.
    Refuses,
    /// There is none.
    NoContract,
}

/// Asks the nodes of a chain.
pub(super) async fn ask(
    chain: &Chain,
    question: ContractQuestion,
) -> Result<Said<ApprovedSignature>, AskError> {
    if let Some(deployment) = question.parts().deployment
        && !chain.settings.factories.contains(&deployment.factory)
    {
        return Err(AskError::Factory);
    }
    let reference = match question.account() {
        Account::Chain(account) => account.chain().reference().parse::<u64>().ok(),
        Account::Key(_) => None,
    };
    let number = reference.ok_or(AskError::Unconfigured)?;
    let tag = chain.settings.block;
    let request = json!({
        "jsonrpc": "2.0",
        "id": ID,
        "method": "eth_call",
        "params": [{"data": question.program()}, tag.name()],
    });
    let request = Bytes::from(request.to_string());
    let agreed = chain.agree(|node| {
        let request = request.clone();
        async move {
            let body = node.exchange(request).await?;
            let (said, block) = verdict(&body, number).map_err(NodeError::from)?;
            Ok(Reading { said, block })
        }
    });
    let Reading { said, block } = agreed.await?;
    Ok(match said {
        Verdict::Takes => Said::Yes(ApprovedSignature { question, tag, block }),
        Verdict::Refuses => Said::No,
        Verdict::NoContract => Said::NoContract,
    })
}

/// What a body says: the verdict, and the block that it was given at.
///
/// # Errors
/// [`AnswerError`] for anything but the three words of a node of the chain `number`.
pub fn verdict(body: &[u8], number: u64) -> Result<(Verdict, u64), AnswerError> {
    let Answer::Result(result) = answer::read(body)? else {
        return Err(AnswerError::Refused);
    };
    let text: Cow<'_, str> = serde_json::from_str(result.get()).map_err(|_| AnswerError::Result)?;
    let mut words = [0; ANSWER];
    text.strip_prefix("0x")
        .and_then(|digits| hex::decode_to_slice(digits, &mut words).ok())
        .ok_or(AnswerError::Result)?;
    let (said, rest) = words.split_at(32);
    let (chain, block) = rest.split_at(32);
    if small(chain) != Some(number) {
        return Err(AnswerError::OtherChain);
    }
    let said = match small(said).ok_or(AnswerError::Result)? {
        0 => Verdict::NoContract,
        1 | 4 => Verdict::Takes,
        2 | 3 | 5 => Verdict::Refuses,
        _ => return Err(AnswerError::Result),
    };
    Ok((said, small(block).ok_or(AnswerError::Result)?))
}

/// A word that is a number of 64 bits.
fn small(word: &[u8]) -> Option<u64> {
    let (high, low) = word.split_last_chunk::<8>()?;
    high.iter().all(|byte| *byte == 0).then_some(u64::from_be_bytes(*low))
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
