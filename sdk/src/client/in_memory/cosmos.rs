//! The wallet of format `adr36`: an account of any Cosmos chain, of either family of keys.
//!
//! Without a named account it is one of the Cosmos Hub. A named one tells chain and prefix, and by
//! its bytes the family.
//!
//! Specs: ADR-036.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Style, WalletKeyError, reference_of, require_curve};
use crate::account::{Account, AccountError, ChainAccount, ChainId};
use crate::chain::cosmos::{Address, CANONICAL_CHAIN, CANONICAL_PREFIX, Family};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

const NAMESPACE: &str = "cosmos";

/// The format `adr36`.
pub(super) struct Cosmos;

impl Style for Cosmos {
    fn format(&self) -> &'static str {
        "adr36"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        require_curve(key, Curve::Secp256k1)?;
        let theirs = named.and_then(address_of);
        let is_theirs = |family: &Family| {
            theirs.as_ref().is_some_and(|it| family.account_of(key).as_ref() == Some(it.account()))
        };
        let family = Family::ALL.into_iter().find(is_theirs).unwrap_or(Family::Cosmos);
        let prefix = theirs.map_or_else(|| CANONICAL_PREFIX.to_owned(), |it| it.prefix());
        let ours = family.account_of(key).and_then(|account| Address::new(&prefix, account));
        let address = ours.and_then(|ours| ours.to_text()).ok_or(AccountError::Shape)?;
        let reference = reference_of(named, NAMESPACE).unwrap_or(CANONICAL_CHAIN);
        let chain = ChainId::new(NAMESPACE, reference)?;
        Ok(Account::Chain(ChainAccount::new(chain, &address)?))
    }

    fn public_key(&self, key: &PublicKey) -> Option<String> {
        key.compressed_secp256k1().map(|bytes| STANDARD.encode(bytes))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let refused = || SignerError("not an account of this key".to_owned());
        let address = address_of(account).ok_or_else(refused)?;
        let family = Family::ALL
            .into_iter()
            .find(|it| it.account_of(signer.public_key()).as_ref() == Some(address.account()))
            .ok_or_else(refused)?;
        let written = address.to_text().ok_or_else(refused)?;
        let digest = family.digest(&written, challenge.message.as_bytes());
        Ok(STANDARD.encode(signer.sign_digest_recoverable(&digest)?.0))
    }
}

fn address_of(account: &Account) -> Option<Address> {
    match account {
        Account::Chain(account) if account.chain().namespace() == NAMESPACE => {
            Address::parse(account.address())
        }
        Account::Chain(_) | Account::Key(_) => None,
    }
}
