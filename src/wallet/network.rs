//! Which chains a namespace has, and how its accounts are named, where the chains are few and known.
//!
//! Sui, Aptos, NEAR, Stellar and TON differ in what an address is and agree in all else: a handful of
//! networks, one key that is the same account on each of them, and a main network that `sub` is
//! named on. A network is that common part as data; what an address is stays with the format.
//!
//! Specs: CAIP-2, CAIP-10, protocol.md §1.

use countersign_sdk::account::{Account, ChainAccount, ChainId};

use super::accounts::{Accounts, Spelling, other_namespace};
use super::caip122::UnverifiedMessage;

use crate::model::reason::{Reason, Refusal};

/// A chain of a namespace.
#[derive(Debug)]
pub(in crate::wallet) struct Chain {
    /// The CAIP-2 reference, which accounts are named with.
    pub(in crate::wallet) reference: &'static str,
    /// How the text spells the chain.
    pub(in crate::wallet) name: &'static str,
}

/// The chains of a namespace and the form of its addresses.
#[derive(Debug)]
pub(in crate::wallet) struct Network {
    /// The format that it belongs to.
    pub(in crate::wallet) format: &'static str,
    /// The CAIP-2 namespace that accounts are named with, and others that are read as it.
    pub(in crate::wallet) namespaces: &'static [&'static str],
    /// The canonical chain first.
    pub(in crate::wallet) chains: &'static [Chain],
    /// An address in its one spelling, from any that is asked for; `None` for one that is none.
    pub(in crate::wallet) canonical: fn(&str) -> Option<String>,
    /// Whether a canonical address can have a key, which is asked before a challenge is written:
    /// a signature is refused by the key itself.
    pub(in crate::wallet) can_sign: fn(&str) -> bool,
    /// Whether a canonical address is a name, which may be somebody else's on another chain.
    pub(in crate::wallet) is_name: fn(&str) -> bool,
    /// What an address is, to be said where one is not.
    pub(in crate::wallet) an_address: &'static str,
    /// Which chains there are, to be said where one is not.
    pub(in crate::wallet) a_chain: &'static str,
}

impl Accounts for Network {
    fn namespaces(&self) -> &'static [&'static str] {
        self.namespaces
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        let asked = self.own(account)?;
        let chain = self.chain(asked.chain().reference()).ok_or_else(|| self.unknown_chain())?;
        let address = (self.canonical)(asked.address())
            .filter(|address| (self.can_sign)(address))
            .ok_or_else(|| self.invalid_address())?;
        self.named(chain, &address)
    }

    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        if !self.namespaces.contains(&chain.namespace()) {
            return None;
        }
        let found = self.chain(chain.reference())?;
        ChainId::new(self.namespaces.first()?, found.reference).ok()
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        let own = self.own(account)?;
        if (self.is_name)(own.address()) {
            return Ok(account.to_did());
        }
        self.subject_at(own.address()).ok_or_else(|| self.invalid_address())
    }

    fn is_name(&self, account: &Account) -> bool {
        self.own(account).is_ok_and(|own| (self.is_name)(own.address()))
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        let account = self.own(account).ok()?;
        let chain = self.chain(account.chain().reference())?;
        Some(Spelling { address: account.address(), chain_id: Some(chain.name) })
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        let fields = message.fields();
        let canonical = (self.canonical)(fields.address);
        if canonical.as_deref() != Some(fields.address) {
            return Err(self.invalid_address());
        }
        self.named(self.chain_of(message)?, fields.address)
    }
}

impl Network {
    /// The subject of an address, on the canonical chain.
    pub(in crate::wallet) fn subject_at(&self, address: &str) -> Option<String> {
        Some(self.named(self.chains.first()?, address).ok()?.to_did())
    }

    /// The chain that a text names.
    pub(in crate::wallet) fn chain_of(
        &self,
        message: &UnverifiedMessage<'_>,
    ) -> Result<&'static Chain, Refusal> {
        let written = message.fields().chain_id.unwrap_or_default();
        self.chain(written).ok_or_else(|| self.unknown_chain())
    }

    /// The chain of any spelling: its name or its reference, each with or without the namespace.
    pub(in crate::wallet) fn chain(&self, written: &str) -> Option<&'static Chain> {
        let written = self.without_namespace(written)?;
        self.chains.iter().find(|chain| {
            chain.reference == written || self.without_namespace(chain.name) == Some(written)
        })
    }

    fn without_namespace<'a>(&self, chain: &'a str) -> Option<&'a str> {
        match chain.split_once(':') {
            Some((namespace, rest)) => self.namespaces.contains(&namespace).then_some(rest),
            None => Some(chain),
        }
    }

    /// An account by its chain and its canonical address.
    pub(in crate::wallet) fn named(
        &self,
        chain: &Chain,
        address: &str,
    ) -> Result<Account, Refusal> {
        let namespace = self.namespaces.first().copied().unwrap_or_default();
        ChainId::new(namespace, chain.reference)
            .and_then(|chain| ChainAccount::new(chain, address))
            .map(Account::Chain)
            .map_err(|_| self.invalid_address())
    }

    /// The parts of an account of this namespace.
    pub(in crate::wallet) fn own<'a>(
        &self,
        account: &'a Account,
    ) -> Result<&'a ChainAccount, Refusal> {
        match account {
            Account::Chain(own) if self.namespaces.contains(&own.chain().namespace()) => Ok(own),
            Account::Chain(_) | Account::Key(_) => Err(other_namespace(self.format, account)),
        }
    }

    pub(in crate::wallet) fn invalid_address(&self) -> Refusal {
        Refusal::new(Reason::AccountInvalid, self.an_address)
    }

    fn unknown_chain(&self) -> Refusal {
        Refusal::new(Reason::ChainNotAllowed, self.a_chain)
    }
}

/// `0x` and the lower-case hex of 32 bytes, from hex of either case.
pub(in crate::wallet) fn hex_address(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x")?;
    let fits = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    static NETWORK: Network = Network {
        format: "test",
        namespaces: &["net", "alias"],
        chains: &[Chain { reference: "1", name: "main" }, Chain { reference: "2", name: "test" }],
        canonical: hex_address,
        is_name: |address| address.ends_with("ff"),
        can_sign: |address| !address.ends_with("00"),
        an_address: "no address",
        a_chain: "no chain",
    };

    fn canonical(account: &str) -> Result<String, Reason> {
        NETWORK
            .canonical_account(&account.parse().unwrap())
            .map(|account| account.to_string())
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn every_spelling_of_an_account_becomes_one() {
        let address = format!("0x{}", "aB".repeat(32));
        for (written, chain) in
            [("net:1", "1"), ("net:main", "1"), ("alias:1", "1"), ("alias:test", "2")]
        {
            let expected = format!("net:{chain}:{}", address.to_lowercase());
            assert_eq!(canonical(&format!("{written}:{address}")), Ok(expected));
        }
        assert_eq!(canonical(&format!("net:3:{address}")), Err(Reason::ChainNotAllowed));
        assert_eq!(canonical(&format!("other:1:{address}")), Err(Reason::FormatUnsupported));
        for broken in ["0x", "0x00", &address[2..], &format!("{address}0")] {
            assert_eq!(canonical(&format!("net:1:{broken}")), Err(Reason::AccountInvalid));
        }
        let silent = format!("net:1:0x{}00", "a".repeat(62));
        assert_eq!(canonical(&silent), Err(Reason::AccountInvalid));
        let other: Account = format!("net:2:{}", address.to_lowercase()).parse().unwrap();
        let subject = format!("did:pkh:net:1:{}", address.to_lowercase());
        assert_eq!(NETWORK.subject_of(&other).ok(), Some(subject));
        assert_eq!(NETWORK.spelling(&other).unwrap().chain_id, Some("test"));
        assert!(NETWORK.chain("net:net:1").is_none());
        let name: Account = format!("net:2:0x{}ff", "a".repeat(62)).parse().unwrap();
        assert_eq!(NETWORK.subject_of(&name).ok(), Some(name.to_did()));
        assert!(NETWORK.is_name(&name) && !NETWORK.is_name(&other));
    }
}
