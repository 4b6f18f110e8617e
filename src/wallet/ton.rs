//! TON: the proof of TON Connect, by the key in the first state of a wallet that everybody knows.
//!
//! The wallet signs its address, the domain that asked, a time of its own and a payload, which is
//! the hash of the text. An address is no key: the wallet returns its first state, whose hash is
//! the address and whose code is one of those that cannot change their key. A wallet of other code
//! would have to be asked on the chain, and is refused by name.
//!
//! Specs: TON Connect `ton_proof`, `block.tlb`, CAIP-122, RFC 8032 (strict).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::chain::ton::{self, Proof, Wallet};
use countersign_sdk::key::{Curve, PublicKey};
use countersign_sdk::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::Accounts;
use super::caip122::{self, Moment, Profile, UnverifiedMessage};
use super::format::{
    Evidence, MAX_STRUCTURE, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    refused_signer,
};
use super::network::{Chain, Network};
use crate::model::reason::{Reason, Refusal};

/// How far a wallet's clock may be behind the text that it signs, or ahead of its end, in seconds.
const CLOCK_SKEW: u64 = 60;

static NETWORK: Network = Network {
    format: "ton",
    // CASA's name for all chains of this virtual machine, and the one that TON's own tools use.
    namespaces: &["tvm", "ton"],
    chains: &[
        Chain { reference: ton::MAINNET, name: ton::MAINNET },
        Chain { reference: "-3", name: "-3" },
    ],
    canonical: |address| ton::parse_address(address).map(|hash| ton::address(&hash)),
    is_name: |_| false,
    can_sign: |_| true,
    an_address: "a TON address is 0%3A and 64 hex digits (0: with its colon percent-encoded, as \
                 CAIP-10 needs), or the friendly form with _ written as %5F; in the base workchain",
    a_chain: "a TON chain is -239 (main network) or -3 (test network)",
};

/// The format `ton`.
#[derive(Clone, Copy, Debug)]
pub struct Ton;

impl WalletFormat for Ton {
    fn name(&self) -> &'static str {
        NETWORK.format
    }

    /// The wallet shows that it connects to a domain, and nothing of the text.
    fn shows_text(&self) -> bool {
        false
    }

    fn accounts(&self) -> &dyn Accounts {
        &NETWORK
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::TON
    }

    fn has_payload(&self) -> bool {
        true
    }

    fn payload(
        &self,
        _account: &Account,
        message: &UnverifiedMessage<'_>,
    ) -> Result<Option<Value>, Refusal> {
        Ok(Some(json!({
            "tonProof": ton::payload_of(message.text()),
            "domain": message.fields().domain,
        })))
    }

    /// Those of the wallets that applications make of a key. A key can have any number of others,
    /// by their subwallet numbers.
    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let wallets = match key.curve() {
            Curve::Ed25519 => key.as_bytes().try_into().map(ton::usual_wallets).unwrap_or_default(),
            Curve::P256 | Curve::Secp256k1 => Vec::new(),
        };
        wallets.iter().filter_map(|hash| NETWORK.subject_at(&ton::address(hash))).collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let own = NETWORK.own(account)?;
        let answer = Answer::read(evidence.signature)?;
        check_time(&answer, message)?;
        let expected = Expected {
            address: own.address(),
            chain: own.chain().reference(),
            domain: message.fields().domain,
            payload: &ton::payload_of(message.text()),
        };
        let key = check(&expected, &answer)?;
        let subject = NETWORK.subject_of(account)?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

/// The proof of a wallet with the account that it is of, as TON Connect's applications send them to
/// their servers. Other members are passed over.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(crate) struct Answer {
    address: Option<String>,
    network: Option<String>,
    public_key: Option<String>,
    proof: WalletProof,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct WalletProof {
    timestamp: u64,
    domain: Domain,
    payload: String,
    signature: String,
    state_init: String,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct Domain {
    #[serde(rename = "lengthBytes")]
    length_bytes: usize,
    value: String,
}

impl Answer {
    /// Reads the object.
    ///
    /// # Errors
    /// `signature_malformed`.
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        let right = text.len() <= MAX_STRUCTURE;
        let answer: Option<Self> = serde_json::from_str(text).ok().filter(|_| right);
        answer.ok_or_else(|| {
            malformed_signature(
                "a signature is the JSON object {\"proof\": {timestamp, domain: {lengthBytes, \
                 value}, payload, signature, state_init}}, with address, network and public_key \
                 where they are known",
            )
        })
    }

    /// When the wallet signed, by its clock.
    pub(crate) const fn timestamp(&self) -> u64 {
        self.proof.timestamp
    }
}

/// What a proof has to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// The account's address, in its canonical form.
    pub(crate) address: &'a str,
    /// The reference of its chain.
    pub(crate) chain: &'a str,
    /// The domain that asked.
    pub(crate) domain: &'a str,
    /// What it asked to be signed.
    pub(crate) payload: &'a str,
}

/// Verifies a wallet's proof but for its time; the key that signed.
///
/// # Errors
/// `signature_malformed`, `account_invalid`, `domain_not_allowed` or `signature_mismatch`.
pub(crate) fn check(expected: &Expected<'_>, answer: &Answer) -> Result<PublicKey, Refusal> {
    let Answer { address, network, public_key, proof } = answer;
    let hash = ton::parse_address(expected.address).ok_or_else(|| NETWORK.invalid_address())?;
    let raw = || format!("0:{}", hex::encode(hash));
    let signature: [u8; 64] = Some(&proof.signature)
        .filter(|text| text.len() == 88)
        .and_then(|text| STANDARD.decode(text).ok()?.try_into().ok())
        .ok_or_else(|| malformed_signature("the proof's signature is 64 bytes in base64"))?;
    if proof.domain.value != expected.domain || proof.domain.length_bytes != expected.domain.len() {
        return Err(Refusal::new(
            Reason::DomainNotAllowed,
            "the proof was made for another domain than the message names",
        ));
    }
    if address.as_ref().is_some_and(|address| *address != raw())
        || network.as_deref().is_some_and(|network| network != expected.chain)
        || proof.payload != expected.payload
    {
        return Err(mismatch());
    }
    let wallet = wallet_of(&proof.state_init)?;
    let same_key = |text: &String| *text == hex::encode(wallet.key);
    if wallet.hash != hash || !public_key.as_ref().is_none_or(same_key) {
        return Err(mismatch());
    }
    let (domain, payload) = (expected.domain, expected.payload);
    let digest = Proof { hash: &hash, domain, timestamp: proof.timestamp, payload }.digest();
    PublicKey::ed25519_that_signed(&wallet.key, &digest.ok_or_else(mismatch)?, &signature).map_err(
        |error| {
            refused_signer(error, || malformed_signature("the wallet's key is not a right one"))
        },
    )
}

fn wallet_of(state_init: &str) -> Result<Wallet, Refusal> {
    let bag = STANDARD
        .decode(state_init)
        .map_err(|_| malformed_signature("state_init is a bag of cells in base64"))?;
    Wallet::of_state_init(&bag)
        .map_err(|error| Refusal::new(Reason::SignatureMalformed, error.to_string()))
}

/// The wallet's own time must lie within the text's, give or take what clocks differ: it adds
/// nothing to the nonce, but a proof that says otherwise is not one of this sign-in.
fn check_time(answer: &Answer, message: &UnverifiedMessage<'_>) -> Result<(), Refusal> {
    let signed = Timestamp::from_unix(answer.timestamp());
    let early =
        message.issued_at().map(Moment::floor).is_some_and(|at| at.since(signed) > CLOCK_SKEW);
    let late =
        message.expiration_time().map(Moment::ceil).is_some_and(|at| signed.since(at) > CLOCK_SKEW);
    if early || late {
        return Err(Refusal::new(
            Reason::IssuedAtOutOfRange,
            "the proof's timestamp is not within the times of the message",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "ton_tests.rs"]
mod tests;
