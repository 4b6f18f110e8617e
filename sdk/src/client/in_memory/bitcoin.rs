//! The wallets of formats `bip322` and `bip137`: one key, and an address of any of its kinds.
//!
//! Without a named account the address is P2WPKH on the main network, as wallets begin today.
//!
//! Specs: BIP-322 (simple), BIP-137, BIP-86.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Style, WalletKeyError, reference_of, require_curve};
use crate::account::{Account, AccountError, ChainAccount, ChainId};
use crate::chain::bip137;
use crate::chain::bip322::{
    PREFIX, SIGHASH_ALL, SIGHASH_DEFAULT, encode_witness, sighash_p2tr, sighash_p2wpkh,
};
use crate::chain::bitcoin::{Address, Kind, MAINNET, Network, Script};
use crate::chain::hash::key_hash;
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError, ecdsa_to_der};

const NAMESPACE: &str = "bip122";

/// The format `bip322`.
pub(super) struct Bip322;

impl Style for Bip322 {
    fn format(&self) -> &'static str {
        "bip322"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        account(key, named, &[Kind::P2wpkh, Kind::P2tr, Kind::P2shP2wpkh])
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let script = script_of(account)?;
        let text = challenge.message;
        let witness = match &script {
            Script::P2tr(output_key) => {
                let digest = sighash_p2tr(output_key, SIGHASH_DEFAULT, text);
                encode_witness(&[&signer.sign_taproot(&digest)?])
            }
            Script::P2pkh(_) | Script::P2sh(_) | Script::P2wpkh(_) => {
                let key = signer.public_key();
                let (Some(hash), Some(shown)) = (key_hash(key), key.compressed_secp256k1()) else {
                    return Err(SignerError("Bitcoin's keys are secp256k1".to_owned()));
                };
                let digest = sighash_p2wpkh(&script, &hash, text);
                let (signature, _) = signer.sign_digest_recoverable(&digest)?;
                let der = [ecdsa_to_der(&signature), vec![SIGHASH_ALL]].concat();
                encode_witness(&[&der, &shown])
            }
        };
        Ok(format!("{PREFIX}{}", STANDARD.encode(witness)))
    }
}

/// The format `bip137`.
pub(super) struct Bip137;

impl Style for Bip137 {
    fn format(&self) -> &'static str {
        "bip137"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        account(key, named, &[Kind::P2pkh, Kind::P2wpkh, Kind::P2shP2wpkh])
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let first = match script_of(account)? {
            Script::P2pkh(_) | Script::P2tr(_) => 31,
            Script::P2sh(_) => 35,
            Script::P2wpkh(_) => 39,
        };
        let digest = bip137::digest(challenge.message);
        let (signature, id) = signer.sign_digest_recoverable(&digest)?;
        Ok(STANDARD.encode([&[first + id], &signature[..]].concat()))
    }
}

/// The key's address that was named, else that of the first of `kinds`.
fn account(
    key: &PublicKey,
    named: Option<&Account>,
    kinds: &[Kind],
) -> Result<Account, WalletKeyError> {
    require_curve(key, Curve::Secp256k1)?;
    let reference = reference_of(named, NAMESPACE).unwrap_or(MAINNET);
    let network = Network::of_reference(reference).ok_or(AccountError::Shape)?;
    let accounts = kinds.iter().filter_map(|kind| {
        let address = Address::new(network, Script::of_key(key, *kind)?).to_string();
        let chain = ChainId::new(NAMESPACE, reference).ok()?;
        ChainAccount::new(chain, &address).ok().map(Account::Chain)
    });
    let mut first = None;
    for account in accounts {
        if named == Some(&account) {
            return Ok(account);
        }
        first.get_or_insert(account);
    }
    first.ok_or(WalletKeyError::Account(AccountError::Shape))
}

fn script_of(account: &Account) -> Result<Script, SignerError> {
    let address = match account {
        Account::Chain(account) => account.address().parse::<Address>().ok(),
        Account::Key(_) => None,
    };
    let address = address.ok_or_else(|| SignerError("not a Bitcoin account".to_owned()))?;
    Ok(*address.script())
}
