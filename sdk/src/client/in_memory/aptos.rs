//! The wallet of format `aptos`: the text as `signIn` signs it, with the public key beside it.
//!
//! A key of Ed25519 controls an account of the first kind and one of the kind SingleKey; unless the
//! second is named, the first is meant, as wallets make it.
//!
//! Specs: sign-in-with-aptos (AIP-116), AIP-55 (SingleKey).

use super::{Style, WalletKeyError, address_of, on_chain};
use crate::account::Account;
use crate::chain::aptos;
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `aptos`.
pub(super) struct Aptos;

impl Style for Aptos {
    fn format(&self) -> &'static str {
        "aptos"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        let addresses = aptos::addresses(key.curve(), key.as_bytes());
        let meant = addresses.iter().find(|address| Some(address.as_str()) == address_of(named));
        let address = meant.or(addresses.first());
        let address = address.ok_or(WalletKeyError::Curve("Ed25519 or secp256k1"))?;
        on_chain("aptos", "1", named, address)
    }

    fn public_key(&self, key: &PublicKey) -> Option<String> {
        Some(format!("0x{}", hex::encode(key.as_bytes())))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let bytes = aptos::sign_in_bytes(challenge.message);
        let signature = match signer.public_key().curve() {
            Curve::Ed25519 => signer.sign_now(&bytes)?,
            Curve::Secp256k1 | Curve::P256 => {
                signer.sign_digest_recoverable(&aptos::digest(&bytes))?.0.to_vec()
            }
        };
        Ok(format!("0x{}", hex::encode(signature)))
    }
}
