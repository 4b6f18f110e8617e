//! What the format `siwe` takes and refuses, and what it leaves to be asked.

use super::*;

const TEXT: &str = "app.example.com wants you to sign in with your Ethereum account:\n0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed\n\nSign in to the example service.\n\nURI: https://app.example.com/login\nVersion: 1\nChain ID: 1\nNonce: FOQ4nq6HJYt8DijY\nIssued At: 2025-06-01T12:00:00.000Z\nExpiration Time: 2025-06-01T12:10:00.000Z";
const SIGNATURE: &str = "0x7821a17268cfaf80b89bd5a9a6b5167768e0b8795fe42122f0bc2e09461c08041949d060a7f536783886e81c6ca16203a546da5fcffb6bbfc0fcf9bd7bcd26ae1b";

fn reason(text: &str, signature: &str) -> Result<(), Reason> {
    let evidence = Evidence { signature, public_key: None };
    Siwe.read(text)
        .and_then(|message| Siwe.verify(&message, &evidence))
        .map(|_| ())
        .map_err(|refusal| refusal.reason())
}

#[test]
fn takes_every_encoding_of_the_right_signature_and_no_other() {
    let rs = SIGNATURE.strip_suffix("1b").unwrap();
    for signature in [SIGNATURE, &format!("{rs}00"), rs, &SIGNATURE.replace('f', "F")] {
        assert_eq!(reason(TEXT, signature), Ok(()), "{signature}");
    }
    for (signature, expected) in [
        ("", Reason::SignatureMalformed),
        ("0x", Reason::SignatureMalformed),
        (&SIGNATURE[2..], Reason::SignatureMalformed),
        (&format!("{rs}1d"), Reason::SignatureMalformed),
        (&format!("{rs}1b00"), Reason::SignatureMalformed),
        (&format!("0x{}", &SIGNATURE[..130]), Reason::SignatureMalformed),
        (&format!("0x{}", "00".repeat(65)), Reason::SignatureMalformed),
        (&format!("{rs}1c"), Reason::SignatureMismatch),
        (
            "0x7821a17268cfaf80b89bd5a9a6b5167768e0b8795fe42122f0bc2e09461c0804e6b62f9f580ac987c77917e3935e9dfb15680286df4d347bfed564cf54691a931c",
            Reason::MalleableSignature,
        ),
    ] {
        assert_eq!(reason(TEXT, signature), Err(expected), "{signature}");
    }
    let changed = TEXT.replace("example service", "exemple service");
    assert_eq!(reason(&changed, SIGNATURE), Err(Reason::SignatureMismatch));
}

#[test]
fn a_subject_is_the_same_on_every_chain() {
    let message = Siwe.read(TEXT).unwrap();
    let evidence = Evidence { signature: SIGNATURE, public_key: None };
    let signer = Siwe.verify(&message, &evidence).unwrap();
    assert_eq!(signer.subject(), "did:pkh:eip155:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed");
    let chained = TEXT.replace("Chain ID: 1", "Chain ID: 137");
    let account = Siwe.accounts().account_of(&Siwe.read(&chained).unwrap()).unwrap();
    assert_eq!(account.to_string(), "eip155:137:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed");
}

#[test]
fn addresses_and_chains_have_one_spelling_in_a_text() {
    let lower = TEXT.replace(
        "0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed",
        "0xf3f4f90b63eb726bf2778b99c98cb9a8227518ed",
    );
    for text in [
        lower,
        TEXT.replace("518Ed", "518ed"),
        TEXT.replace("Chain ID: 1", "Chain ID: 01"),
        TEXT.replace("Chain ID: 1", "Chain ID: eip155"),
        TEXT.replace("Chain ID: 1", "Chain ID: 99999999999999999999"),
    ] {
        let account = Siwe.read(&text).and_then(|message| Siwe.accounts().account_of(&message));
        assert!(account.is_err(), "{text}");
    }
    let with_scheme = format!("https://{TEXT}");
    assert!(Siwe.read(&with_scheme).is_ok());
}

#[test]
fn asked_accounts_become_eip55() {
    let canonical = |text: &str| {
        let account: Account = text.parse().unwrap();
        Siwe.accounts().canonical_account(&account).map(|account| account.to_string())
    };
    let right = "eip155:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed";
    assert_eq!(canonical(right).unwrap(), right);
    assert_eq!(canonical("eip155:1:0xf3f4f90b63eb726bf2778b99c98cb9a8227518ed").unwrap(), right);
    for wrong in [
        "eip155:1:0xF3f4F90b63eb726Bf2778B99c98Cb9a8227518Ed",
        "eip155:1:0xF3F4",
        "eip155:01:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed",
        "solana:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed",
    ] {
        assert!(canonical(wrong).is_err(), "{wrong}");
    }
}

/// What there is to ask about a signature that the address's key has not made.
fn question(signature: &str) -> Result<Question, Reason> {
    let evidence = Evidence { signature, public_key: None };
    let message = Siwe.read(TEXT).unwrap();
    let account = Siwe.account_of(&message).unwrap();
    let refused = Siwe.verify_by(&account, &message, &evidence).unwrap_err();
    let question = Siwe.question(&account, &message, &evidence, refused);
    question.map_err(|refusal| refusal.reason())
}

#[test]
fn every_other_signature_may_be_a_contracts() {
    let longest = format!("0x{}", "ab".repeat(MAX_CONTRACT_SIGNATURE));
    let other = SIGNATURE.replace("0x78", "0x79").replace("1b", "1f");
    for signature in ["0x", "0xab", &other, &longest] {
        let Ok(Question::Contract(question)) = question(signature) else {
            panic!("no question: {signature}")
        };
        let account = "eip155:1:0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed";
        assert_eq!(question.account().to_string(), account);
    }
    for signature in
        ["", "ab", "0xabc", "0xgg", &format!("{longest}ab"), &format!("0x{}", "6492".repeat(16))]
    {
        assert_eq!(question(signature), Err(Reason::SignatureMalformed), "{signature}");
    }
}

/// `abi.encode(factory, "", signature)` and the suffix of ERC-6492.
fn wrapped(signature: &str) -> String {
    let digits = signature.strip_prefix("0x").unwrap();
    let length = digits.len() / 2;
    let padding = "00".repeat(length.next_multiple_of(32) - length);
    let suffix = "6492".repeat(16);
    format!(
        "0x{:0>64}{:064x}{:064x}{:064x}{length:064x}{digits}{padding}{suffix}",
        "07", 96, 128, 0
    )
}

#[test]
fn a_signature_of_the_addresss_own_key_is_no_contracts_in_any_dress() {
    let rs = SIGNATURE.strip_suffix("1b").unwrap();
    let other_s = "0x7821a17268cfaf80b89bd5a9a6b5167768e0b8795fe42122f0bc2e09461c0804e6b62f9f580ac987c77917e3935e9dfb15680286df4d347bfed564cf54691a93";
    for (signature, reason) in [
        (format!("{rs}1d"), Reason::SignatureMalformed),
        (format!("{rs}1c"), Reason::SignatureMismatch),
        (format!("{other_s}1c"), Reason::MalleableSignature),
        (format!("{other_s}1b"), Reason::MalleableSignature),
        (format!("{other_s}ff"), Reason::SignatureMalformed),
    ] {
        assert_eq!(question(&signature), Err(reason), "{signature}");
    }
    // Wrapped by ERC-6492, around whichever factory, it is the key's all the same.
    for inner in [SIGNATURE, rs, &format!("{rs}1d"), &format!("{other_s}1c")] {
        assert_eq!(question(&wrapped(inner)), Err(Reason::SignatureMalformed), "{inner}");
    }
    assert!(question(&wrapped(&SIGNATURE.replace("0x78", "0x79"))).is_ok());
    // Without v, the high S reads as a parity and another S; the bytes are the key's all the same.
    assert!(question(other_s).is_err());
}
