//! Stand-in until the keyring is there.

use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::context::Context;
use crate::model::reason::{Reason, Refusal};

/// A signing key, as operators see it.
#[derive(Clone, Debug, Serialize)]
pub struct KeyView {
    /// Its name.
    pub kid: String,
    /// Its algorithm.
    pub alg: String,
}

fn view(context: &Context) -> KeyView {
    let key = context.keyring.active();
    KeyView { kid: key.kid().to_owned(), alg: key.algorithm().name().to_owned() }
}

/// Lists.
pub async fn list(context: &Context) -> Vec<KeyView> {
    vec![view(context)]
}

/// Rotates.
///
/// # Errors
/// None.
pub async fn rotate(context: &Context, _now: Timestamp) -> Result<KeyView, Refusal> {
    Ok(view(context))
}

/// Retires.
///
/// # Errors
/// None.
pub async fn retire(context: &Context, kid: &str, _now: Timestamp) -> Result<KeyView, Refusal> {
    find(context, kid)
}

/// Revokes.
///
/// # Errors
/// None.
pub async fn revoke(context: &Context, kid: &str, _now: Timestamp) -> Result<KeyView, Refusal> {
    find(context, kid)
}

fn find(context: &Context, kid: &str) -> Result<KeyView, Refusal> {
    let view = view(context);
    if view.kid == kid {
        return Ok(view);
    }
    Err(Refusal::new(Reason::KeyUnknown, "no such key"))
}
