//! What a message format costs: its whole verification beside the bare curve operation, by turns.
//!
//! `cargo bench --bench formats`. The texts are those of a challenge, signed by the SDK's wallets.
//! Reading the text, decoding, hashing and deriving the address are all counted. The bare operation
//! begins at the key as the format has it: where that is a compressed point or an x-coordinate, the
//! root has to be taken by whoever verifies. The goal: at most 1.25 times the bare operation.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures time and prints what it found"
)]

use std::hint::black_box;
use std::time::Instant;

use countersign::model::reason::{Reason, Refusal};
use countersign::wallet::caip122::{Fields, render};
use countersign::wallet::format::{Evidence, Issuing, WalletFormat};
use countersign::wallet::registry;
use countersign::wallet::sep10::ServerKey;
use countersign_sdk::account::Account;
use countersign_sdk::client::{InMemoryWallet, ToSign, Wallet as _};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::secp256k1::{LowS, verify_digest, verify_schnorr};
use countersign_sdk::key::{Curve, InMemorySigner, PublicKey, Signer as _, recover_secp256k1};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds, of which the median is taken; short ones, so that few are interrupted.
const ROUNDS: usize = 300;
/// Calls of a round.
const BATCH: usize = 8;
const DIGEST: [u8; 32] = [5; 32];

type Failure = Box<dyn std::error::Error>;

/// A curve operation by itself.
#[derive(Clone, Copy)]
enum Bare {
    Ed25519,
    /// The issuer's signature and the account's.
    Ed25519Twice,
    /// By a compressed key.
    Ecdsa,
    /// By a key of both coordinates.
    EcdsaOfPoint,
    Recovery,
    Schnorr,
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    println!("{:<24} {:>8} {:>8} {:>6}   goal", "verification, µs", "format", "bare", "ratio");
    let issuer = Issuer(ServerKey::generate(&OsEntropy)?);
    for format in registry::FORMATS {
        for curve in [Curve::Secp256k1, Curve::Ed25519] {
            let signer = InMemorySigner::from_bytes(curve, &[9; 32])?;
            let Ok(wallet) = InMemoryWallet::new(format.name(), signer, None) else { continue };
            let bare = match (format.name(), curve) {
                ("sep10", _) => Bare::Ed25519Twice,
                (_, Curve::Ed25519) => Bare::Ed25519,
                ("siwe" | "bip137" | "tip191", _) => Bare::Recovery,
                ("nostr", _) => Bare::Schnorr,
                ("aptos", _) => Bare::EcdsaOfPoint,
                _ => Bare::Ecdsa,
            };
            let text = text_for(*format, wallet.account())?;
            let challenge = format.read(&text)?;
            let payload = match format.name() {
                "sep10" => format.payload_by(wallet.account(), &challenge, &issuer)?,
                _ => None,
            };
            let to_sign = ToSign { message: &text, payload: payload.as_ref() };
            let Ok(signature) = runtime.block_on(wallet.sign_challenge(&to_sign)) else { continue };
            let evidence = Evidence { signature: &signature, public_key: wallet.public_key() };
            let whole = || {
                let message = format.read(black_box(&text))?;
                let account = format.accounts().account_of(&message)?;
                let verified =
                    format.verify_issued(&account, &message, black_box(&evidence), &issuer);
                verified.map(drop)
            };
            whole()?;
            let (whole, bare, ratio) = measure(|| drop(black_box(whole())), bare)?;
            let title = format!("{}, {}", format.name(), curve.name());
            println!("{title:<24} {whole:>8.1} {bare:>8.1} {ratio:>6.2}   ≤ 1.25");
        }
    }
    Ok(())
}

/// Where Stellar's transactions come from.
struct Issuer(ServerKey);

impl Issuing for Issuer {
    fn stellar(&self) -> &ServerKey {
        &self.0
    }

    fn call_back_state(&self, _: &[u8; 32], _: Option<&[u8; 33]>) -> Result<String, Refusal> {
        Err(Refusal::new(Reason::ServerError, "no wallet calls back here"))
    }
}

/// A text as a challenge has it, with a session key and a ReCap.
fn text_for(format: &dyn WalletFormat, account: &Account) -> Result<String, Failure> {
    let spelling = format.accounts().spelling(account).ok_or("an account of another format")?;
    let fields = Fields {
        domain: "app.example",
        address: spelling.address,
        statement: Some(
            "Sign in to https://escrow.example. I further authorize the stated URI to perform the \
             following actions on my behalf: (1) 'escrow': 'read', 'release' for \
             'https://escrow.example'.",
        ),
        uri: Some("https://auth.example"),
        version: Some("1"),
        chain_id: spelling.chain_id,
        nonce: Some("016b025b0665fb7dcecef3ad379ba66824d520b9eb070fa138a1dbed6c1cfba3"),
        issued_at: Some("2027-01-15T08:00:00Z"),
        expiration_time: Some("2027-02-14T08:00:00Z"),
        resources: Some(vec![
            "urn:ietf:params:oauth:jwk-thumbprint:sha-256:0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            "urn:recap:eyJhdHQiOnsiaHR0cHM6Ly9lc2Nyb3cuZXhhbXBsZSI6eyJlc2Nyb3cvcmVhZCI6W3t9XX19LCJwcmYiOltdfQ",
        ]),
        ..Fields::default()
    };
    Ok(render(format.profile(), &fields)?)
}

/// Medians of the two times in microseconds, and of their ratio.
fn measure(whole: impl Fn(), bare: Bare) -> Result<(f64, f64, f64), Failure> {
    let ed25519 = InMemorySigner::from_bytes(Curve::Ed25519, &[9; 32])?;
    let secp256k1 = InMemorySigner::from_bytes(Curve::Secp256k1, &[9; 32])?;
    let (rs, id) = secp256k1.sign_digest_recoverable(&DIGEST)?;
    let schnorr = secp256k1.sign_schnorr(&DIGEST)?;
    let by_ed25519 = ed25519.sign_now(&DIGEST)?;
    let (ours, theirs) = (secp256k1.public_key(), ed25519.public_key());
    let compressed = ours.compressed_secp256k1().ok_or("a key of another curve")?;
    let x = ours.x_only().ok_or("a key of another curve")?;
    let operation = || match bare {
        Bare::Ed25519 => theirs.verify_wallet(&DIGEST, &by_ed25519).is_ok(),
        Bare::Ed25519Twice => {
            (0..2).all(|_| theirs.verify_wallet(&DIGEST, black_box(&by_ed25519)).is_ok())
        }
        Bare::Ecdsa => PublicKey::from_sec1(Curve::Secp256k1, black_box(&compressed))
            .is_ok_and(|key| verify_digest(&key, &DIGEST, &rs, LowS::Required).is_ok()),
        Bare::EcdsaOfPoint => verify_digest(ours, &DIGEST, &rs, LowS::Required).is_ok(),
        Bare::Recovery => recover_secp256k1(&DIGEST, &rs, id).is_ok(),
        Bare::Schnorr => PublicKey::from_x_only(black_box(&x))
            .is_ok_and(|key| verify_schnorr(&key, &DIGEST, &schnorr).is_ok()),
    };
    let timed = |run: &dyn Fn()| {
        let start = Instant::now();
        for _ in 0..BATCH {
            run();
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(BATCH).unwrap_or(1))
    };
    let (mut wholes, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let one = timed(&whole);
        let other = timed(&|| {
            black_box(operation());
        });
        wholes.push(one);
        bares.push(other);
        ratios.push(one / other);
    }
    Ok((median(&mut wholes), median(&mut bares), median(&mut ratios)))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
