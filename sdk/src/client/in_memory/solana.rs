//! The wallet of format `siws`: Ed25519 over the text, written in base58.
//!
//! Specs: RFC 8032, CAIP-10 for Solana.

use super::{Style, WalletKeyError, reference_of, require_curve};
use crate::account::{Account, ChainAccount, ChainId};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, SignerError};

const NAMESPACE: &str = "solana";

/// The main network, as CAIP-2 names it: the first 32 characters of its genesis hash.
const MAINNET: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";

/// The format `siws`.
pub(super) struct Solana;

impl Style for Solana {
    fn format(&self) -> &'static str {
        "siws"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        require_curve(key, Curve::Ed25519)?;
        let address = bs58::encode(key.as_bytes()).into_string();
        let chain = ChainId::new(NAMESPACE, reference_of(named, NAMESPACE).unwrap_or(MAINNET))?;
        Ok(Account::Chain(ChainAccount::new(chain, &address)?))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let signature = signer.sign_now(challenge.message.as_bytes())?;
        Ok(bs58::encode(signature).into_string())
    }
}
