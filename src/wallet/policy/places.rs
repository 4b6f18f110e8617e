//! Whether a text was asked for by a domain of ours, for a URI that belongs to it.
//!
//! The domain is what a wallet compares with the page that asks, so it is the defence against a
//! text that was signed for somebody else's site. The URI must not speak of a third place.
//!
//! Specs: EIP-4361 (domain binding), protocol.md §4.

use super::{AllowedDomains, NonceOrigin};
use crate::model::domain::is_loopback_authority;
use crate::model::reason::{Reason, Refusal};
use crate::wallet::caip122::{UnverifiedMessage, origin_of};

pub(super) fn check_domain(
    message: &UnverifiedMessage<'_>,
    domains: &dyn AllowedDomains,
) -> Result<(), Refusal> {
    let fields = message.fields();
    // `bank.example@evil.example` reads as the one and is the other.
    if fields.domain.contains('@') || !domains.allows(fields.domain) {
        return Err(Refusal::new(
            Reason::DomainNotAllowed,
            format!("sign-ins for the domain {} are not taken here", fields.domain),
        ));
    }
    if !fields.scheme.is_none_or(|scheme| is_safe(scheme, fields.domain)) {
        return Err(Refusal::new(
            Reason::DomainNotAllowed,
            "the scheme of the message's domain must be https, or http on loopback",
        ));
    }
    Ok(())
}

pub(super) fn check_uri(
    message: &UnverifiedMessage<'_>,
    origin: NonceOrigin,
    issuer: &str,
) -> Result<(), Refusal> {
    let uri = message.fields().uri.unwrap_or_default();
    let own = || {
        origin_of(uri).is_some_and(|(scheme, authority)| {
            authority == message.fields().domain && is_safe(scheme, authority)
        })
    };
    let fits = match origin {
        NonceOrigin::Challenge => uri == issuer,
        NonceOrigin::Bare => uri == issuer || own(),
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::UriNotAllowed,
        "the message's URI must be the issuer's, or on the message's own domain over https",
    ))
}

/// `https`, or `http` where it never leaves the machine.
fn is_safe(scheme: &str, authority: &str) -> bool {
    scheme == "https" || (scheme == "http" && is_loopback_authority(authority))
}
