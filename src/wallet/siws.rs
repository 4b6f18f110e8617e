//! Sign in with Solana: an Ed25519 account that is its own address, over the text or its envelope.
//!
//! Wallets sign the UTF-8 text as it is; hardware wallets sign it inside an off-chain envelope,
//! which is rebuilt around the received text and never taken apart. Chains are written in many
//! ways and mean one thing; a text without a chain, which wallet-standard allows, is of mainnet.
//!
//! Specs: CAIP-122 for Solana, wallet-standard `signIn`, RFC 8032 (strict), [`super::envelope`].

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use countersign_sdk::account::{Account, ChainAccount, ChainId};
use countersign_sdk::key::{Curve, NotSigner, PublicKey, SignatureError, base58_bytes};

use super::accounts::{Accounts, Spelling, other_namespace};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::envelope;
use super::format::{
    Evidence, MAX_SIGNATURE, VerifiedSigner, WalletFormat, malformed_signature, refused_signer,
};
use crate::model::reason::{Reason, Refusal};

const NAMESPACE: &str = "solana";

/// A cluster: the name wallets write, and its genesis hash, of which CAIP-2 takes 32 characters.
struct Cluster {
    name: &'static str,
    genesis: &'static str,
}

impl Cluster {
    fn reference(&self) -> &'static str {
        self.genesis.get(..32).unwrap_or(self.genesis)
    }
}

/// The canonical chain first.
static CLUSTERS: [Cluster; 3] = [
    Cluster { name: "mainnet", genesis: "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d" },
    Cluster { name: "testnet", genesis: "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY" },
    Cluster { name: "devnet", genesis: "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG" },
];

/// The format `siws`.
#[derive(Clone, Copy, Debug)]
pub struct Siws;

impl WalletFormat for Siws {
    fn name(&self) -> &'static str {
        "siws"
    }

    fn accounts(&self) -> &dyn Accounts {
        self
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::SIWS
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        if key.curve() != Curve::Ed25519 {
            return Vec::new();
        }
        let address = bs58::encode(key.as_bytes()).into_string();
        let account = canonical_cluster().and_then(|cluster| named(cluster, &address));
        account.iter().map(Account::to_did).collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let address = message.fields().address;
        let bytes = address_bytes(address).ok_or_else(invalid_address)?;
        let signatures = decode_signature(evidence.signature);
        if signatures.iter().all(Option::is_none) {
            return Err(malformed_signature("a signature is 64 bytes in base58 or in base64"));
        }
        let mut refusal = NotSigner::Signature(SignatureError::Mismatch);
        for signature in signatures.iter().flatten() {
            match verify_any(&bytes, message, signature) {
                Ok(key) => {
                    let subject = self.subject_of(account)?;
                    return Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject));
                }
                Err(error) => refusal = error,
            }
        }
        Err(refused_signer(refusal, invalid_address))
    }
}

impl Accounts for Siws {
    fn namespaces(&self) -> &'static [&'static str] {
        &[NAMESPACE]
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        let Account::Chain(chain_account) = account else {
            return Err(other_namespace(self.name(), account));
        };
        if account.namespace() != NAMESPACE {
            return Err(other_namespace(self.name(), account));
        }
        let cluster = cluster_of(chain_account.chain().reference()).ok_or_else(unknown_chain)?;
        let bytes = address_bytes(chain_account.address()).ok_or_else(invalid_address)?;
        PublicKey::from_ed25519_bytes(&bytes).map_err(|_| invalid_address())?;
        named(cluster, chain_account.address())
    }

    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        let cluster = cluster_of(chain.reference()).filter(|_| chain.namespace() == NAMESPACE)?;
        ChainId::new(NAMESPACE, cluster.reference()).ok()
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        match account {
            Account::Chain(account) => Ok(named(canonical_cluster()?, account.address())?.to_did()),
            Account::Key(_) => Err(other_namespace(self.name(), account)),
        }
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        let Account::Chain(account) = account else {
            return None;
        };
        let cluster =
            CLUSTERS.iter().find(|cluster| cluster.reference() == account.chain().reference())?;
        (account.chain().namespace() == NAMESPACE)
            .then(|| Spelling { address: account.address(), chain_id: Some(cluster.name) })
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        let address = message.fields().address;
        address_bytes(address).ok_or_else(invalid_address)?;
        let cluster = match message.fields().chain_id {
            Some(text) => cluster_of(text).ok_or_else(unknown_chain)?,
            None => canonical_cluster()?,
        };
        named(cluster, address)
    }
}

/// The key of an address, if it signed the text itself or one of its envelopes.
fn verify_any(
    bytes: &[u8; 32],
    message: &UnverifiedMessage<'_>,
    signature: &[u8; 64],
) -> Result<PublicKey, NotSigner> {
    let text = message.text();
    match PublicKey::ed25519_that_signed(bytes, text.as_bytes(), signature) {
        Err(NotSigner::Signature(SignatureError::Mismatch)) => {}
        decided => return decided,
    }
    let key = PublicKey::from_ed25519_bytes(bytes)?;
    let mut envelopes = envelope::around(text, message.fields().domain, bytes);
    if envelopes.any(|bytes| key.verify_wallet(&bytes, signature).is_ok()) {
        return Ok(key);
    }
    Err(SignatureError::Mismatch.into())
}

/// The 64 bytes that a text can mean in base58 and in base64; some texts are right in both.
fn decode_signature(text: &str) -> [Option<[u8; 64]>; 2] {
    if text.len() > MAX_SIGNATURE.min(128) {
        return [None; 2];
    }
    let base64 =
        if text.ends_with('=') { STANDARD.decode(text) } else { STANDARD_NO_PAD.decode(text) };
    [base58_bytes(text), base64.ok().and_then(|bytes| bytes.try_into().ok())]
}

/// The 32 bytes of a base58 address.
pub fn address_bytes(address: &str) -> Option<[u8; 32]> {
    base58_bytes(address)
}

/// The cluster of any spelling in use: `mainnet`, `solana:mainnet`, CAIP-2, or the whole genesis
/// hash.
fn cluster_of(text: &str) -> Option<&'static Cluster> {
    let text = text.strip_prefix("solana:").unwrap_or(text);
    CLUSTERS
        .iter()
        .find(|cluster| [cluster.name, cluster.genesis, cluster.reference()].contains(&text))
}

fn canonical_cluster() -> Result<&'static Cluster, Refusal> {
    CLUSTERS.first().ok_or_else(unknown_chain)
}

fn named(cluster: &Cluster, address: &str) -> Result<Account, Refusal> {
    ChainId::new(NAMESPACE, cluster.reference())
        .and_then(|chain| ChainAccount::new(chain, address))
        .map(Account::Chain)
        .map_err(|_| invalid_address())
}

fn unknown_chain() -> Refusal {
    Refusal::new(
        Reason::ChainNotAllowed,
        "a Solana chain is mainnet, testnet or devnet, by name or by genesis hash (CAIP-2)",
    )
}

fn invalid_address() -> Refusal {
    Refusal::new(
        Reason::AccountInvalid,
        "a Solana address is the base58 of a 32-byte Ed25519 key that is not of small order",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "app.example.com wants you to sign in with your Solana account:\n2bgyKH3Z8znXrdcJWbGz25MsaaufkqBoWLZvSRaTzM2x\n\nSign in to the example service.\n\nURI: https://app.example.com/login\nVersion: 1\nNonce: 7BYMVkTmRsM6Vt\nIssued At: 2025-06-01T12:00:00.000Z";
    const SIGNATURE: &str =
        "jvUMPcu78+7qNHsG/gfh3A6ePmDXwUeqWYQUiSGBdwuwMj8UsOszH8L3pI8ql0mC0Xib8MUTQ5YfHWJVfc2gAA==";

    fn verify(text: &str, signature: &str) -> Result<VerifiedSigner, Reason> {
        let evidence = Evidence { signature, public_key: None };
        Siws.read(text)
            .and_then(|message| Siws.verify(&message, &evidence))
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn takes_base64_and_base58() {
        let bytes = STANDARD.decode(SIGNATURE).unwrap();
        let base58 = bs58::encode(&bytes).into_string();
        for signature in [SIGNATURE, SIGNATURE.trim_end_matches('='), &base58] {
            let signer = verify(TEXT, signature).unwrap();
            assert_eq!(
                signer.subject(),
                "did:pkh:solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:2bgyKH3Z8znXrdcJWbGz25MsaaufkqBoWLZvSRaTzM2x"
            );
        }
        let short = STANDARD.encode(&bytes[..63]);
        let long = STANDARD.encode([&bytes[..], &[0]].concat());
        for signature in ["", "0x00", short.as_str(), long.as_str()] {
            assert_eq!(verify(TEXT, signature), Err(Reason::SignatureMalformed));
        }
        let changed = TEXT.replace("example service", "exemple service");
        assert_eq!(verify(&changed, SIGNATURE), Err(Reason::SignatureMismatch));
    }

    #[test]
    fn chains_of_every_spelling_are_one() {
        for spelling in [
            "mainnet",
            "solana:mainnet",
            "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
            "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d",
        ] {
            let text = TEXT.replace("Nonce:", &format!("Chain ID: {spelling}\nNonce:"));
            let account = Siws.accounts().account_of(&Siws.read(&text).unwrap()).unwrap();
            let plain = Siws.accounts().account_of(&Siws.read(TEXT).unwrap()).unwrap();
            assert_eq!(account, plain, "{spelling}");
            assert_eq!(Siws.accounts().spelling(&account).unwrap().chain_id, Some("mainnet"));
        }
        for spelling in ["random:mainnet", "1", "Mainnet", "localnet", "solana:solana:mainnet"] {
            let text = TEXT.replace("Nonce:", &format!("Chain ID: {spelling}\nNonce:"));
            let account = Siws.read(&text).and_then(|message| Siws.accounts().account_of(&message));
            assert_eq!(account.unwrap_err().reason(), Reason::ChainNotAllowed, "{spelling}");
        }
    }
}
