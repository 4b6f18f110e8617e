//! ADR-36: a Cosmos wallet signs a transaction that does nothing, with the text in it.
//!
//! The document is rebuilt here from the text and its address; one that is sent is not looked at. An
//! address is a hash of the key, so the key comes beside the signature, and the address decides both
//! whether it is the right one and, for the Ethermint family, which hash was signed. The same 20 bytes
//! under another chain's prefix are the same subject.
//!
//! Specs: ADR-036, CAIP-2 and CAIP-10 for cosmos.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::chain::cosmos::{
    Address, CANONICAL_CHAIN, CANONICAL_PREFIX, Family, sign_doc,
};
use countersign_sdk::key::secp256k1::{LowS, verify_digest};
use countersign_sdk::key::{Curve, PublicKey};
use serde_json::Value;

use super::accounts::{Accounts, Spelling};
use super::caip122::{self, Profile, UnverifiedMessage};
use super::chain_account::{named, of_namespace, reference_in, spelling};
use super::format::{
    Evidence, VerifiedSigner, WalletFormat, malformed_signature, mismatch, refused_signature,
};
use crate::model::reason::{Reason, Refusal};

const NAMESPACE: &str = "cosmos";

/// The characters of 64 bytes in base64, and of a key's 33.
const SIGNATURE_CHARACTERS: usize = 88;
const KEY_CHARACTERS: usize = 44;

/// The format `adr36`.
#[derive(Clone, Copy, Debug)]
pub struct Adr36;

impl WalletFormat for Adr36 {
    fn name(&self) -> &'static str {
        "adr36"
    }

    fn accounts(&self) -> &dyn Accounts {
        self
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::COSMOS
    }

    fn has_payload(&self) -> bool {
        true
    }

    fn needs_public_key(&self) -> bool {
        true
    }

    /// The document, for wallets that sign one (`signAmino`) and not a text (`signArbitrary`).
    fn payload(
        &self,
        _account: &Account,
        message: &UnverifiedMessage<'_>,
    ) -> Result<Option<Value>, Refusal> {
        Ok(Some(sign_doc(message.fields().address, message.text())))
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let accounts = Family::ALL.into_iter().filter_map(|family| family.account_of(key));
        accounts.filter_map(|account| subject(account).ok()).collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let address = Address::parse(message.fields().address).ok_or_else(invalid_address)?;
        let key = prove(&address, message.text().as_bytes(), evidence)?;
        let subject = subject(*address.account())?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

impl Accounts for Adr36 {
    fn namespaces(&self) -> &'static [&'static str] {
        &[NAMESPACE]
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        let inner = of_namespace(self.name(), NAMESPACE, account)?;
        address_on(inner.chain().reference(), inner.address())?;
        Ok(account.clone())
    }

    /// Any chain: which there are, nobody lists.
    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        (chain.namespace() == NAMESPACE).then(|| chain.clone())
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        let inner = of_namespace(self.name(), NAMESPACE, account)?;
        subject(*address_on(inner.chain().reference(), inner.address())?.account())
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        spelling(NAMESPACE, account)
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        let reference = reference_in(message, NAMESPACE);
        address_on(reference, message.fields().address)?;
        named(NAMESPACE, reference, message.fields().address)
    }
}

/// The key that signed `data`, such as a text, for `address`.
///
/// # Errors
/// `parameter_missing` without a key, `public_key_invalid`, and then those of a signature.
pub fn prove(
    address: &Address,
    data: &[u8],
    evidence: &Evidence<'_>,
) -> Result<PublicKey, Refusal> {
    let signature = decode::<64>(evidence.signature, SIGNATURE_CHARACTERS)
        .ok_or_else(|| malformed_signature("a signature is the base64 of 64 bytes, r and s"))?;
    let key = evidence.public_key.ok_or_else(|| {
        Refusal::new(Reason::ParameterMissing, "the format adr36 needs `public_key`")
    })?;
    let key = decode::<33>(key, KEY_CHARACTERS)
        .and_then(|bytes| PublicKey::from_sec1(Curve::Secp256k1, &bytes).ok())
        .ok_or_else(|| {
            let detail = "`public_key` is the base64 of a compressed secp256k1 key, 33 bytes";
            Refusal::new(Reason::PublicKeyInvalid, detail)
        })?;
    let family = Family::ALL
        .into_iter()
        .find(|family| family.account_of(&key).as_ref() == Some(address.account()))
        .ok_or_else(mismatch)?;
    let signer = address.to_text().ok_or_else(invalid_address)?;
    let digest = family.digest(&signer, data);
    verify_digest(&key, &digest, &signature, LowS::Required).map_err(refused_signature)?;
    Ok(key)
}

fn decode<const N: usize>(text: &str, characters: usize) -> Option<[u8; N]> {
    if text.len() != characters {
        return None;
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn address_on(reference: &str, address: &str) -> Result<Address, Refusal> {
    let address = Address::parse(address).ok_or_else(invalid_address)?;
    // Prefixes of other chains are theirs to choose; this one is known.
    if reference == CANONICAL_CHAIN && address.prefix() != CANONICAL_PREFIX {
        let detail = "an address on cosmoshub-4 begins with cosmos1";
        return Err(Refusal::new(Reason::AccountInvalid, detail));
    }
    Ok(address)
}

fn subject(account: [u8; 20]) -> Result<String, Refusal> {
    let address = Address::new(CANONICAL_PREFIX, account).and_then(|address| address.to_text());
    Ok(named(NAMESPACE, CANONICAL_CHAIN, &address.ok_or_else(invalid_address)?)?.to_did())
}

fn invalid_address() -> Refusal {
    Refusal::new(
        Reason::AccountInvalid,
        "a Cosmos account is 20 bytes in bech32, in lower case and under its chain's prefix",
    )
}

#[cfg(test)]
mod tests {
    use countersign_sdk::key::{InMemorySigner, Signer as _};

    use super::*;

    fn signer(byte: u8) -> InMemorySigner {
        InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap()
    }

    fn address(signer: &InMemorySigner, family: Family, prefix: &str) -> String {
        let account = family.account_of(signer.public_key()).unwrap();
        Address::new(prefix, account).unwrap().to_text().unwrap()
    }

    fn text_for(address: &str, chain: &str) -> String {
        format!(
            "app.example wants you to sign in with your Cosmos account:\n{address}\n\nSign in.\n\n\
             URI: https://id.example\nVersion: 1\nChain ID: {chain}\nNonce: 0123456789abcdef\n\
             Issued At: 2025-06-01T12:00:00Z"
        )
    }

    fn sign(signer: &InMemorySigner, digest: [u8; 32]) -> Vec<u8> {
        signer.sign_digest_recoverable(&digest).unwrap().0.to_vec()
    }

    fn key_of(signer: &InMemorySigner) -> String {
        STANDARD.encode(signer.public_key().compressed_secp256k1().unwrap())
    }

    fn reason(text: &str, signature: &[u8], key: Option<&str>) -> Result<String, Reason> {
        reason_of(text, &STANDARD.encode(signature), key)
    }

    fn reason_of(text: &str, signature: &str, public_key: Option<&str>) -> Result<String, Reason> {
        let evidence = Evidence { signature, public_key };
        Adr36
            .read(text)
            .and_then(|message| Adr36.verify(&message, &evidence))
            .map(|signer| signer.subject().to_owned())
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn both_families_on_several_chains() {
        let ours = signer(9);
        for (family, prefix, chain) in [
            (Family::Cosmos, "cosmos", "cosmoshub-4"),
            (Family::Cosmos, "osmo", "cosmos:osmosis-1"),
            (Family::Ethermint, "inj", "injective-1"),
            (Family::Ethermint, "evmos", "evmos_9001-2"),
        ] {
            let address = address(&ours, family, prefix);
            let text = text_for(&address, chain);
            let right = sign(&ours, family.digest(&address, text.as_bytes()));
            let key = key_of(&ours);
            let subject = reason(&text, &right, Some(&key)).unwrap();
            assert!(Adr36.subjects_of_key(ours.public_key()).contains(&subject));
            assert!(subject.starts_with("did:pkh:cosmos:cosmoshub-4:cosmos1"), "{subject}");
            // The other family's hash, the bare text, and the text of another signer.
            let [one, two] = Family::ALL;
            let other = if family == one { two } else { one };
            let plain = countersign_sdk::chain::hash::sha256(text.as_bytes());
            let elsewhere = text.replace("app.example wants", "evil.example wants");
            for wrong in [
                sign(&ours, other.digest(&address, text.as_bytes())),
                sign(&ours, plain),
                sign(
                    &ours,
                    family.digest(&self::address(&signer(8), family, prefix), text.as_bytes()),
                ),
                sign(&ours, family.digest(&address, elsewhere.as_bytes())),
                sign(&signer(8), family.digest(&address, text.as_bytes())),
            ] {
                let mismatch = Err(Reason::SignatureMismatch);
                assert_eq!(reason(&text, &wrong, Some(&key)), mismatch);
                assert_eq!(reason(&text, &wrong, Some(&key_of(&signer(8)))), mismatch);
            }
        }
    }

    #[test]
    fn signature_and_key_have_one_encoding() {
        let ours = signer(9);
        let address = address(&ours, Family::Cosmos, "cosmos");
        let text = text_for(&address, "cosmoshub-4");
        let right = sign(&ours, Family::Cosmos.digest(&address, text.as_bytes()));
        let key = key_of(&ours);
        let encoded = STANDARD.encode(&right);
        let mut flipped = right.clone();
        flipped[40] ^= 1;
        let mut high = right.clone();
        high[32] = 0xf0;
        let mismatch = Err(Reason::SignatureMismatch);
        assert_eq!(reason(&text, &flipped, Some(&key)), mismatch);
        assert_eq!(reason(&text, &high, Some(&key)), Err(Reason::MalleableSignature));
        for broken in [
            String::new(),
            encoded.trim_end_matches('=').to_owned(),
            hex::encode(&right),
            STANDARD.encode(&right[..63]),
            STANDARD.encode([&right[..], &[0]].concat()),
            STANDARD.encode([0; 64]),
        ] {
            let malformed = Err(Reason::SignatureMalformed);
            assert_eq!(reason_of(&text, &broken, Some(&key)), malformed, "{broken}");
        }
        assert_eq!(reason(&text, &right, None), Err(Reason::ParameterMissing));
        for broken in [
            "",
            &hex::encode(ours.public_key().compressed_secp256k1().unwrap()),
            &STANDARD.encode(ours.public_key().as_bytes()),
            &STANDARD.encode([2; 32]),
            &STANDARD.encode([5; 33]),
            &STANDARD.encode([&[2][..], &[0xff; 32]].concat()),
        ] {
            let invalid = Err(Reason::PublicKeyInvalid);
            assert_eq!(reason(&text, &right, Some(broken)), invalid, "{broken}");
        }
    }

    #[test]
    fn the_hub_has_its_own_prefix() {
        let osmosis = address(&signer(9), Family::Cosmos, "osmo");
        let account =
            |chain: &str| -> Account { format!("cosmos:{chain}:{osmosis}").parse().unwrap() };
        assert!(Adr36.canonical_account(&account("osmosis-1")).is_ok());
        let refusal = Adr36.canonical_account(&account("cosmoshub-4")).unwrap_err();
        assert_eq!(refusal.reason(), Reason::AccountInvalid);
    }
}
