//! Clients that sign in: keys made beforehand, signatures made while nobody's time is counted.
//!
//! A client can also be pointed at the bare program. Then it sends the same requests and makes the
//! same signatures over a text that the real server once wrote, and does not look at the answers,
//! so that both servers see the same load in the same rhythm.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::http::token::{JWT_BEARER, SIGNED_MESSAGE};
use countersign::wallet::siwe::{address_of, checksummed};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use countersign_sdk::proof::dpop::NewProof;
use countersign_sdk::proof::jwt_assertion::NewAssertion;
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::time::{Clock as _, SystemClock};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};
use sha3::{Digest as _, Keccak256};

use crate::Failure;
use crate::http::Connection;
use crate::paths::Path;

const RESOURCE: &str = "http://127.0.0.1:8800";
const SCOPE: &str = "escrow:read escrow:release";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// What a client talks to.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// The server.
    Countersign,
    /// The bare program, with a text to sign and the size of the metadata document.
    Echo { sample: String, metadata: usize },
    /// The bare program, which does the signature operations too.
    Work { sample: String, metadata: usize },
}

/// The key that the server is to know, and the key that signs requests.
struct Keys {
    wallet: Option<SecretKey>,
    session: InMemorySigner,
    account: String,
}

/// One client with its connection.
pub(crate) struct Client {
    connection: Connection,
    path: Path,
    peer: Peer,
    keys: Keys,
    issuer: String,
    token_endpoint: TargetUri,
    challenge: String,
    refresh_token: Option<String>,
    sign_ins: u32,
}

/// After how many sign-ins a wallet is somebody else's, so that nobody has more sessions than one may.
const SIGN_INS_OF_ONE_WALLET: u32 = 50;

impl Client {
    pub(crate) fn new(address: &str, path: Path, peer: Peer) -> Result<Self, Failure> {
        let keys = Keys::new(path)?;
        let issuer = format!("http://{address}");
        Ok(Self {
            connection: Connection::open(address)?,
            path,
            peer,
            token_endpoint: TargetUri::parse(&format!("{issuer}/token"))?,
            challenge: keys.challenge(),
            refresh_token: None,
            sign_ins: 0,
            keys,
            issuer,
        })
    }

    /// Goes the path once; how long the answers took.
    pub(crate) fn go(&mut self) -> Result<Duration, Failure> {
        self.connection.waited = Duration::ZERO;
        match self.path {
            Path::Metadata => self.metadata().map(drop)?,
            Path::Challenge => drop(self.challenge()?),
            Path::Evm | Path::Agent => self.sign_in()?,
            Path::Assertion => self.assert()?,
            Path::Refresh => self.refresh()?,
        }
        Ok(self.connection.waited)
    }

    /// `GET /nonce`, and nothing is done with it.
    pub(crate) fn nonce(&mut self) -> Result<(), Failure> {
        self.connection.get("/nonce")?;
        Ok(())
    }

    /// Gets the metadata document; its size.
    pub(crate) fn metadata(&mut self) -> Result<usize, Failure> {
        let path = match &self.peer {
            Peer::Countersign => "/.well-known/oauth-authorization-server".to_owned(),
            Peer::Echo { metadata, .. } | Peer::Work { metadata, .. } => {
                format!("/bytes/{metadata}")
            }
        };
        Ok(self.connection.get(&path)?.len())
    }

    /// Asks for a challenge; the text to sign.
    pub(crate) fn challenge(&mut self) -> Result<String, Failure> {
        let path = match self.peer {
            Peer::Countersign => "/challenge",
            Peer::Echo { .. } | Peer::Work { .. } => "/echo",
        };
        let answer = self.connection.post(path, JSON, None, &self.challenge)?;
        match &self.peer {
            Peer::Countersign => {
                let answer: serde_json::Value = serde_json::from_slice(answer)?;
                let message = answer.get("message").and_then(|message| message.as_str());
                Ok(message.ok_or("no message")?.to_owned())
            }
            Peer::Echo { sample, .. } | Peer::Work { sample, .. } => Ok(sample.clone()),
        }
    }

    fn sign_in(&mut self) -> Result<(), Failure> {
        self.sign_ins += 1;
        if self.keys.wallet.is_some() && self.sign_ins.is_multiple_of(SIGN_INS_OF_ONE_WALLET) {
            self.keys = Keys::new(self.path)?;
            self.challenge = self.keys.challenge();
        }
        let message = self.challenge()?;
        let signature = self.keys.sign(&message)?;
        let form = format!(
            "grant_type={}&message={}&signature={signature}",
            encoded(SIGNED_MESSAGE),
            encoded(&message)
        );
        self.token(&form)
    }

    /// Signs in the first time, and goes on from there.
    fn refresh(&mut self) -> Result<(), Failure> {
        let Some(token) = self.refresh_token.take() else {
            return self.sign_in();
        };
        self.token(&format!("grant_type=refresh_token&refresh_token={token}"))
    }

    fn assert(&mut self) -> Result<(), Failure> {
        let assertion = NewAssertion {
            issuer: &self.issuer,
            scope: Some(SCOPE),
            resource: Some(RESOURCE),
            now: SystemClock.now(),
        };
        let assertion = at_once(assertion.sign(&self.keys.session, &OsEntropy))??;
        let grant = encoded(JWT_BEARER);
        self.token(&format!("grant_type={grant}&assertion={assertion}"))
    }

    fn token(&mut self, form: &str) -> Result<(), Failure> {
        let proof = NewProof {
            method: "POST",
            target_uri: &self.token_endpoint,
            access_token: None,
            nonce: None,
            now: SystemClock.now(),
        };
        let proof = at_once(proof.sign(&self.keys.session, &OsEntropy))??;
        let path = match self.peer {
            Peer::Countersign => "/token".to_owned(),
            Peer::Echo { .. } => "/echo".to_owned(),
            Peer::Work { .. } => format!("/work/{}", self.path.name()),
        };
        let answer = self.connection.post(&path, FORM, Some(&proof), form)?;
        if self.path == Path::Refresh {
            self.refresh_token = match self.peer {
                Peer::Countersign => {
                    let answer: serde_json::Value = serde_json::from_slice(answer)?;
                    let token = answer.get("refresh_token").and_then(|token| token.as_str());
                    Some(token.ok_or("no refresh token")?.to_owned())
                }
                Peer::Echo { .. } | Peer::Work { .. } => Some("A".repeat(70)),
            };
        }
        Ok(())
    }
}

impl Keys {
    fn new(path: Path) -> Result<Self, Failure> {
        let (wallet, session) = match path {
            Path::Evm | Path::Refresh | Path::Challenge => (Some(Curve::Secp256k1), Curve::P256),
            Path::Agent | Path::Assertion | Path::Metadata => (None, Curve::Ed25519),
        };
        let session = InMemorySigner::generate(session, &OsEntropy)?;
        let Some(curve) = wallet else {
            let did = session.public_key().to_did_key();
            return Ok(Self {
                wallet: None,
                account: did.ok_or("a key without a did:key")?,
                session,
            });
        };
        let wallet = InMemorySigner::generate(curve, &OsEntropy)?;
        let address = checksummed(&address_of(wallet.public_key()));
        Ok(Self {
            wallet: Some(SecretKey::from_secret_bytes(*wallet.secret_bytes())?),
            account: format!("eip155:1:{address}"),
            session,
        })
    }

    /// The request for a challenge.
    fn challenge(&self) -> String {
        let session = match self.wallet {
            Some(_) => format!(r#","dpop_jkt":"{}""#, self.session.public_key().thumbprint()),
            None => String::new(),
        };
        let account = &self.account;
        format!(r#"{{"account":"{account}","resource":"{RESOURCE}","scope":"{SCOPE}"{session}}}"#)
    }

    /// The wallet's `personal_sign`, or the agent's own signature.
    fn sign(&self, message: &str) -> Result<String, Failure> {
        let Some(wallet) = &self.wallet else {
            let signature = self.session.sign_now(message.as_bytes())?;
            return Ok(URL_SAFE_NO_PAD.encode(signature));
        };
        let digest = Keccak256::new()
            .chain_update(b"\x19Ethereum Signed Message:\n")
            .chain_update(message.len().to_string())
            .chain_update(message)
            .finalize();
        let signature = RecoverableSignature::sign_ecdsa_recoverable(
            Message::from_digest(digest.into()),
            wallet,
        );
        let (id, compact) = signature.serialize_compact();
        let v = 27 + id.to_u8();
        Ok(format!("0x{}{v:02x}", hex::encode(compact)))
    }
}

fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// What a future gives that waits for nothing.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("a key at hand made us wait".into()),
    }
}
