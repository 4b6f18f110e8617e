//! What a wallet is to a sign-in: an account, a message format, and someone who may sign.
//!
//! A wallet signs a text that a person reads; a [`Signer`](crate::key::Signer) signs requests that
//! nobody reads. They are two traits so that no code hands a request to a wallet, or asks a person
//! to approve every call. To bring a hardware wallet or a custody service, implement this one.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value;

use crate::account::Account;
use crate::key::SignerError;

/// A challenge whose text was checked, ready to be signed.
#[derive(Clone, Copy, Debug)]
pub struct ToSign<'a> {
    /// The text: it says what we asked for, and nothing else.
    pub message: &'a str,
    /// What the issuer sent beside the text for wallets that sign a structure. Nobody has checked
    /// it: it is to be signed only as far as it can be seen to hold the text, or its SHA-256.
    pub payload: Option<&'a Value>,
}

/// Signs sign-in messages for one account.
#[async_trait]
pub trait Wallet: Send + Sync + fmt::Debug {
    /// The account that the message names.
    fn account(&self) -> &Account;

    /// The message format by its name in `message_formats_supported`, such as `siwe`.
    fn format(&self) -> &str;

    /// The wallet's signature over `message`, in the encoding that the format sends: 0x hex of
    /// r‖s‖v for `siwe`, base58 for `siws`, base64url for `key`; or the JSON object that the
    /// wallet returned. A wallet that signs a structure builds it around this text.
    ///
    /// # Errors
    /// [`SignerError`] when the person says no or the device is not there.
    async fn sign_message(&self, message: &str) -> Result<String, SignerError>;

    /// The same for a wallet that cannot do without what the issuer sent beside the text.
    ///
    /// # Errors
    /// [`SignerError`], also when the payload is not one of this text.
    async fn sign_challenge(&self, challenge: &ToSign<'_>) -> Result<String, SignerError> {
        self.sign_message(challenge.message).await
    }

    /// The public key, for formats whose address does not tell it.
    fn public_key(&self) -> Option<&str> {
        None
    }

    /// Whether a session may ask for another signature when its token ends, with nobody there.
    fn signs_unattended(&self) -> bool {
        false
    }
}
