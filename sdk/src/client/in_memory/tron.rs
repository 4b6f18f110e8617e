//! The wallet of format `tip191`: Tron's `signMessageV2`.
//!
//! Specs: TIP-191.

use super::{Style, WalletKeyError, reference_of};
use crate::account::{Account, ChainAccount, ChainId};
use crate::chain::tron::{MAINNET, address_of, digest};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, SignerError};

const NAMESPACE: &str = "tron";

/// The format `tip191`.
pub(super) struct Tron;

impl Style for Tron {
    fn format(&self) -> &'static str {
        "tip191"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        let address = address_of(key).ok_or(WalletKeyError::Curve(Curve::Secp256k1.name()))?;
        let chain = ChainId::new(NAMESPACE, reference_of(named, NAMESPACE).unwrap_or(MAINNET))?;
        Ok(Account::Chain(ChainAccount::new(chain, &address)?))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let (signature, id) = signer.sign_digest_recoverable(&digest(challenge.message))?;
        Ok(format!("0x{}{:02x}", hex::encode(signature), 27 + id))
    }
}
