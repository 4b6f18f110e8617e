//! The signature operations of a sign-in, bare, by the fastest libraries there are.
//!
//! Each takes what a server is given – encoded keys and signatures – and nothing is kept between
//! two calls, because every sign-in is by somebody else.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, UnparsedPublicKey,
};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SecretKey};
use serde::Serialize;

use crate::Failure;

/// Bytes of a sign-in text, and of an access token before its signature.
const LONG: usize = 750;
/// Bytes of a DPoP proof before its signature.
const SHORT: usize = 400;
/// How long each operation is repeated in one round.
const REPEAT: Duration = Duration::from_millis(200);

/// A signature operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// secp256k1 public key recovery, by libsecp256k1.
    Recover,
    /// P-256 verification, key parsed, by aws-lc.
    P256Verify,
    /// Ed25519 verification, by aws-lc.
    Ed25519Verify,
    /// Ed25519 signature with a key at hand, by aws-lc.
    Ed25519Sign,
}

/// Keys and signatures to repeat the operations on.
pub(crate) struct Bare {
    digest: [u8; 32],
    recoverable: ([u8; 64], RecoveryId),
    p256: (Vec<u8>, Vec<u8>),
    ed25519: (Vec<u8>, Vec<u8>),
    signer: Ed25519KeyPair,
}

/// Microseconds of each operation.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Costs {
    pub(crate) secp256k1_recover: f64,
    pub(crate) p256_verify: f64,
    pub(crate) ed25519_verify: f64,
    pub(crate) ed25519_sign: f64,
}

impl Bare {
    pub(crate) fn new() -> Result<Self, Failure> {
        let digest = [7; 32];
        let wallet = SecretKey::from_secret_bytes([9; 32])?;
        let signed =
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &wallet);
        let (id, compact) = signed.serialize_compact();
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let signer = Ed25519KeyPair::generate()?;
        Ok(Self {
            digest,
            recoverable: (compact, id),
            p256: (
                p256.public_key().as_ref().to_vec(),
                p256.sign(&random, &[1; SHORT])?.as_ref().to_vec(),
            ),
            ed25519: (
                signer.public_key().as_ref().to_vec(),
                signer.sign(&[1; LONG]).as_ref().to_vec(),
            ),
            signer,
        })
    }

    /// Does the operation once; whether it succeeded.
    pub(crate) fn once(&self, operation: Operation) -> bool {
        match operation {
            Operation::Recover => {
                let (compact, id) = &self.recoverable;
                RecoverableSignature::from_compact(black_box(compact), *id)
                    .and_then(|signature| {
                        signature.recover_ecdsa(Message::from_digest(self.digest))
                    })
                    .is_ok()
            }
            Operation::P256Verify => {
                let (key, signature) = &self.p256;
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, black_box(key))
                    .verify(&[1; SHORT], signature)
                    .is_ok()
            }
            Operation::Ed25519Verify => {
                let (key, signature) = &self.ed25519;
                UnparsedPublicKey::new(&ED25519, black_box(key))
                    .verify(&[1; LONG], signature)
                    .is_ok()
            }
            Operation::Ed25519Sign => !black_box(self.signer.sign(&[1; LONG])).as_ref().is_empty(),
        }
    }

    /// Times every operation, one after the other.
    pub(crate) fn costs(&self) -> Result<Costs, Failure> {
        Ok(Costs {
            secp256k1_recover: self.cost(Operation::Recover)?,
            p256_verify: self.cost(Operation::P256Verify)?,
            ed25519_verify: self.cost(Operation::Ed25519Verify)?,
            ed25519_sign: self.cost(Operation::Ed25519Sign)?,
        })
    }

    /// Microseconds of CPU of one operation.
    fn cost(&self, operation: Operation) -> Result<f64, Failure> {
        let (started, cpu) = (Instant::now(), crate::process::own_thread_cpu()?);
        let mut done = 0_u32;
        while started.elapsed() < REPEAT {
            for _ in 0..16 {
                if !self.once(operation) {
                    return Err(format!("{operation:?} failed").into());
                }
                done += 1;
            }
        }
        let spent = crate::process::own_thread_cpu()?.saturating_sub(cpu);
        Ok(spent.as_secs_f64() * 1e6 / f64::from(done))
    }
}

impl Costs {
    /// Microseconds of these operations together.
    pub(crate) fn of(&self, operations: &[Operation]) -> f64 {
        operations
            .iter()
            .map(|operation| match operation {
                Operation::Recover => self.secp256k1_recover,
                Operation::P256Verify => self.p256_verify,
                Operation::Ed25519Verify => self.ed25519_verify,
                Operation::Ed25519Sign => self.ed25519_sign,
            })
            .sum()
    }
}
