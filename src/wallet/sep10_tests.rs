//! What the format `sep10` takes and refuses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::entropy::OsEntropy;

use super::*;
use crate::wallet::samples::{self, SMALL_KEY, SMALL_SIGNATURE, plus_order};
use crate::wallet::sep53::Sep53;

/// An issuer with nothing but its key.
struct Issuer(ServerKey);

impl Issuing for Issuer {
    fn stellar(&self) -> &ServerKey {
        &self.0
    }

    fn call_back_state(
        &self,
        _digest: &[u8; 32],
        _key: Option<&[u8; 33]>,
    ) -> Result<String, Refusal> {
        Err(mismatch())
    }
}

fn issuer() -> Issuer {
    Issuer(ServerKey::generate(&OsEntropy).unwrap())
}

fn signer(seed: u8) -> (InMemorySigner, String) {
    let signer = InMemorySigner::from_bytes(Curve::Ed25519, &[seed; 32]).unwrap();
    let address = encode_account(signer.public_key().as_bytes().try_into().unwrap());
    (signer, address)
}

fn text_for(address: &str) -> String {
    samples::text("Stellar account", address, "Chain ID: testnet\n")
}

fn own_key(address: &str) -> [u8; 32] {
    decode_account(address).unwrap()
}

fn payload(issuer: &Issuer, text: &str) -> Result<Value, Reason> {
    let message = Sep10.read(text).unwrap();
    let account = Sep10.accounts().account_of(&message).map_err(|refusal| refusal.reason())?;
    let payload = Sep10.payload_by(&account, &message, issuer);
    payload.map(Option::unwrap).map_err(|refusal| refusal.reason())
}

/// The transaction as the issuer hands it out for a text.
fn issued(issuer: &Issuer, text: &str) -> Envelope {
    let payload = payload(issuer, text).unwrap();
    Envelope::read(payload["transaction"].as_str().unwrap()).unwrap()
}

fn signature(signer: &InMemorySigner, envelope: &Envelope, network: &str) -> Decorated {
    let signature = signer.sign_now(&envelope.hash(passphrase(network).unwrap())).unwrap();
    let key = signer.public_key().as_bytes().try_into().unwrap();
    Decorated::by(key, signature.try_into().unwrap())
}

fn signed(signer: &InMemorySigner, envelope: &Envelope) -> Envelope {
    envelope.clone().signed(signature(signer, envelope, "testnet"))
}

fn judge(issuer: &Issuer, text: &str, envelope: &Envelope) -> Result<String, Reason> {
    judge_text(issuer, text, &envelope.write())
}

fn judge_text(issuer: &Issuer, text: &str, signature: &str) -> Result<String, Reason> {
    let evidence = Evidence { signature, public_key: None };
    let verified = Sep10.read(text).and_then(|message| {
        let account = Sep10.accounts().account_of(&message)?;
        assert!(Sep10.verify(&message, &evidence).is_err(), "nothing without the issuer");
        let judged = Sep10.verify_issued(&account, &message, &evidence, issuer);
        // Without the issuer's key the same is shown, of whichever server has made the transaction.
        let recorded = Sep10.verify_recorded(&account, &message, &evidence);
        if Sep10.made_by(&evidence) == Some(issuer.0.account()) {
            assert_eq!(judged, recorded);
        }
        judged
    });
    if let Ok(signer) = &verified {
        assert_eq!(signer.format(), "sep10");
        assert_eq!(Sep53.subjects_of_key(signer.key()), [signer.subject()]);
    }
    verified.map(|signer| signer.subject().to_owned()).map_err(|refusal| refusal.reason())
}

/// The same transaction with these signatures.
fn with(envelope: &Envelope, signatures: &[Decorated]) -> Envelope {
    let bare = Envelope::of(envelope.challenge().clone()).unwrap();
    signatures.iter().fold(bare, |envelope, signature| envelope.signed(*signature))
}

#[test]
fn the_account_proves_itself_on_either_network() {
    let (issuer, (key, address)) = (issuer(), signer(7));
    for network in ["testnet", "pubnet"] {
        let text = text_for(&address).replace("testnet", network);
        let envelope = issued(&issuer, &text);
        let challenge = envelope.challenge();
        assert_eq!(encode_account(&challenge.server), issuer.0.account());
        assert_eq!(challenge.home_domain, "app.example");
        assert_eq!(challenge.web_auth_domain, "id.example");
        assert_eq!((challenge.min_time, challenge.max_time), (1_748_779_200, 1_748_779_500));
        let right = envelope.clone().signed(signature(&key, &envelope, network));
        assert!(Sep10.is_shaped(&right.write()) && !Sep53.is_shaped(&right.write()));
        let subject = Ok(format!("did:pkh:stellar:pubnet:{address}"));
        assert_eq!(judge(&issuer, &text, &right), subject);
        // Either of the two may stand first.
        let [server, client] = *right.signatures() else { panic!("two") };
        assert_eq!(judge(&issuer, &text, &with(&right, &[client, server])), subject);
        // Signed for the other network.
        let other = if network == "pubnet" { "testnet" } else { "pubnet" };
        let elsewhere = envelope.clone().signed(signature(&key, &envelope, other));
        assert_eq!(judge(&issuer, &text, &elsewhere), Err(Reason::SignatureMismatch));
    }
}

#[test]
fn both_signatures_must_be_there_once_and_no_other() {
    let (issuer, (key, address)) = (issuer(), signer(7));
    let text = text_for(&address);
    let right = signed(&key, &issued(&issuer, &text));
    let [server, client] = *right.signatures() else { panic!("two") };
    let stranger = signature(&signer(8).0, &right, "testnet");
    let (malformed, mismatch) = (Reason::SignatureMalformed, Reason::SignatureMismatch);
    let renamed = |of: Decorated, as_of: Decorated| Decorated { hint: as_of.hint, ..of };
    for (signatures, reason) in [
        (&[][..], mismatch),
        (&[server], mismatch),
        (&[client], mismatch),
        (&[server, server], mismatch),
        (&[client, client], mismatch),
        (&[server, stranger], mismatch),
        (&[server, renamed(stranger, client)], mismatch),
        (&[renamed(stranger, server), client], mismatch),
        (&[server, renamed(server, client)], mismatch),
        (&[server, renamed(client, stranger)], mismatch),
        (&[server, client, client], malformed),
        (&[server, client, stranger], malformed),
    ] {
        assert_eq!(judge(&issuer, &text, &with(&right, signatures)), Err(reason));
    }
    // Neither of the two may be altered, not even to its second form.
    for at in 0..64 {
        let mut altered = [server, client];
        for signature in &mut altered {
            signature.signature[at] ^= 1 << (at % 8);
        }
        for pair in [[altered[0], client], [server, altered[1]]] {
            assert!(judge(&issuer, &text, &with(&right, &pair)).is_err());
        }
    }
    for which in 0..2 {
        let mut pair = [server, client];
        pair[which].signature = plus_order(&pair[which].signature).try_into().unwrap();
        assert!(judge(&issuer, &text, &with(&right, &pair)).is_err());
    }
}

#[test]
fn no_other_transaction_will_do() {
    let (issuer, (key, address)) = (issuer(), signer(7));
    let text = text_for(&address);
    let mismatch = Err(Reason::SignatureMismatch);
    // Another text's, another account's, another domain's, another server's.
    let others = [
        text.replace("Sign in.", "Sign in!"),
        text_for(&signer(8).1),
        text.replace("app.example", "evil.example"),
        text.replace("https://id.example", "https://evil.example"),
        text.replace("12:00:00", "12:00:01"),
    ];
    for other in others {
        let theirs = signed(&key, &issued(&issuer, &other));
        assert_eq!(judge(&issuer, &text, &theirs), mismatch, "{other}");
    }
    let elsewhere = self::issuer();
    let theirs = signed(&key, &issued(&elsewhere, &text));
    assert_eq!(judge(&issuer, &text, &theirs), mismatch);
    assert!(judge(&elsewhere, &text, &theirs).is_ok());
    // One that the account made for itself, as its own server.
    let (server, client) = (own_key(&address), own_key(&address));
    let alone = Challenge { server, client, ..issued(&issuer, &text).challenge().clone() };
    let alone = signed(&key, &signed(&key, &Envelope::of(alone).unwrap()));
    assert_eq!(judge(&issuer, &text, &alone), mismatch);
    let evidence = Evidence { signature: &alone.write(), public_key: None };
    let message = Sep10.read(&text).unwrap();
    let account = Sep10.accounts().account_of(&message).unwrap();
    let refusal = Sep10.verify_recorded(&account, &message, &evidence).unwrap_err();
    assert_eq!(refusal.reason(), Reason::AccountInvalid);
    // What the account may put together by itself, whoever is said to have signed it.
    let own = issued(&issuer, &text).challenge().clone();
    for altered in [
        Challenge { max_time: own.max_time + 1, ..own.clone() },
        Challenge { min_time: own.min_time - 1, ..own.clone() },
        Challenge { nonce: [0; 48], ..own.clone() },
    ] {
        let envelope = Envelope::of(altered).unwrap();
        let both = signed(&key, &signed(&key, &envelope));
        assert_eq!(judge(&issuer, &text, &both), mismatch);
    }
    // A fee is no part of the challenge, and still of the transaction.
    let right = signed(&key, &issued(&issuer, &text)).write();
    let mut bytes = STANDARD.decode(&right).unwrap();
    bytes[43] ^= 1;
    assert_eq!(judge_text(&issuer, &text, &STANDARD.encode(&bytes)), mismatch);
    for broken in [&right[4..], &format!("{right}AAAA"), &right.replace('=', ""), "AAAAAg==", ""] {
        let judged = judge_text(&issuer, &text, broken);
        assert_eq!(judged, Err(Reason::SignatureMalformed), "{broken}");
    }
}

#[test]
fn texts_that_have_no_transaction_get_none() {
    let (issuer, (_, address)) = (issuer(), signer(7));
    let long = text_for(&address).replace("app.example", &"a".repeat(60));
    assert_eq!(payload(&issuer, &long), Err(Reason::DomainNotAllowed));
    let own = text_for(&issuer.0.account());
    assert_eq!(payload(&issuer, &own), Err(Reason::AccountInvalid));
    for other in ["MA7QYNF7", &address[1..]] {
        assert_eq!(payload(&issuer, &text_for(other)), Err(Reason::AccountInvalid));
    }
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    let issuer = issuer();
    let text = text_for(&encode_account(&SMALL_KEY));
    let envelope = issued(&issuer, &text);
    let both = envelope.signed(Decorated::by(&SMALL_KEY, SMALL_SIGNATURE));
    assert_eq!(judge(&issuer, &text, &both), Err(Reason::AccountInvalid));
}

#[test]
fn the_key_shows_its_account_alone() {
    let seed = "SBGWSG6BTNCKCOB3DIFBGCVMUPQFYPA2G4O34RMTB343OYPXU5DJDVMN";
    let key = ServerKey::from_seed(seed).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains(&key.account()) && !shown.contains(&seed[..20]));
    assert!(ServerKey::from_seed(&key.account()).is_err());
}
