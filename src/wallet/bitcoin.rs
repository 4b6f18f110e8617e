//! Bitcoin's accounts, for both formats of their namespace: chains, addresses, subjects.
//!
//! A key has several addresses and each is an account of its own. The subject is the address as the
//! main network spells it, so a test network's account and its twin there are one.
//!
//! Specs: CAIP-2 and CAIP-10 for bip122, [`countersign_sdk::chain::bitcoin`].

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::chain::bitcoin::{Address, Kind, MAINNET, Network, Script};
use countersign_sdk::key::{Curve, PublicKey};

use super::accounts::{Accounts, Spelling};
use super::caip122::UnverifiedMessage;
use super::chain_account::{self, named, of_namespace, reference_in};
use crate::model::reason::{Reason, Refusal};

/// The namespace of both formats.
const NAMESPACE: &str = "bip122";

/// Bitcoin's accounts, as far as a format signs for them.
#[derive(Debug)]
pub(super) struct BitcoinAccounts {
    /// The format.
    pub(super) format: &'static str,
    /// Whether it signs for accounts of such addresses; a refusal says which format does.
    pub(super) signs_for: fn(&Address) -> Result<(), Refusal>,
}

impl Accounts for BitcoinAccounts {
    fn namespaces(&self) -> &'static [&'static str] {
        &[NAMESPACE]
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        (self.signs_for)(&address_of(self.format, account)?)?;
        Ok(account.clone())
    }

    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        let ours =
            chain.namespace() == NAMESPACE && Network::of_reference(chain.reference()).is_some();
        ours.then(|| chain.clone())
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        subject_of_address(&address_of(self.format, account)?)
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        chain_account::spelling(NAMESPACE, account)
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        let reference = reference_in(message, NAMESPACE);
        address_on(reference, message.fields().address)?;
        named(NAMESPACE, reference, message.fields().address)
    }
}

/// The address of a Bitcoin account.
///
/// # Errors
/// `format_unsupported`, `chain_not_allowed` or `account_invalid`.
pub(super) fn address_of(format: &'static str, account: &Account) -> Result<Address, Refusal> {
    let account = of_namespace(format, NAMESPACE, account)?;
    address_on(account.chain().reference(), account.address())
}

/// An address that is spelled as its chain spells it.
///
/// # Errors
/// `chain_not_allowed` or `account_invalid`.
fn address_on(reference: &str, address: &str) -> Result<Address, Refusal> {
    let invalid = |detail: String| Refusal::new(Reason::AccountInvalid, detail);
    let network = Network::of_reference(reference).ok_or_else(|| {
        Refusal::new(
            Reason::ChainNotAllowed,
            "the chains of bip122 are Bitcoin's main and test networks, by genesis hash (CAIP-2)",
        )
    })?;
    let address: Address = address.parse().map_err(|error| invalid(format!("{error}")))?;
    if address.is_on(network) {
        return Ok(address);
    }
    Err(invalid("the address is of another network than the chain".to_owned()))
}

/// Who the account of an address is on every network.
pub(super) fn subject_of_address(address: &Address) -> Result<String, Refusal> {
    Ok(subject(*address.script())?.to_did())
}

/// Every address of a key, as its own key and as the output key that a Taproot address shows.
pub(super) fn subjects_of_key(key: &PublicKey) -> Vec<String> {
    if key.curve() != Curve::Secp256k1 {
        return Vec::new();
    }
    let kinds = Kind::ALL.into_iter().filter_map(|kind| Script::of_key(key, kind));
    let scripts = kinds.chain(key.x_only().map(Script::P2tr));
    scripts.filter_map(subject_text).collect()
}

fn subject_text(script: Script) -> Option<String> {
    Some(subject(script).ok()?.to_did())
}

fn subject(script: Script) -> Result<Account, Refusal> {
    named(NAMESPACE, MAINNET, &Address::new(Network::Main, script).to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    static ACCOUNTS: BitcoinAccounts = BitcoinAccounts { format: "bip322", signs_for: |_| Ok(()) };

    /// A sign-in text of an address on the main network.
    pub(in crate::wallet) fn text_for(address: &str) -> String {
        format!(
            "app.example wants you to sign in with your Bitcoin account:\n{address}\n\nSign in.\n\n\
             URI: https://id.example\nVersion: 1\nChain ID: {MAINNET}\nNonce: 0123456789abcdef\n\
             Issued At: 2025-06-01T12:00:00Z"
        )
    }

    #[test]
    fn accounts_are_on_the_chain_that_spells_them() {
        let account = |text: &str| {
            let account: Account = text.parse().unwrap();
            ACCOUNTS.subject_of(&account).map_err(|refusal| refusal.reason())
        };
        let main =
            "bip122:000000000019d6689c085ae165831e93:bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l";
        assert_eq!(account(main), Ok(format!("did:pkh:{main}")));
        // The same 20 bytes on testnet are the same subject.
        let test =
            "bip122:000000000933ea01ad0ee984209779ba:tb1q9vza2e8x573nczrlzms0wvx3gsqjx7vaxwd3d5";
        let script =
            *"bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l".parse::<Address>().unwrap().script();
        let spelled = Address::new(Network::Test, script).to_string();
        let test = format!("{}:{spelled}", &test[..39]);
        assert_eq!(account(&test), Ok(format!("did:pkh:{main}")));
        for (wrong, reason) in [
            (format!("{}:{spelled}", &main[..39]), Reason::AccountInvalid),
            (main.replace("93:", "94:"), Reason::ChainNotAllowed),
            (main.replace("0l", "0m"), Reason::AccountInvalid),
            (main.replace("bc1q", "BC1Q"), Reason::AccountInvalid),
            (
                "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".to_owned(),
                Reason::FormatUnsupported,
            ),
            (
                format!(
                    "{}:bc1qp0ahvfh83088w49k405szqgg4f3pptr7p2g06tdxfjcd40z4lh4q95lsz9",
                    &main[..39]
                ),
                Reason::AccountInvalid,
            ),
        ] {
            assert_eq!(account(&wrong), Err(reason), "{wrong}");
        }
    }
}
