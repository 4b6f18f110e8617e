//! Wallets whose key is in this process: one for each message format, behind one name.
//!
//! For agents, command lines and tests. Each signs exactly what the wallets of its chain sign, from
//! the text that was checked: a structure is built here, around that text, and never taken from the
//! server. A format is a [`Style`] and a line in [`STYLES`].

mod aptos;
mod bitcoin;
mod cosmos;
mod ethereum;
mod lightning;
mod near;
mod nostr;
mod raw;
mod solana;
mod ssh;
mod stellar;
mod stellar_transaction;
mod sui;
mod ton;
mod tron;

use std::fmt;

use async_trait::async_trait;

pub(super) use self::ethereum::is_checksummed;
use super::wallet::{ToSign, Wallet};
use crate::account::{Account, AccountError, ChainAccount, ChainId};
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// Every style, in the order in which they are listed to people.
static STYLES: &[&dyn Style] = &[
    &ethereum::Ethereum,
    &solana::Solana,
    &raw::Raw,
    &bitcoin::Bip322,
    &bitcoin::Bip137,
    &sui::Sui,
    &aptos::Aptos,
    &near::Near,
    &stellar::Stellar,
    &stellar_transaction::StellarTransaction,
    &ssh::Ssh,
    &ton::Ton,
    &tron::Tron,
    &cosmos::Cosmos,
    &nostr::Nostr,
    &raw::Sha256Text,
    &lightning::Lightning,
];

/// How the wallets of one message format name their account and sign.
trait Style: Send + Sync {
    /// The format's name.
    fn format(&self) -> &'static str;

    /// The account of `key`: of the kind and on the chain of `named`, where that is an account of
    /// this format, and else of the usual kind on the main network.
    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError>;

    /// The public key as the format sends it, where an address does not tell it.
    fn public_key(&self, _key: &PublicKey) -> Option<String> {
        None
    }

    /// Whether the account is the very key, so that it may also sign the requests.
    fn is_raw_key(&self) -> bool {
        false
    }

    /// The signature over a text that was checked, as the format sends it.
    fn sign(
        &self,
        signer: &InMemorySigner,
        account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError>;
}

/// Why a key is not a wallet of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletKeyError {
    /// There is no such message format, or none that a key in memory can sign.
    #[error("no key in memory signs messages of the format {0}")]
    Format(String),
    /// The chain's accounts are keys of another curve.
    #[error("this wallet needs a key on {0}")]
    Curve(&'static str),
    /// The chain's reference is not one of CAIP-2.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The account that was named is another one.
    #[error("the key controls {ours}, not {named}")]
    NotControlled {
        /// The account of the key.
        ours: String,
        /// The account that was named.
        named: String,
    },
}

/// A wallet whose key is in memory. Signs without asking anybody.
pub struct InMemoryWallet {
    signer: InMemorySigner,
    account: Account,
    public_key: Option<String>,
    style: &'static dyn Style,
}

impl InMemoryWallet {
    /// The names of the formats that there are wallets for.
    pub fn formats() -> impl Iterator<Item = &'static str> {
        STYLES.iter().map(|style| style.format())
    }

    /// Whether the account of a format is the very key, which may then sign requests as well.
    pub fn is_raw_key(format: &str) -> bool {
        STYLES.iter().any(|style| style.format() == format && style.is_raw_key())
    }

    /// A wallet that signs messages of `format`. A key can control several accounts: `named` says
    /// which of them, and which chain is signed for.
    ///
    /// # Errors
    /// [`WalletKeyError`]; `NotControlled` where `named` is not an account of the key.
    pub fn new(
        format: &str,
        signer: InMemorySigner,
        named: Option<&Account>,
    ) -> Result<Self, WalletKeyError> {
        let style = STYLES.iter().copied().find(|style| style.format() == format);
        let style = style.ok_or_else(|| WalletKeyError::Format(format.to_owned()))?;
        let account = style.account(signer.public_key(), named)?;
        if let Some(named) = named {
            let (ours, named) = (account.to_string(), named.to_string());
            // The case of an Ethereum address is a checksum.
            let checksum = account.namespace() == "eip155";
            if ours != named && !(checksum && ours.eq_ignore_ascii_case(&named)) {
                return Err(WalletKeyError::NotControlled { ours, named });
            }
        }
        let public_key = style.public_key(signer.public_key());
        Ok(Self { signer, account, public_key, style })
    }

    /// An externally owned Ethereum account on the chain `eip155:<chain_id>`.
    ///
    /// # Errors
    /// [`WalletKeyError::Curve`] unless the key is a secp256k1 one.
    pub fn ethereum(signer: InMemorySigner, chain_id: u64) -> Result<Self, WalletKeyError> {
        let account = ethereum::on_chain(signer.public_key(), &chain_id.to_string())?;
        Self::new("siwe", signer, Some(&account))
    }

    /// A Solana account on the main network.
    ///
    /// # Errors
    /// [`WalletKeyError::Curve`] unless the key is an Ed25519 one.
    pub fn solana(signer: InMemorySigner) -> Result<Self, WalletKeyError> {
        Self::new("siws", signer, None)
    }

    /// A raw key that is its own account, `did:key:…`.
    ///
    /// # Errors
    /// [`WalletKeyError::Curve`] for P-256, which names no account.
    pub fn raw(signer: InMemorySigner) -> Result<Self, WalletKeyError> {
        Self::new("key", signer, None)
    }
}

#[async_trait]
impl Wallet for InMemoryWallet {
    fn account(&self) -> &Account {
        &self.account
    }

    fn format(&self) -> &str {
        self.style.format()
    }

    async fn sign_message(&self, message: &str) -> Result<String, SignerError> {
        self.sign_challenge(&ToSign { message, payload: None }).await
    }

    async fn sign_challenge(&self, challenge: &ToSign<'_>) -> Result<String, SignerError> {
        self.style.sign(&self.signer, &self.account, challenge)
    }

    fn public_key(&self) -> Option<&str> {
        self.public_key.as_deref()
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

/// Refuses a key of another curve.
fn require_curve(key: &PublicKey, curve: Curve) -> Result<(), WalletKeyError> {
    if key.curve() == curve { Ok(()) } else { Err(WalletKeyError::Curve(curve.name())) }
}

/// The chain reference of a named account of that namespace.
fn reference_of<'a>(named: Option<&'a Account>, namespace: &str) -> Option<&'a str> {
    match named? {
        Account::Chain(account) if account.chain().namespace() == namespace => {
            Some(account.chain().reference())
        }
        Account::Chain(_) | Account::Key(_) => None,
    }
}

/// The address of a named account on a chain.
fn address_of(named: Option<&Account>) -> Option<&str> {
    match named? {
        Account::Chain(account) => Some(account.address()),
        Account::Key(_) => None,
    }
}

/// The account of an address, on the chain of the account that was named or else on the main one.
fn on_chain(
    namespace: &str,
    main: &str,
    named: Option<&Account>,
    address: &str,
) -> Result<Account, WalletKeyError> {
    let chain = ChainId::new(namespace, reference_of(named, namespace).unwrap_or(main))?;
    Ok(Account::Chain(ChainAccount::new(chain, address)?))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::ethereum::personal_sign_digest;
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

    #[test]
    fn each_format_has_a_wallet_that_controls_its_own_account_alone() {
        for format in InMemoryWallet::formats() {
            let wallet = |byte: u8, named: Option<&Account>| {
                let made = [Curve::Secp256k1, Curve::Ed25519].map(|curve| {
                    let signer = InMemorySigner::from_bytes(curve, &[byte; 32]).unwrap();
                    InMemoryWallet::new(format, signer, named)
                });
                let [first, second] = made;
                if matches!(first, Err(WalletKeyError::Curve(_))) { second } else { first }
            };
            let ours = wallet(9, None).unwrap();
            assert_eq!(ours.format(), format);
            assert_eq!(wallet(9, Some(ours.account())).unwrap().account(), ours.account());
            let refused = wallet(8, Some(ours.account())).unwrap_err();
            assert!(matches!(refused, WalletKeyError::NotControlled { .. }), "{format}: {refused}");
        }
        let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
        let refused = InMemoryWallet::new("eip1271", signer, None).unwrap_err();
        assert!(matches!(refused, WalletKeyError::Format(_)));
    }
}
