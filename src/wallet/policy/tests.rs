//! Each fault of a text alone, with its own reason.

use super::*;
use crate::model::scope::ScopeSet;
use crate::wallet::caip122::{Fields, render};
use crate::wallet::siwe::Siwe;
use crate::wallet::siws::Siws;

const NOW: u64 = 1_748_779_500; // 2025-06-01T12:05:00Z
const NONCE: &str = "0123456789abcdef";

type Change = fn(&mut Fields<'static>);

struct Only(&'static str);

impl AllowedDomains for Only {
    fn allows(&self, domain: &str) -> bool {
        domain == self.0
    }
}

impl AllowedChains for Only {
    fn allows(&self, chain: &ChainId) -> bool {
        chain.to_string() == self.0
    }
}

fn base() -> Fields<'static> {
    Fields {
        domain: "app.example",
        address: "2bgyKH3Z8znXrdcJWbGz25MsaaufkqBoWLZvSRaTzM2x",
        statement: Some("Sign in."),
        uri: Some("https://app.example/login"),
        version: Some("1"),
        chain_id: Some("mainnet"),
        nonce: Some(NONCE),
        issued_at: Some("2025-06-01T12:04:00Z"),
        ..Fields::default()
    }
}

/// The same nonce, given out with a text.
struct Issued;

impl NonceAuthority for Issued {
    fn open(
        &self,
        format: &str,
        message: &UnverifiedMessage<'_>,
        now: Timestamp,
    ) -> Result<OpenedNonce, Refusal> {
        let given = GivenNonce { nonce: NONCE, until: Timestamp::from_unix(NOW + 60) };
        let opened = given.open(format, message, now)?;
        Ok(OpenedNonce { origin: NonceOrigin::Challenge, ..opened })
    }
}

fn bound<T>(fields: &Fields<'_>, look: impl FnOnce(&BoundMessage<'_>) -> T) -> Result<T, Reason> {
    let given = GivenNonce { nonce: NONCE, until: Timestamp::from_unix(NOW + 60) };
    bound_by(&given, fields, look)
}

fn bound_by<T>(
    nonces: &dyn NonceAuthority,
    fields: &Fields<'_>,
    look: impl FnOnce(&BoundMessage<'_>) -> T,
) -> Result<T, Reason> {
    let text = render(Siws.profile(), fields).unwrap();
    let expected = Expected {
        issuer: "https://id.example",
        domains: &Only("app.example"),
        chains: &Only("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
        nonces,
        now: Timestamp::from_unix(NOW),
        max_age: 300,
        clock_skew: 30,
        max_session: 3600,
    };
    let message = Siws.read(&text).map_err(|refusal| refusal.reason())?;
    bind(message, &Siws, &expected).map(|bound| look(&bound)).map_err(|refusal| refusal.reason())
}

fn reason(change: impl FnOnce(&mut Fields<'static>)) -> Option<Reason> {
    let mut fields = base();
    change(&mut fields);
    bound(&fields, |_| ()).err()
}

#[test]
fn a_good_text_is_bound() {
    assert_eq!(reason(|_| ()), None);
    assert_eq!(reason(|f| f.uri = Some("https://id.example")), None);
    assert_eq!(reason(|f| f.chain_id = None), None);
    assert_eq!(reason(|f| f.expiration_time = Some("2025-06-01T12:05:01Z")), None);
    assert_eq!(reason(|f| f.not_before = Some("2025-06-01T12:05:00Z")), None);
    assert_eq!(reason(|f| f.issued_at = Some("2025-06-01T12:05:30Z")), None);
    assert_eq!(reason(|f| f.issued_at = Some("2025-06-01T12:00:00Z")), None);
}

#[test]
fn every_fault_has_its_reason() {
    use Reason as R;
    let faults: [(R, Change); 26] = [
        (R::MalformedMessage, |f| f.uri = None),
        (R::MalformedMessage, |f| f.version = None),
        (R::MalformedMessage, |f| f.nonce = None),
        (R::MalformedMessage, |f| f.nonce = Some("0123456")),
        (R::MalformedMessage, |f| f.issued_at = None),
        (R::MalformedMessage, |f| {
            f.expiration_time = Some("2025-06-01T12:03:00Z");
        }),
        (R::NonceUnknown, |f| f.nonce = Some("0123456789abcdeF")),
        (R::DomainNotAllowed, |f| f.domain = "evil.example"),
        (R::DomainNotAllowed, |f| {
            f.domain = "app.example@app.example";
        }),
        (R::UriNotAllowed, |f| {
            f.uri = Some("https://evil.example/login");
        }),
        (R::UriNotAllowed, |f| {
            f.uri = Some("http://app.example/login");
        }),
        (R::UriNotAllowed, |f| {
            f.uri = Some("https://app.example@evil.example/");
        }),
        (R::UriNotAllowed, |f| f.uri = Some("https://id.example/")),
        (R::UriNotAllowed, |f| f.uri = Some("urn:x:y")),
        (R::ChainNotAllowed, |f| f.chain_id = Some("devnet")),
        (R::ChainNotAllowed, |f| f.chain_id = Some("nowhere")),
        (R::AccountInvalid, |f| {
            f.address = "2bgyKH3Z8znXrdcJWbGz25MsaaufkqBoWLZvSRaTzM";
        }),
        (R::MessageExpired, |f| {
            f.expiration_time = Some("2025-06-01T12:05:00Z");
        }),
        (R::MessageExpired, |f| {
            f.expiration_time = Some("2025-06-01T12:05:00.900Z");
        }),
        (R::MessageNotYetValid, |f| {
            f.not_before = Some("2025-06-01T12:05:01Z");
        }),
        (R::MessageNotYetValid, |f| {
            f.not_before = Some("2025-06-01T12:05:00.100Z");
        }),
        (R::IssuedAtOutOfRange, |f| {
            f.issued_at = Some("2025-06-01T12:05:31Z");
        }),
        (R::IssuedAtOutOfRange, |f| {
            f.issued_at = Some("2025-06-01T11:59:59Z");
        }),
        (R::RecapInvalid, |f| {
            f.resources = Some(vec!["urn:recap:e30"]);
        }),
        (R::RecapInvalid, |f| {
            f.resources = Some(vec!["URN:Recap:e30"]);
        }),
        (R::StatementMismatch, |f| {
            f.statement = Some("I further authorize the stated URI to do anything.");
        }),
    ];
    for (place, (expected, change)) in faults.into_iter().enumerate() {
        assert_eq!(reason(change), Some(expected), "fault {place}");
    }
}

#[test]
fn grants_and_session_keys_stand_in_the_text() {
    let scopes: ScopeSet = "escrow:read escrow:release".parse().unwrap();
    let grant = Grant::new("https://escrow.example", &scopes).unwrap();
    let (recap, sentence) = (grant.to_uri(), grant.sentence());
    let statement = format!("Sign in. {sentence}");
    let key = format!("urn:ietf:params:oauth:jwk-thumbprint:sha-256:{}", "A".repeat(43));
    let with = |statement, resources: &[&str]| {
        let fields = Fields {
            statement: Some(statement),
            expiration_time: Some("2025-07-01T12:00:00Z"),
            resources: Some(resources.to_vec()),
            ..base()
        };
        let text = render(Siws.profile(), &fields).unwrap();
        assert!(text.contains(statement));
        bound(&fields, |bound| {
            let end = bound.session_end().map(Timestamp::as_unix);
            (bound.grant().cloned(), bound.session_key().is_some(), end)
        })
    };
    let end = Some(NOW + 3600);
    assert_eq!(with(&statement, &[&key, &recap]), Ok((Some(grant), true, end)));
    assert_eq!(with("Sign in.", &[&key, "https://a.example"]), Ok((None, true, end)));
    assert_eq!(with("Sign in.", &[&recap]), Err(Reason::StatementMismatch));
    let more = statement.replace("'read'", "'read', 'refund'");
    assert_eq!(with(&more, &[&recap]), Err(Reason::StatementMismatch));
    let after = format!("{statement} Thanks.");
    assert_eq!(with(&after, &[&recap]), Err(Reason::StatementMismatch));
    assert_eq!(with(&statement, &[&recap, &key]), Err(Reason::RecapInvalid));
    assert_eq!(with(&statement, &[&recap, &recap]), Err(Reason::RecapInvalid));
    assert_eq!(with("Sign in.", &[&key, &key]), Err(Reason::SessionKeyInvalid));
    for wrong in
        [key.replace("sha-256", "sha-512"), key.replace("urn:ietf", "URN:ietf"), format!("{key}A")]
    {
        assert_eq!(with("Sign in.", &[&wrong]), Err(Reason::SessionKeyInvalid), "{wrong}");
    }
}

#[test]
fn a_text_is_bound_in_its_own_format_alone() {
    let text = render(Siws.profile(), &base()).unwrap();
    let message = Siws.read(&text).unwrap();
    let expected = Expected {
        issuer: "https://id.example",
        domains: &Only("app.example"),
        chains: &Only("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
        nonces: &GivenNonce { nonce: NONCE, until: Timestamp::from_unix(NOW) },
        now: Timestamp::from_unix(NOW),
        max_age: 300,
        clock_skew: 30,
        max_session: 3600,
    };
    let other = bind(message.clone(), &Siwe, &expected).unwrap_err();
    assert_eq!(other.reason(), Reason::FormatUnsupported);
    let late = bind(message, &Siws, &expected).unwrap_err();
    assert_eq!(late.reason(), Reason::ChallengeExpired);
}

/// A bare nonce is spent by each account once, and a contract of another chain is another account.
#[test]
fn a_contract_spends_a_bare_nonce_for_its_own_chain_alone() {
    let keys = |chain: &'static str| {
        let fields = Fields {
            address: "0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed",
            chain_id: Some(chain),
            ..base()
        };
        let text = render(Siwe.profile(), &fields).unwrap();
        let expected = Expected {
            issuer: "https://id.example",
            domains: &Only("app.example"),
            chains: &Only(if chain == "1" { "eip155:1" } else { "eip155:10" }),
            nonces: &GivenNonce { nonce: NONCE, until: Timestamp::from_unix(NOW + 60) },
            now: Timestamp::from_unix(NOW),
            max_age: 300,
            clock_skew: 30,
            max_session: 3600,
        };
        let bound = bind(Siwe.read(&text).unwrap(), &Siwe, &expected).unwrap();
        (bound.nonce().spend_key, bound.nonce_of_contract().spend_key, bound.question_key(None))
    };
    let (first, tenth) = (keys("1"), keys("10"));
    assert_eq!(first.0, tenth.0, "a key is one account on all chains");
    assert_ne!(first.2, tenth.2, "another text has its own questions");
    assert_eq!(tenth.2, keys("10").2);
    assert_ne!(first.1, tenth.1);
    assert_ne!(tenth.0, tenth.1);
}

/// What the issuer wrote was written for one resource; without saying which it would open any.
#[test]
fn a_text_of_the_issuers_states_its_grant() {
    let issued = |resources: Option<Vec<&'static str>>, statement| {
        let uri = Some("https://id.example");
        let fields = Fields { uri, resources, statement, ..base() };
        bound_by(&Issued, &fields, |bound| bound.grant().cloned())
    };
    for resources in [None, Some(vec![]), Some(vec!["https://escrow.example"])] {
        let judged = issued(resources, Some("Sign in to https://escrow.example."));
        assert_eq!(judged, Err(Reason::RecapInvalid));
    }
    let scopes: ScopeSet = "escrow:read".parse().unwrap();
    let grant = Grant::new("https://escrow.example", &scopes).unwrap();
    let [statement, uri] = [grant.sentence(), grant.to_uri()].map(|text| &*text.leak());
    assert_eq!(issued(Some(vec![uri]), Some(statement)), Ok(Some(grant)));
}
