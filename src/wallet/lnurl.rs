//! Lightning: a wallet that is shown a link signs the SHA-256 of the text, and sends that to the issuer.
//!
//! Which key will sign is not known before it has: a wallet derives one for each domain. So a text may
//! name whoever answers, and then it is the session key in it that says whose sign-in it is. The wallet
//! shows the domain and nothing of the text; and whoever leads a person to scan his own link is signed
//! in as that person. A resource must name this format to take it.
//!
//! Specs: LUD-01, LUD-04, the did:key method.

use std::sync::LazyLock;

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::chain::lnurl::{Answer, CALL_BACK_PATH, k1_of, link_of};
use countersign_sdk::key::{Curve, NotSigner, PublicKey};
use serde_json::{Value, json};

use super::accounts::{Accounts, Spelling};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{Evidence, Issuing, VerifiedSigner, WalletFormat, mismatch, refused_signature};
use super::key::KeyAccounts;
use crate::model::reason::{Reason, Refusal};

/// The address line of a text that whoever answers may sign.
const ANY: &str = "any";

/// Seconds that a client waits between two questions whether the wallet has answered.
const INTERVAL: u64 = 2;

/// The point of BIP-341 that nobody knows the secret of: it stands for whoever answers, and whoever
/// claimed to be it would have to sign with it.
static WHOEVER: LazyLock<Option<Account>> = LazyLock::new(|| {
    let mut x = [0; 32];
    let nothing_up_my_sleeve = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";
    hex::decode_to_slice(nothing_up_my_sleeve, &mut x).ok()?;
    Account::of_key(&PublicKey::from_x_only(&x).ok()?)
});

fn is_whoever(account: &Account) -> bool {
    WHOEVER.as_ref() == Some(account)
}

static KEYS: KeyAccounts = KeyAccounts {
    format: "lnurl",
    signs_with: |key| key.curve() == Curve::Secp256k1,
    an_account: "an account of the format lnurl is the did:key of a secp256k1 key; leave it out where \
                 it is for the wallet to say",
};

/// Keys of secp256k1, and whoever answers.
#[derive(Debug)]
struct LinkingKeys;

impl Accounts for LinkingKeys {
    fn namespaces(&self) -> &'static [&'static str] {
        KEYS.namespaces()
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        if is_whoever(account) {
            return Err(Refusal::new(Reason::AccountInvalid, KEYS.an_account));
        }
        KEYS.canonical_account(account)
    }

    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        KEYS.canonical_chain(chain)
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        KEYS.subject_of(account)
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        if is_whoever(account) {
            return Some(Spelling { address: ANY, chain_id: None });
        }
        KEYS.spelling(account)
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        if message.fields().address == ANY {
            let missing = || Refusal::new(Reason::ServerError, "no stand-in for an account");
            return WHOEVER.clone().ok_or_else(missing);
        }
        self.canonical_account(&KEYS.account_of(message)?)
    }
}

/// The format `lnurl`.
#[derive(Clone, Copy, Debug)]
pub struct Lnurl;

impl WalletFormat for Lnurl {
    fn name(&self) -> &'static str {
        KEYS.format
    }

    fn accounts(&self) -> &dyn Accounts {
        &LinkingKeys
    }

    /// The wallet shows the issuer's domain alone.
    fn shows_text(&self) -> bool {
        false
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::LIGHTNING
    }

    fn has_payload(&self) -> bool {
        true
    }

    fn needs_public_key(&self) -> bool {
        true
    }

    fn whoever_answers(&self) -> Option<Account> {
        WHOEVER.clone()
    }

    /// The link for the wallet, and how often to ask for its answer.
    fn payload_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        issuing: &dyn Issuing,
    ) -> Result<Option<Value>, Refusal> {
        let k1 = k1_of(message.text());
        let state = issuing.call_back_state(&k1, named_key(account)?.as_ref())?;
        let issuer = message.fields().uri.unwrap_or_default();
        let k1 = hex::encode(k1);
        let url = format!("{issuer}{CALL_BACK_PATH}?tag=login&k1={k1}&action=login&state={state}");
        let too_long = || Refusal::new(Reason::ServerError, "the issuer's URL is too long");
        let link = link_of(&url).ok_or_else(too_long)?;
        Ok(Some(json!({"lnurl": link, "interval": INTERVAL})))
    }

    /// None: `key`, of the same namespace, gives it.
    fn subjects_of_key(&self, _key: &PublicKey) -> Vec<String> {
        Vec::new()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let missing = || {
            let detail = "public_key is missing: the wallet's key, 33 bytes in hex";
            Refusal::new(Reason::ParameterMissing, detail)
        };
        let key = evidence.public_key.ok_or_else(missing)?;
        let answer = Answer::read(key, evidence.signature).map_err(refused)?;
        let key = answer.verify(&k1_of(message.text())).map_err(refused)?;
        let signer = Account::of_key(&key).ok_or_else(mismatch)?;
        if !is_whoever(account) && *account != signer {
            return Err(mismatch());
        }
        let subject = KEYS.subject_of(&signer)?;
        Ok(VerifiedSigner::proven(key, self.name(), signer, subject))
    }
}

/// The key whose answer a text is for; none where it is for whoever answers.
fn named_key(account: &Account) -> Result<Option<[u8; 33]>, Refusal> {
    if is_whoever(account) {
        return Ok(None);
    }
    let key = match account {
        Account::Key(named) => named.key().compressed_secp256k1(),
        Account::Chain(_) => None,
    };
    key.map(Some).ok_or_else(|| Refusal::new(Reason::AccountInvalid, KEYS.an_account))
}

/// The refusal for an answer of a wallet that is none.
pub(crate) fn refused(error: NotSigner) -> Refusal {
    match error {
        NotSigner::Key(error) => Refusal::new(Reason::PublicKeyInvalid, error.to_string()),
        NotSigner::Signature(error) => refused_signature(error),
    }
}

#[cfg(test)]
#[path = "lnurl_tests.rs"]
mod tests;
