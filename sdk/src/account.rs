//! Who a key speaks for: CAIP-2 chains, CAIP-10 accounts, and `did:key` for raw keys.
//!
//! This file knows the shapes of CAIP-2 and CAIP-10 and nothing of any chain: whether an address
//! is a right one on its chain is for the wallet format to say.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::key::{KeyError, PublicKey};

/// The longest account text: 8 + 1 + 32 + 1 + 128 characters (CAIP-10).
const MAX_ACCOUNT_BYTES: usize = 170;

/// Why a text is not an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Not `namespace:reference:address` in the characters and lengths of CAIP-10.
    #[error("an account is CAIP-10, such as eip155:1:0x…, or a did:key")]
    Shape,
    /// A `did:key` that holds no key of this project.
    #[error("not a did:key of an Ed25519 or secp256k1 key: {0}")]
    Key(#[from] KeyError),
}

/// A chain by its CAIP-2 name, such as `eip155:1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId {
    namespace: String,
    reference: String,
}

impl ChainId {
    /// A chain from its two parts.
    ///
    /// # Errors
    /// [`AccountError::Shape`] when a part breaks the grammar of CAIP-2.
    pub fn new(namespace: &str, reference: &str) -> Result<Self, AccountError> {
        let namespace_fits = (3..=8).contains(&namespace.len())
            && namespace.bytes().all(|b| matches!(b, b'-' | b'a'..=b'z' | b'0'..=b'9'));
        let reference_fits = (1..=32).contains(&reference.len())
            && reference.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !namespace_fits || !reference_fits {
            return Err(AccountError::Shape);
        }
        Ok(Self { namespace: namespace.to_owned(), reference: reference.to_owned() })
    }

    /// The namespace, such as `eip155`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The reference within the namespace, such as `1`.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.reference)
    }
}

impl FromStr for ChainId {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, reference) = text.split_once(':').ok_or(AccountError::Shape)?;
        Self::new(namespace, reference)
    }
}

/// An account on a chain (CAIP-10), such as `eip155:1:0xAb…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainAccount {
    chain: ChainId,
    address: String,
}

impl ChainAccount {
    /// An account from its chain and address.
    ///
    /// # Errors
    /// [`AccountError::Shape`] when the address breaks the grammar of CAIP-10.
    pub fn new(chain: ChainId, address: &str) -> Result<Self, AccountError> {
        let fits = (1..=128).contains(&address.len())
            && address
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'%'));
        if !fits {
            return Err(AccountError::Shape);
        }
        Ok(Self { chain, address: address.to_owned() })
    }

    /// The chain.
    pub const fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// The address, as it was written.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for ChainAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain, self.address)
    }
}

/// A raw key that is its own name: an Ed25519 or secp256k1 key and its `did:key`.
///
/// The key is read once and goes with the name from then on; equality and order are the name's.
#[derive(Clone, Debug)]
pub struct KeyAccount {
    did: String,
    key: PublicKey,
}

impl KeyAccount {
    /// Reads a `did:key`, of which each key has one spelling.
    ///
    /// # Errors
    /// [`AccountError::Key`].
    pub fn parse(did: &str) -> Result<Self, AccountError> {
        Ok(Self { key: PublicKey::from_did_key(did)?, did: did.to_owned() })
    }

    /// The `did:key`.
    pub fn did(&self) -> &str {
        &self.did
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl PartialEq for KeyAccount {
    fn eq(&self, other: &Self) -> bool {
        self.did == other.did
    }
}

impl Eq for KeyAccount {}

impl PartialOrd for KeyAccount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyAccount {
    fn cmp(&self, other: &Self) -> Ordering {
        self.did.cmp(&other.did)
    }
}

impl Hash for KeyAccount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.did.hash(state);
    }
}

/// Who signs in: an account on a chain, or a raw key that is its own name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// A wallet's account.
    Chain(ChainAccount),
    /// A raw key.
    Key(KeyAccount),
}

impl Account {
    /// The account of a raw key; `None` for P-256, which names no subject.
    pub fn of_key(key: &PublicKey) -> Option<Self> {
        let did = key.to_did_key()?;
        let key = key.clone();
        Some(Self::Key(KeyAccount { did, key }))
    }

    /// The namespace that selects message formats: CAIP-2's, or `did:key`.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Chain(account) => account.chain.namespace(),
            Self::Key(_) => "did:key",
        }
    }

    /// The account as a decentralised identifier, which is what `sub` holds: `did:pkh:<CAIP-10>`,
    /// or the `did:key` itself.
    pub fn to_did(&self) -> String {
        match self {
            Self::Chain(account) => format!("did:pkh:{account}"),
            Self::Key(key) => key.did.clone(),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(account) => account.fmt(f),
            Self::Key(key) => f.write_str(&key.did),
        }
    }
}

impl FromStr for Account {
    type Err = AccountError;

    /// Reads CAIP-10 or `did:key`. The address is checked for shape alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_ACCOUNT_BYTES {
            return Err(AccountError::Shape);
        }
        if text.starts_with("did:key:") {
            return KeyAccount::parse(text).map(Self::Key);
        }
        let (chain, address) = text.rsplit_once(':').ok_or(AccountError::Shape)?;
        Ok(Self::Chain(ChainAccount::new(chain.parse()?, address)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_caip10_and_did_key() {
        for text in [
            "eip155:1:0xab16a96D359eC26a11e2C2b3d8f8B8942d5Bfcdb",
            "bip122:000000000019d6689c085ae165831e93:128Lkh3S7CkDTBZ8W7BbpsN3YYizJMp8p6",
            "did:key:z6Mkr3y8hdfPpDXsCiq9BwESt82x4tQBFtMVc5igofhwk2Pm",
        ] {
            assert_eq!(text.parse::<Account>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for text in [
            "",
            "eip155:1",
            "eip155:1:",
            "EIP155:1:0xab",
            "eip155:1:0xab cd",
            "e:1:0x",
            "did:key:z",
        ] {
            assert!(text.parse::<Account>().is_err(), "{text}");
        }
    }
}
