//! Every message format from challenge to token over HTTP, and each way in which it gets none.
//!
//! The wallets are those of the SDK, one for each name that `countersign login --format` takes.
//! Signatures of other people's libraries stand in `tests/clients`.

use std::sync::Arc;

use countersign_sdk::account::Account;
use countersign_sdk::client::{InMemoryWallet, SignIn, ToSign, Wallet as _};
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use countersign_sdk::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Answer, RESOURCE, SIGNED_MESSAGE, Server, jkt, key};

/// A wallet of a format with the key of `byte`, whatever its curve; `account` may name one of them.
fn wallet(format: &str, byte: u8, account: Option<&Account>) -> InMemoryWallet {
    let made = [Curve::Secp256k1, Curve::Ed25519].into_iter().find_map(|curve| {
        let signer = InMemorySigner::from_bytes(curve, &[byte; 32]).unwrap();
        InMemoryWallet::new(format, signer, account).ok()
    });
    made.unwrap_or_else(|| panic!("no wallet of {format}"))
}

/// A challenge that was asked for and signed, to be redeemed in some way.
struct Signed<'a> {
    server: &'a Server,
    session: InMemorySigner,
    message: String,
    signature: String,
    public_key: Option<String>,
}

impl<'a> Signed<'a> {
    /// `by` signs the challenge of `wallet`.
    async fn new(server: &'a Server, wallet: &InMemoryWallet, by: &InMemoryWallet) -> Self {
        let session = key(Curve::P256);
        let challenge = server
            .challenge(&json!({
                "account": wallet.account().to_string(), "format": wallet.format(),
                "resource": RESOURCE, "scope": "escrow:read", "dpop_jkt": jkt(&session),
            }))
            .await;
        assert_eq!(challenge.status, 200, "{}: {challenge:?}", wallet.format());
        let message = challenge.text("message").to_owned();
        let payload = challenge.body.get("payload").filter(|payload| !payload.is_null());
        let to_sign = ToSign { message: &message, payload };
        let signature = by.sign_challenge(&to_sign).await.unwrap();
        Self { server, session, signature, public_key: by.public_key().map(str::to_owned), message }
    }

    async fn redeem(&self, more: &[(&str, &str)]) -> Answer {
        self.redeem_as(&self.message, &self.signature, more).await
    }

    async fn redeem_as(&self, message: &str, signature: &str, more: &[(&str, &str)]) -> Answer {
        let mut form =
            vec![("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", signature)];
        form.extend(self.public_key.as_deref().map(|key| ("public_key", key)));
        form.extend(more);
        self.server.token(&form, Some(&self.server.proof(&self.session))).await
    }
}

/// The accounts that each format is tried with: the wallet's own, and other kinds of the same key.
fn wallets(format: &str, byte: u8) -> Vec<InMemoryWallet> {
    use countersign_sdk::chain::bitcoin::{Address, Kind, Network, Script};
    let usual = wallet(format, byte, None);
    if usual.account().namespace() != "bip122" {
        return vec![usual];
    }
    let signer = InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap();
    let kinds = match format {
        "bip322" => [Kind::P2wpkh, Kind::P2shP2wpkh, Kind::P2tr],
        _ => [Kind::P2wpkh, Kind::P2shP2wpkh, Kind::P2pkh],
    };
    let account = |kind, reference: &str, network| {
        let script = Script::of_key(signer.public_key(), kind).unwrap();
        let account = format!("bip122:{reference}:{}", Address::new(network, script));
        wallet(format, byte, Some(&account.parse().unwrap()))
    };
    let main =
        kinds.map(|kind| account(kind, countersign_sdk::chain::bitcoin::MAINNET, Network::Main));
    let test = account(Kind::P2wpkh, "000000000933ea01ad0ee984209779ba", Network::Test);
    main.into_iter().chain([test]).collect()
}

#[tokio::test]
async fn every_format_opens_and_opens_once() {
    let server = Server::development().await;
    let mut signed_in = Vec::new();
    for format in InMemoryWallet::formats() {
        for wallet in wallets(format, 9) {
            let signed = Signed::new(&server, &wallet, &wallet).await;
            // The text and the shape of the signature tell the format.
            let answer = signed.redeem(&[]).await;
            let claims = answer.claims();
            assert_eq!(claims["account"], json!(wallet.account().to_string()), "{format}");
            assert_eq!(claims["proven_key"]["method"], json!(format));
            assert!(answer.text("sub").starts_with("did:"), "{format}");
            assert_eq!(claims["cnf"]["jkt"], json!(jkt(&signed.session)));
            signed_in.push((format, claims));
            let again = signed.redeem(&[("format", format)]).await;
            again.refused(400, "invalid_grant", "nonce_used");
        }
    }
    // Each of them can be proven to somebody who was not there.
    let data = server.shut_down_and_keep().await;
    for (format, claims) in signed_in {
        let verdict = crate::audit::verdict(&data.path().join("store"), &claims["jti"]);
        assert_eq!(json!(verdict.sub), claims["sub"], "{format}");
        assert_eq!(json!(verdict.account), claims["account"], "{format}");
        assert_eq!(json!(verdict.bound_to), claims["cnf"]["jkt"], "{format}");
        assert_eq!(verdict.transaction_by.is_some(), format == "sep10", "{format}");
        assert_eq!((verdict.method, verdict.scope_was_signed), (format.to_owned(), true));
    }
}

/// What a wallet signed without showing the text opens a day, whatever the text says.
#[tokio::test]
async fn what_a_person_did_not_see_ends_within_a_day() {
    const DAY: u64 = 86_400;
    let server = Server::development().await;
    let mut sessions = Vec::new();
    for format in InMemoryWallet::formats() {
        let unseen = ["ton", "nostr", "sep10", "lnurl"].contains(&format);
        let wallet = wallet(format, 9, None);
        let signed = Signed::new(&server, &wallet, &wallet).await;
        let (head, tail) = signed.message.split_once("\nExpiration Time: ").unwrap();
        let (end, tail) = tail.split_once('\n').unwrap();
        let lifetime = if unseen { DAY } else { 30 * DAY };
        let expected = Timestamp::from_unix(server.now() + lifetime).to_string();
        assert_eq!(end, expected, "{format}");
        let answer = signed.redeem(&[("format", format)]).await;
        sessions.push((format, unseen, signed.session, answer.text("refresh_token").to_owned()));
        if format != "lnurl" {
            continue;
        }
        // A text of the client's own, with a later end and with none.
        let issued = head.split("Nonce: ").nth(1).unwrap().split('\n').next().unwrap();
        let later = Timestamp::from_unix(server.now() + 20 * DAY);
        let named = jkt(&sessions.last().unwrap().2);
        for end in [format!("\nExpiration Time: {later}"), String::new()] {
            let session = key(Curve::P256);
            let message = format!("{head}{end}\n{tail}").replace(issued, &server.nonce().await);
            let message = message.replace(&named, &jkt(&session));
            let to_sign = ToSign { message: &message, payload: None };
            let signature = wallet.sign_challenge(&to_sign).await.unwrap();
            let form = [
                ("grant_type", SIGNED_MESSAGE),
                ("message", &*message),
                ("format", format),
                ("signature", &*signature),
                ("public_key", wallet.public_key().unwrap()),
            ];
            let answer = server.token(&form, Some(&server.proof(&session))).await;
            sessions.push((format, unseen, session, answer.text("refresh_token").to_owned()));
        }
    }
    server.clock.advance(DAY - 1);
    for later in [0, 1] {
        server.clock.advance(later);
        for (format, unseen, session, refresh) in &mut sessions {
            let form = [("grant_type", "refresh_token"), ("refresh_token", &**refresh)];
            let answer = server.token(&form, Some(&server.proof(session))).await;
            if *unseen && later == 1 {
                answer.refused(400, "invalid_grant", "session_ended");
            } else {
                assert_eq!(answer.status, 200, "{format}: {answer:?}");
                answer.text("refresh_token").clone_into(refresh);
            }
        }
    }
}

#[tokio::test]
async fn what_a_wallet_did_not_sign_opens_nothing() {
    let server = Server::development().await;
    for format in InMemoryWallet::formats() {
        for (ours, theirs) in wallets(format, 9).into_iter().zip(wallets(format, 8)) {
            let named = [("format", format)];
            let foreign = Signed::new(&server, &ours, &theirs).await;
            let answer = foreign.redeem(&named).await;
            assert_eq!(answer.status, 400, "{format}: {answer:?}");
            let reason = answer.text("reason");
            assert!(
                ["signature_mismatch", "public_key_invalid"].contains(&reason),
                "{format} {reason}"
            );

            let signed = Signed::new(&server, &ours, &ours).await;
            for (message, reason) in [
                (signed.message.replacen("127.0.0.1", "evil.example", 1), "domain_not_allowed"),
                (signed.message.replace("escrow", "escrew"), "message_mismatch"),
                (format!("{}\n", signed.message), "malformed_message"),
            ] {
                let answer = signed.redeem_as(&message, &signed.signature, &named).await;
                let got = answer.text("reason");
                // The nonce's MAC covers the whole text and is looked at first.
                assert!([reason, "message_mismatch"].contains(&got), "{format}: {got}");
            }
            // A signature over another challenge of the same account.
            let other = Signed::new(&server, &ours, &ours).await;
            let answer = signed.redeem_as(&signed.message, &other.signature, &named).await;
            let got = answer.text("reason");
            assert!(
                ["signature_mismatch", "signature_malformed"].contains(&got),
                "{format}: {got}"
            );
            // Cut, followed by more, and nothing like a signature.
            let cut = &signed.signature[..signed.signature.len() - 4];
            let long = format!("{}AAAA", signed.signature);
            for broken in [cut, &long, "nonsense", "0x", "{}", &"A".repeat(30_000)] {
                let answer = signed.redeem_as(&signed.message, broken, &named).await;
                answer.refused(400, "invalid_grant", "signature_malformed");
            }
            // A challenge is of the format that it was asked for.
            for another in InMemoryWallet::formats().filter(|other| *other != format) {
                let answer = signed.redeem(&[("format", another)]).await;
                assert_eq!(answer.status, 400, "{format} as {another}");
            }
            let answer = signed.redeem(&named).await;
            assert_eq!(answer.status, 200, "{format}: nothing before burnt the nonce: {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_default_format_is_one_that_the_address_can_sign() {
    let server = Server::development().await;
    for format in InMemoryWallet::formats() {
        for wallet in wallets(format, 9) {
            let body = json!({"account": wallet.account().to_string(), "resource": RESOURCE});
            let challenge = server.challenge(&body).await;
            let chosen = challenge.text("format");
            let chosen_wallet = self::wallet(chosen, 9, Some(wallet.account()));
            assert_eq!(chosen_wallet.account(), wallet.account(), "{format} {chosen}");
        }
    }
}

#[test]
fn every_format_has_a_wallet_in_memory() {
    let mut served: Vec<_> =
        countersign::wallet::registry::FORMATS.iter().map(|format| format.name()).collect();
    let mut in_memory: Vec<_> = InMemoryWallet::formats().collect();
    served.sort_unstable();
    in_memory.sort_unstable();
    assert_eq!(served, in_memory);
}

/// The SDK's client signs no text that says more than it asked for, in any format.
#[tokio::test]
async fn the_client_signs_in_with_every_format() {
    let server = Server::with_system_clock().await;
    for format in InMemoryWallet::formats() {
        for curve in [Curve::Ed25519, Curve::Secp256k1] {
            let signer = InMemorySigner::from_bytes(curve, &[9; 32]).unwrap();
            let Ok(wallet) = InMemoryWallet::new(format, signer, None) else { continue };
            let account = wallet.account().to_string();
            let sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read");
            let sign_in = sign_in.session_key(Arc::new(key(Curve::P256)));
            let session = sign_in.wallet(Arc::new(wallet)).await;
            let session = session.unwrap_or_else(|error| panic!("{format} {account}: {error}"));
            let sub = session.current().sub.clone();
            let address = account.rsplit(':').next().unwrap();
            assert!(sub.starts_with("did:") && sub.ends_with(address), "{format} {sub} {account}");
        }
    }
}

/// What metadata says of a format is what it does.
#[tokio::test]
async fn formats_are_listed_with_what_they_need() {
    let server = Server::development().await;
    let path = "/.well-known/oauth-authorization-server";
    let answer = Answer::read(server.http.get(server.at(path)).send().await.unwrap()).await;
    let listed = answer.body["message_formats_supported"].as_array().unwrap();
    for format in listed {
        let name = format["name"].as_str().unwrap();
        if !InMemoryWallet::formats().any(|known| known == name) {
            continue;
        }
        let ours = wallet(name, 9, None);
        assert_eq!(
            format.get("public_key"),
            ours.public_key().map(|_| &Value::Bool(true)),
            "{name}"
        );
        let session = key(Curve::P256);
        let body = json!({
            "account": ours.account().to_string(), "format": name, "resource": RESOURCE,
            "dpop_jkt": jkt(&session),
        });
        let challenge = server.challenge(&body).await;
        assert_eq!(
            challenge.body.get("payload").is_some(),
            format.get("payload").is_some(),
            "{name}"
        );
    }
}
