//! Sign in with Ethereum: an externally owned account, its EIP-55 address, its `personal_sign`.
//!
//! The signer is recovered from the signature over the received bytes, and its address compared
//! with the one that the text names: 20 bytes with 20 bytes. Recovery alone proves nothing, since
//! every signature recovers to some key. The text is read twice, by our grammar and by the `siwe`
//! crate, and refused where the two differ, so that no difference between parsers can be used. That
//! crate's own `verify` is never called: it hashes its own rendering.
//!
//! The address must be in EIP-55 form, as EIP-4361 and its reference parsers demand; `/challenge`
//! takes every uniform case and writes that form.
//!
//! Whether a contract at the address takes a signature that is not its key's is a question to the chain,
//! which is made here and asked elsewhere. A signature by the address's own key never becomes one, nor does
//! one that its key made over this text and that has another S or v than wallets write, wrapped or not.
//!
//! Specs: EIP-4361, EIP-191, EIP-55, ERC-2098, EIP-2 (low S), ERC-1271, ERC-6492.

use countersign_sdk::account::{Account, ChainAccount, ChainId};
use countersign_sdk::key::secp256k1::with_other_s;
use countersign_sdk::key::{Curve, PublicKey, recover_secp256k1};
use sha3::{Digest, Keccak256};

use super::accounts::{Accounts, Spelling, other_namespace};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, MAX_SIGNATURE, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    refused_signature,
};
use super::on_chain::Question;
use crate::model::reason::{Reason, Refusal};
use crate::rpc::{ContractQuestion, MAX_CONTRACT_SIGNATURE, SignatureParts};

/// The canonical chain of the namespace, under which a subject stands.
const CANONICAL_CHAIN: &str = "1";

const NAMESPACE: &str = "eip155";

const SIGNATURE_SHAPE: &str =
    "a signature is 0x and 130 hex digits (r, s, v with v 0, 1, 27 or 28), or 128 (ERC-2098)";

/// The format `siwe`.
#[derive(Clone, Copy, Debug)]
pub struct Siwe;

impl WalletFormat for Siwe {
    fn name(&self) -> &'static str {
        "siwe"
    }

    fn accounts(&self) -> &dyn Accounts {
        self
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::SIWE
    }

    fn read<'a>(&self, text: &'a str) -> Result<UnverifiedMessage<'a>, Refusal> {
        let message = caip122::parse(self.profile(), text)?;
        if second_reading_agrees(&message) {
            return Ok(message);
        }
        Err(Refusal::new(
            Reason::MalformedMessage,
            "the message is not one that EIP-4361 parsers agree on; is its address in EIP-55 form?",
        ))
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        if key.curve() != Curve::Secp256k1 {
            return Vec::new();
        }
        let account = named(CANONICAL_CHAIN, &checksummed(&address_of(key)));
        account.iter().map(Account::to_did).collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let key = recover(message.text(), evidence.signature)?;
        let address = message.fields().address;
        if address_bytes(address) != Some(address_of(&key)) {
            return Err(mismatch());
        }
        let subject = self.subject_of(account)?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }

    /// A signature that is not the address's key's may be a contract's, in whatever form the contract
    /// knows: a high S or another v are its own affair. Those of the address's own key stay refused,
    /// wrapped as ERC-6492 says or not: code that it delegated to may take them for its own.
    fn question(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
        refused: Refusal,
    ) -> Result<Question, Refusal> {
        let question = || {
            let digits = evidence.signature.strip_prefix("0x")?;
            let bytes = (digits.len() <= MAX_CONTRACT_SIGNATURE * 2).then(|| hex::decode(digits));
            let address = address_bytes(message.fields().address)?;
            let (digest, bytes) = (digest(message.text()), bytes?.ok()?);
            let parts = SignatureParts::read(&bytes)?;
            if is_by_the_key_of(&address, &digest, parts.signature) {
                return None;
            }
            ContractQuestion::new(account.clone(), address, digest, bytes)
        };
        question().map(Box::new).map(Question::Contract).ok_or(refused)
    }
}

impl Accounts for Siwe {
    fn namespaces(&self) -> &'static [&'static str] {
        &[NAMESPACE]
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        let Account::Chain(chain_account) = account else {
            return Err(other_namespace(self.name(), account));
        };
        if account.namespace() != NAMESPACE {
            return Err(other_namespace(self.name(), account));
        }
        let address = chain_account.address();
        let bytes = address_bytes(address).ok_or_else(invalid_address)?;
        let canonical = checksummed(&bytes);
        let digits = address.get(2..).unwrap_or_default();
        let uniform = !digits.bytes().any(|b| b.is_ascii_lowercase())
            || !digits.bytes().any(|b| b.is_ascii_uppercase());
        if canonical != address && !uniform {
            return Err(invalid_address());
        }
        named(chain_account.chain().reference(), &canonical)
    }

    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        let reference = chain.reference();
        let ours = chain.namespace() == NAMESPACE && is_chain_number(reference);
        ours.then(|| chain.clone())
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        match account {
            Account::Chain(account) => Ok(named(CANONICAL_CHAIN, account.address())?.to_did()),
            Account::Key(_) => Err(other_namespace(self.name(), account)),
        }
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        match account {
            Account::Chain(account) if account.chain().namespace() == NAMESPACE => Some(Spelling {
                address: account.address(),
                chain_id: Some(account.chain().reference()),
            }),
            Account::Chain(_) | Account::Key(_) => None,
        }
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        let address = message.fields().address;
        let bytes = address_bytes(address).ok_or_else(invalid_address)?;
        if checksummed(&bytes) != address {
            return Err(invalid_address());
        }
        named(message.fields().chain_id.unwrap_or_default(), address)
    }
}

/// The name of the method that proves a contract, in place of a format's.
pub const CONTRACT_METHOD: &str = "eip1271";

/// The digest of a `personal_sign` of `text` (EIP-191 version `E`).
fn digest(text: &str) -> [u8; 32] {
    let digest = Keccak256::new()
        .chain_update(b"\x19Ethereum Signed Message:\n")
        .chain_update(text.len().to_string())
        .chain_update(text)
        .finalize();
    digest.into()
}

/// The key that made a `personal_sign` signature over `text` (EIP-191 version `E`).
///
/// # Errors
/// `signature_malformed`, `malleable_signature`, or `signature_mismatch` where no key fits.
pub fn recover(text: &str, signature: &str) -> Result<PublicKey, Refusal> {
    let (rs, recovery_id) = decode_signature(signature)?;
    recover_secp256k1(&digest(text), &rs, recovery_id).map_err(refused_signature)
}

/// Whether 64 or 65 bytes are an ECDSA signature over `digest` by the key of `address`, whatever their S
/// and v: with the other of its two S, each signature is one of the same key.
fn is_by_the_key_of(address: &[u8; 20], digest: &[u8; 32], signature: &[u8]) -> bool {
    let Some((rs, rest)) = signature.split_first_chunk::<64>().filter(|(_, rest)| rest.len() < 2)
    else {
        return false;
    };
    let mut low = *rs;
    if let (true, Some(top)) = (rest.is_empty(), low.get_mut(32)) {
        // ERC-2098 keeps the parity there.
        *top &= 0x7f;
    }
    let masked = (low != *rs).then_some(low);
    [Some(*rs), masked].into_iter().flatten().flat_map(|rs| [rs, with_other_s(&rs)]).any(|rs| {
        [0, 1].into_iter().any(|id| {
            recover_secp256k1(digest, &rs, id).is_ok_and(|key| address_of(&key) == *address)
        })
    })
}

/// The address of a secp256k1 key: the last 20 bytes of the Keccak-256 of its point.
pub fn address_of(key: &PublicKey) -> [u8; 20] {
    // Without the leading 0x04 of the SEC 1 encoding.
    let point = key.as_bytes().get(1..).unwrap_or_default();
    let hash: [u8; 32] = Keccak256::digest(point).into();
    let mut address = [0; 20];
    address.copy_from_slice(hash.split_at(12).1);
    address
}

/// The 20 bytes of `0x` and 40 hex digits of any case.
pub fn address_bytes(address: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    hex::decode_to_slice(address.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(bytes)
}

/// The EIP-55 spelling of an address.
pub fn checksummed(address: &[u8; 20]) -> String {
    let mut digits = [0; 40];
    // Never fails: 40 digits hold 20 bytes.
    let _ = hex::encode_to_slice(address, &mut digits);
    let hash: [u8; 32] = Keccak256::digest(digits).into();
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(42);
    text.push_str("0x");
    for (digit, nibble) in digits.iter().zip(nibbles) {
        let upper = if nibble >= 8 { digit.to_ascii_uppercase() } else { *digit };
        text.push(char::from(upper));
    }
    text
}

fn decode_signature(text: &str) -> Result<([u8; 64], u8), Refusal> {
    let malformed = || malformed_signature(SIGNATURE_SHAPE);
    if text.len() > MAX_SIGNATURE {
        return Err(malformed());
    }
    let digits = text.strip_prefix("0x").ok_or_else(malformed)?;
    let mut bytes = [0; 65];
    let used = bytes.get_mut(..digits.len() / 2).ok_or_else(malformed)?;
    hex::decode_to_slice(digits, used).map_err(|_| malformed())?;
    let length = used.len();
    let [rs @ .., v] = bytes;
    match (length, v) {
        (65, 0 | 27) => Ok((rs, 0)),
        (65, 1 | 28) => Ok((rs, 1)),
        (64, _) => {
            // ERC-2098: the parity stands in the top bit of s, which low S leaves free.
            let mut rs = rs;
            let parity = rs.get_mut(32).map_or(0, |top| {
                let parity = *top >> 7;
                *top &= 0x7f;
                parity
            });
            Ok((rs, parity))
        }
        _ => Err(malformed()),
    }
}

/// An EIP-155 chain id: a decimal number without leading zeros.
fn is_chain_number(text: &str) -> bool {
    let decimal = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    decimal && text.parse::<u64>().is_ok()
}

fn named(chain: &str, address: &str) -> Result<Account, Refusal> {
    if !is_chain_number(chain) {
        return Err(Refusal::new(
            Reason::AccountInvalid,
            "a chain of eip155 is a decimal number without leading zeros",
        ));
    }
    let chain = ChainId::new(NAMESPACE, chain);
    chain
        .and_then(|chain| ChainAccount::new(chain, address))
        .map(Account::Chain)
        .map_err(|_| invalid_address())
}

fn invalid_address() -> Refusal {
    Refusal::new(
        Reason::AccountInvalid,
        "an Ethereum address is 0x and 40 hex digits in the case of its EIP-55 checksum",
    )
}

/// Whether the `siwe` crate reads every value as we do.
fn second_reading_agrees(message: &UnverifiedMessage<'_>) -> bool {
    let fields = message.fields();
    // That parser knows no scheme before the domain.
    let skipped = fields.scheme.map_or(0, |scheme| scheme.len() + "://".len());
    let Some(text) = message.text().get(skipped..) else {
        return false;
    };
    let Ok(second) = text.parse::<::siwe::Message>() else {
        return false;
    };
    let same_time =
        |ours: Option<caip122::Moment>, theirs: Option<&::siwe::TimeStamp>| match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours.is(*theirs.as_ref()),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
    second.domain.as_str() == fields.domain
        && Some(second.address) == address_bytes(fields.address)
        && second.statement.as_deref() == fields.statement
        && Some(second.uri.as_str()) == fields.uri
        && fields.chain_id.is_some_and(|id| id.parse() == Ok(second.chain_id))
        && Some(second.nonce.as_str()) == fields.nonce
        && same_time(message.issued_at(), Some(&second.issued_at))
        && same_time(message.expiration_time(), second.expiration_time.as_ref())
        && same_time(message.not_before(), second.not_before.as_ref())
        && second.request_id.as_deref() == fields.request_id
        && second.resources.len() == message.resources().len()
        && second
            .resources
            .iter()
            .zip(message.resources())
            .all(|(theirs, ours)| theirs.as_str() == *ours)
}

#[cfg(test)]
#[path = "siwe_tests.rs"]
mod tests;
