//! What is read as a challenge of Stellar, and what is not.

use proptest::prelude::*;

use super::*;
use crate::chain::stellar::decode_account;

/// Of `tests/vectors/generated/sep10.json`, by @stellar/stellar-sdk.
const KNOWN: &str = "AAAAAgAAAABD6sqM7Os9d6bfab/2llQExYYwmHzH7XPtI8S0QAo8UQAAAMgAAAAAAAAAAAAAAAEAAAAAaDxAwAAAAABoPEHsAAAAAAAAAAIAAAABAAAAAKBeiG5DgF9wu7jXqLbG0vNZanjUTDHhusk1b/XS7DMgAAAACgAAABBleGFtcGxlLmNvbSBhdXRoAAAAAQAAAEAwQlEycXkvdndacnBVZlczRjVWcEJaNlB1dUtSMEQxV3RUMTZxWVBPNFNiK2EwOXZQT0NRVzhSRzJ2NWVHL0srAAAAAQAAAABD6sqM7Os9d6bfab/2llQExYYwmHzH7XPtI8S0QAo8UQAAAAoAAAAPd2ViX2F1dGhfZG9tYWluAAAAAAEAAAAQYXV0aC5leGFtcGxlLmNvbQAAAAAAAAACQAo8UQAAAEC2dqCRO7JfQ10IksB82nUcqKjaDTtpSFw+9clkl3HUm9gA4W5Bk72ft64j6VeWESeZ2XZFckIbMRFV10zJSF4B0uwzIAAAAEA0VhLjesE7OexddG8uc9TiIFRcYP/eyrtL4U1TWZVAomyb43EGPkvNdfNMSiOV4bH8RAIH/1+cVwAniaYltUcH";

fn sample() -> Challenge {
    Challenge {
        server: [1; 32],
        client: [2; 32],
        home_domain: "app.example".to_owned(),
        web_auth_domain: "id.example:8443".to_owned(),
        nonce: nonce_of("text"),
        min_time: 1000,
        max_time: 1900,
    }
}

/// The transaction of `sample` with the bytes `from` replaced, each as 32-bit numbers.
fn altered(from: &[u32], to: &[u32]) -> String {
    let bytes = |numbers: &[u32]| -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    };
    let whole = STANDARD.decode(Envelope::of(sample()).unwrap().write()).unwrap();
    let (from, to) = (bytes(from), bytes(to));
    let at = whole.windows(from.len()).position(|window| window == from).unwrap();
    let mut other = whole[..at].to_vec();
    other.extend_from_slice(&to);
    other.extend_from_slice(&whole[at + from.len()..]);
    STANDARD.encode(other)
}

#[test]
fn reads_what_the_library_of_the_network_wrote() {
    let envelope = Envelope::read(KNOWN).unwrap();
    let challenge = envelope.challenge();
    let key = |text| decode_account(text).unwrap();
    assert_eq!(challenge.server, key("GBB6VSUM5TVT255G35U375UWKQCMLBRQTB6MP3LT5UR4JNCABI6FCXR3"));
    assert_eq!(challenge.client, key("GCQF5CDOIOAF64F3XDL2RNWG2LZVS2TY2RGDDYN2ZE2W75OS5QZSAGYG"));
    assert_eq!(challenge.home_domain, "example.com");
    assert_eq!(challenge.web_auth_domain, "auth.example.com");
    assert_eq!((challenge.min_time, challenge.max_time), (1_748_779_200, 1_748_779_500));
    assert_eq!(challenge.transaction().as_deref(), Some(envelope.transaction()));
    assert_eq!(envelope.write(), KNOWN);
    let [server, client] = envelope.signatures() else { panic!("two signatures") };
    let hash = envelope.hash(passphrase("testnet").unwrap());
    for (signature, key) in [(server, challenge.server), (client, challenge.client)] {
        assert!(signature.names(&key));
        let key = crate::key::PublicKey::from_ed25519_bytes(&key).unwrap();
        assert_eq!(key.verify_wallet(&hash, &signature.signature), Ok(()));
        let elsewhere = envelope.hash(passphrase("pubnet").unwrap());
        assert!(key.verify_wallet(&elsewhere, &signature.signature).is_err());
    }
}

#[test]
fn every_other_transaction_is_refused_by_name() {
    let right = Envelope::of(sample()).unwrap();
    assert_eq!(Envelope::read(&right.write()), Ok(right));
    let word = 0x0101_0101;
    for (from, to, why) in [
        (&[2, 0, word][..], &[5, 0, word][..], "fee bump"),
        (&[2, 0, word], &[0, 0, word], "CAP-15"),
        (&[2, 0, word], &[2, 0x100, 0, 7, word], "muxed"),
        (&[0, 0, 1, 0, 1000], &[0, 7, 1, 0, 1000], "sequence number"),
        (&[1, 0, 1000, 0, 1900], &[0], "no time bounds"),
        (&[1, 0, 1000, 0, 1900], &[2, 0], "preconditions"),
        (&[0, 1000, 0, 1900], &[0, 0, 0, 0], "open"),
        (&[0, 1000, 0, 1900], &[0, 1000, 0, 1901], "15 minutes"),
        (&[0, 1000, 0, 1900], &[0, 1000, 0, 999], "15 minutes"),
        (&[1900, 0, 2], &[1900, 2, 0, 5, 2], "memo"),
        (&[1900, 0, 2], &[1900, 0, 3], "other operations"),
        (&[1900, 0, 2], &[1900, 0, 1], "other operations"),
        (&[2, 1, 0, 0x0202_0202], &[2, 0, 0x0202_0202], "no source"),
        (&[2, 1, 0, 0x0202_0202], &[2, 1, 0x100, 0, 1, 0x0202_0202], "muxed"),
        (&[10, 16, 0x6170_702e], &[1, 16, 0x6170_702e], "more than to set data"),
        (&[0x6175_7468, 1, 64], &[0x6175_7469, 1, 64], "no home domain"),
        (&[0x6175_7468, 1, 64], &[0x6175_7468, 0, 64], "no value"),
        (&[1, 0, word, word], &[1, 0, word, word + 1], "web_auth_domain"),
    ] {
        let found = Envelope::read(&altered(from, to)).unwrap_err().to_string();
        assert!(found.contains(why), "{why}: {found}");
    }
    // One that is cut, one that goes on, and one in another spelling of base64.
    let written = Envelope::of(sample()).unwrap().write();
    let bytes = STANDARD.decode(&written).unwrap();
    for length in 0..bytes.len() {
        assert!(Envelope::read(&STANDARD.encode(&bytes[..length])).is_err());
    }
    assert!(Envelope::read(&STANDARD.encode([&bytes[..], &[0; 4]].concat())).is_err());
    for broken in [String::new(), format!(" {written}"), format!("{written}="), "A".repeat(9000)] {
        assert!(Envelope::read(&broken).is_err());
    }
}

#[test]
fn domains_that_do_not_fit_make_no_transaction() {
    let mut long = Challenge { home_domain: "a".repeat(60), ..sample() };
    assert_eq!(long.transaction(), None);
    long.home_domain = "a".repeat(59);
    assert!(long.transaction().is_some());
    long.web_auth_domain = "a".repeat(65);
    assert_eq!(long.transaction(), None);
    assert_eq!((last_second(5, None), last_second(5, Some(9))), (905, 9));
}

proptest! {
    /// What is read was written so, byte for byte: nothing in it is passed over but the fee.
    #[test]
    fn one_changed_byte_is_seen(at in 0_usize..360, change in 1_u8..) {
        let written = Envelope::of(sample()).unwrap().write();
        let mut bytes = STANDARD.decode(&written).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= change;
        let text = STANDARD.encode(&bytes);
        if let Ok(read) = Envelope::read(&text) {
            prop_assert_eq!(read.write(), text);
            let fee = (40..44).contains(&at);
            prop_assert!(fee || *read.challenge() != sample(), "{}", at);
        }
    }
}
