//! What the resources of a text open: a session key, and scopes that the statement also says.
//!
//! An entry that is nearly one of ours (another hash, another case, a second one, another place) is
//! refused rather than passed over: whoever wrote it meant something by it.
//!
//! Specs: RFC 9278, EIP-5573, protocol.md §3.

use countersign_sdk::key::Thumbprint;

use super::NonceOrigin;
use crate::model::reason::{Reason, Refusal};
use crate::wallet::caip122::UnverifiedMessage;
use crate::wallet::recap::{Grant, speaks_of_grant};

/// What every thumbprint URI begins with, of whatever hash.
const THUMBPRINT_URN: &str = "urn:ietf:params:oauth:jwk-thumbprint";

const RECAP_URN: &str = "urn:recap:";

/// The session key that the text names, at most one.
pub(super) fn session_key(message: &UnverifiedMessage<'_>) -> Result<Option<Thumbprint>, Refusal> {
    let invalid = |detail| Refusal::new(Reason::SessionKeyInvalid, detail);
    let mut named = None;
    for uri in message.resources() {
        if !begins_like(uri, THUMBPRINT_URN) {
            continue;
        }
        let Some(Ok(thumbprint)) = Thumbprint::from_uri(uri) else {
            return Err(invalid(
                "a session key is urn:ietf:params:oauth:jwk-thumbprint:sha-256: and 43 characters",
            ));
        };
        if named.replace(thumbprint).is_some() {
            return Err(invalid("a message names at most one session key"));
        }
    }
    Ok(named)
}

/// The grant that the text states, at most one, as the last resource and in the statement.
/// A text that the issuer wrote has one: it was written for one resource and opens no other.
pub(super) fn grant(
    message: &UnverifiedMessage<'_>,
    origin: NonceOrigin,
) -> Result<Option<Grant>, Refusal> {
    let statement = message.fields().statement.unwrap_or_default();
    let (last, others) = match message.resources().split_last() {
        Some((last, others)) => (*last, others),
        None => ("", [].as_slice()),
    };
    if others.iter().any(|uri| begins_like(uri, RECAP_URN)) {
        return Err(Refusal::new(
            Reason::RecapInvalid,
            "a message has at most one ReCap, as its last resource",
        ));
    }
    if !begins_like(last, RECAP_URN) {
        if speaks_of_grant(statement) {
            return Err(Refusal::new(
                Reason::StatementMismatch,
                "the statement authorizes something that no ReCap in the resources grants",
            ));
        }
        return match origin {
            NonceOrigin::Bare => Ok(None),
            NonceOrigin::Challenge => Err(Refusal::new(
                Reason::RecapInvalid,
                "a message of the issuer's states its resource and scopes in a ReCap",
            )),
        };
    }
    let grant = Grant::from_uri(last)
        .ok_or_else(|| Refusal::new(Reason::RecapInvalid, "a ReCap begins with urn:recap:"))?
        .map_err(|error| Refusal::new(Reason::RecapInvalid, error.to_string()))?;
    if !grant.is_stated_by(statement) {
        return Err(Refusal::new(
            Reason::StatementMismatch,
            format!("the statement must end in this sentence: {}", grant.sentence()),
        ));
    }
    Ok(Some(grant))
}

/// Whether `uri` begins with `urn` in letters of any case; the scheme and namespace of a URN are
/// the same in every case (RFC 8141), and only the lower one is taken.
fn begins_like(uri: &str, urn: &str) -> bool {
    uri.get(..urn.len()).is_some_and(|start| start.eq_ignore_ascii_case(urn))
}
