//! The three wallets whose key is in this process: Ethereum, Solana, and a raw key.
//!
//! For agents, command lines and tests. Each signs exactly what the wallet of its chain signs:
//! EIP-191 `personal_sign` over keccak-256, Ed25519 over the bytes, and for a raw key Ed25519 over
//! the bytes or ECDSA over their SHA-256 with the low S. The address of an Ethereum account is
//! written as EIP-55 has it.

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha3::{Digest as _, Keccak256};

use super::wallet::Wallet;
use crate::account::{Account, AccountError, ChainAccount, ChainId};
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// Solana's main network, as CAIP-2 names it: the first 32 characters of its genesis hash.
const SOLANA_MAINNET: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";

/// Why a key is not a wallet of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletKeyError {
    /// The chain's accounts are keys of another curve.
    #[error("this wallet needs a key on {0}")]
    Curve(&'static str),
    /// The chain's reference is not one of CAIP-2.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// A wallet whose key is in memory. Signs without asking anybody.
pub struct InMemoryWallet {
    signer: InMemorySigner,
    account: Account,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Ethereum,
    Solana,
    Raw,
}

impl InMemoryWallet {
    /// An externally owned Ethereum account on the chain `eip155:<chain_id>`.
    ///
    /// # Errors
    /// [`WalletKeyError::Curve`] unless the key is a secp256k1 one.
    pub fn ethereum(signer: InMemorySigner, chain_id: u64) -> Result<Self, WalletKeyError> {
        let address = ethereum_address(signer.public_key())
            .ok_or(WalletKeyError::Curve(Curve::Secp256k1.name()))?;
        let chain = ChainId::new("eip155", &chain_id.to_string())?;
        let account = Account::Chain(ChainAccount::new(chain, &address)?);
        Ok(Self { signer, account, kind: Kind::Ethereum })
    }

    /// A Solana account on the main network.
    ///
    /// # Errors
    /// [`WalletKeyError::Curve`] unless the key is an Ed25519 one.
    pub fn solana(signer: InMemorySigner) -> Result<Self, WalletKeyError> {
        let key = signer.public_key();
        if key.curve() != Curve::Ed25519 {
            return Err(WalletKeyError::Curve(Curve::Ed25519.name()));
        }
        let address = bs58::encode(key.as_bytes()).into_string();
        let chain = ChainId::new("solana", SOLANA_MAINNET)?;
        let account = Account::Chain(ChainAccount::new(chain, &address)?);
        Ok(Self { signer, account, kind: Kind::Solana })
    }

    /// A raw key that is its own account, `did:key:…`.
    ///
    /// # Errors
    /// [`WalletKeyError::Curve`] for P-256, which names no account.
    pub fn raw(signer: InMemorySigner) -> Result<Self, WalletKeyError> {
        let account = Account::of_key(signer.public_key())
            .ok_or(WalletKeyError::Curve("Ed25519 or secp256k1"))?;
        Ok(Self { signer, account, kind: Kind::Raw })
    }
}

#[async_trait]
impl Wallet for InMemoryWallet {
    fn account(&self) -> &Account {
        &self.account
    }

    fn format(&self) -> &str {
        match self.kind {
            Kind::Ethereum => "siwe",
            Kind::Solana => "siws",
            Kind::Raw => "key",
        }
    }

    async fn sign_message(&self, message: &str) -> Result<String, SignerError> {
        match self.kind {
            Kind::Ethereum => {
                let digest = personal_sign_digest(message);
                let (signature, id) = self.signer.sign_digest_recoverable(&digest)?;
                Ok(format!("0x{}{:02x}", hex::encode(signature), 27 + id))
            }
            Kind::Solana => {
                let signature = self.signer.sign_now(message.as_bytes())?;
                Ok(bs58::encode(signature).into_string())
            }
            // The JWS signature of either curve is the one that this format defines.
            Kind::Raw => {
                let signature = self.signer.sign_now(message.as_bytes())?;
                Ok(URL_SAFE_NO_PAD.encode(signature))
            }
        }
    }

    fn signs_unattended(&self) -> bool {
        true
    }
}

impl fmt::Debug for InMemoryWallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InMemoryWallet({})", self.account)
    }
}

/// What `personal_sign` signs (EIP-191, version 0x45): the length is that of the bytes.
fn personal_sign_digest(message: &str) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(b"\x19Ethereum Signed Message:\n");
    hash.update(message.len().to_string());
    hash.update(message);
    hash.finalize().into()
}

/// The address of a secp256k1 key with the checksum of EIP-55; `None` for another curve.
fn ethereum_address(key: &PublicKey) -> Option<String> {
    let point = match key.curve() {
        Curve::Secp256k1 => key.as_bytes().get(1..)?,
        Curve::Ed25519 | Curve::P256 => return None,
    };
    Some(checksummed(&hex::encode(Keccak256::digest(point).get(12..)?)))
}

/// Whether an address is written with its checksum (EIP-55).
pub(super) fn is_checksummed(address: &str) -> bool {
    let digits = address.strip_prefix("0x").unwrap_or_default();
    checksummed(&digits.to_ascii_lowercase()) == address
}

fn checksummed(lower: &str) -> String {
    // A letter is upper case where the hash of the text has a digit of 8 or more in its place.
    let checksum = hex::encode(Keccak256::digest(lower));
    let cased = lower
        .chars()
        .zip(checksum.bytes())
        .map(|(letter, check)| if check >= b'8' { letter.to_ascii_uppercase() } else { letter });
    ["0x".to_owned(), cased.collect()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;
    use crate::key::recover_secp256k1;

    /// The first account of the development mnemonic that every Ethereum tool ships.
    const SECRET: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    fn ethereum() -> InMemoryWallet {
        let signer = InMemorySigner::from_hex(Curve::Secp256k1, SECRET).unwrap();
        InMemoryWallet::ethereum(signer, 1).unwrap()
    }

    #[tokio::test]
    async fn personal_sign_recovers_to_the_checksummed_account() {
        let wallet = ethereum();
        assert_eq!(
            wallet.account().to_string(),
            "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        let text = wallet.sign_message("héllo").await.unwrap();
        let bytes = hex::decode(text.strip_prefix("0x").unwrap()).unwrap();
        let (v, rs) = bytes.split_last().unwrap();
        let digest = personal_sign_digest("héllo");
        let key = recover_secp256k1(&digest, rs.try_into().unwrap(), v - 27).unwrap();
        assert_eq!(&key, wallet.signer.public_key());
    }

    #[test]
    fn the_digest_is_the_one_of_eip191() {
        // keccak-256 of "\x19Ethereum Signed Message:\n11hello world".
        assert_eq!(
            hex::encode(personal_sign_digest("hello world")),
            "d9eba16ed0ecae432b71fe008c98cc872bb4cc214d3220a36f365326cf807d68"
        );
    }

    #[tokio::test]
    async fn raw_and_solana_signatures_are_of_the_account() {
        for curve in [Curve::Ed25519, Curve::Secp256k1] {
            let signer = InMemorySigner::generate(curve, &OsEntropy).unwrap();
            let wallet = InMemoryWallet::raw(signer).unwrap();
            let text = wallet.sign_message("text").await.unwrap();
            let signature = URL_SAFE_NO_PAD.decode(text).unwrap();
            let key = PublicKey::from_did_key(&wallet.account().to_string()).unwrap();
            assert_eq!(key.verify_wallet(b"text", &signature), Ok(()));
        }
        let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
        let wallet = InMemoryWallet::solana(signer).unwrap();
        let text = wallet.sign_message("text").await.unwrap();
        let signature = bs58::decode(text).into_vec().unwrap();
        let key = wallet.signer.public_key();
        assert_eq!(key.verify_wallet(b"text", &signature), Ok(()));
    }

    #[test]
    fn a_wallet_wants_its_own_curve() {
        let key = |curve| InMemorySigner::generate(curve, &OsEntropy).unwrap();
        assert!(InMemoryWallet::ethereum(key(Curve::Ed25519), 1).is_err());
        assert!(InMemoryWallet::solana(key(Curve::Secp256k1)).is_err());
        assert!(InMemoryWallet::raw(key(Curve::P256)).is_err());
    }
}
