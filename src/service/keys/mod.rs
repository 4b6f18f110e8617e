//! The issuer's own keys: seen, rotated, retired, revoked and brought in, and whether one can sign now.
//!
//! | file | decides |
//! |---|---|
//! | `office` | how a change is recorded, put in force and told, and what is tried again |
//! | `view` | what operators are told of a key |

mod office;
mod view;

use countersign_sdk::key::InMemorySigner;
use countersign_sdk::time::Timestamp;

use super::context::Context;
use crate::audit::event::Actor;
use crate::keyring::{Operation, Purpose, Reserved};
use crate::model::reason::Refusal;
pub use office::{KeyOffice, Unrecorded};
pub use view::{KeyView, Pending};

/// Every key that there is or was, in the order in which they were made.
#[expect(clippy::unused_async, reason = "a ring may lie elsewhere")]
pub async fn list(context: &Context) -> Vec<KeyView> {
    context.key_office().list()
}

/// Has the next key sign, at once if every cache knows it and else as soon as they do; returns that key.
///
/// # Errors
/// `Reason::KeysUnavailable`, `Reason::StoreUnavailable`.
pub async fn rotate(context: &Context, by: &Actor) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Rotate, by).await
}

/// Lets a key end in its time: the active one by a rotation, one that stands by at once. One that
/// signs no more is on its way already.
///
/// # Errors
/// `Reason::KeyUnknown`, `Reason::KeyRevoked`, `Reason::KeysUnavailable`.
pub async fn retire(context: &Context, kid: &str, by: &Actor) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Retire(kid.to_owned()), by).await
}

/// Withdraws a key at once, and ends what it signed. Repeating it does no harm.
///
/// # Errors
/// `Reason::KeyUnknown`, `Reason::KeysUnavailable` when no other key can sign. What could not be kept
/// of it is in [`KeyView::pending`], and happens by itself.
pub async fn revoke(context: &Context, kid: &str, by: &Actor) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Revoke(kid.to_owned()), by).await
}

/// Withdraws every key at once, and signs with a new one, which this returns.
///
/// # Errors
/// As [`revoke`].
pub async fn revoke_all(context: &Context, by: &Actor) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::RevokeAll, by).await
}

/// Has this key be the next one.
///
/// # Errors
/// `Reason::KeyRejected`, `Reason::KeysUnavailable`.
pub async fn import(
    context: &Context,
    key: InMemorySigner,
    by: &Actor,
) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Import(Box::new(key)), by).await
}

/// Refuses early while the key that signs is out of reach, before anything is used up for a document
/// that would not be signed.
///
/// # Errors
/// `Reason::SigningUnavailable`.
pub(crate) fn ready(context: &Context, now: Timestamp) -> Result<(), Refusal> {
    match context.keyring.view(now).active().is_ready() {
        true => Ok(()),
        false => Err(crate::token::jws::away()),
    }
}

/// A place to sign a token at. Taken right before something is used up for the token, and kept until it is
/// signed: whoever has one is not refused for all the others.
///
/// # Errors
/// `Reason::SigningUnavailable`.
pub(crate) async fn reserve(context: &Context, now: Timestamp) -> Result<Reserved, Refusal> {
    ready(context, now)?;
    let key = context.keyring.active(now);
    key.reserve(Purpose::Token).await.map_err(|_| crate::token::jws::away())
}
