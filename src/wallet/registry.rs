//! Which message formats there are: one slice that everything else reads.
//!
//! Metadata, the choice by account and the choice by text all come from here, so that a format is
//! added by its file and one line.
//!
//! Specs: protocol.md §2 (`message_formats_supported`) and §3.

use countersign_sdk::account::Account;
use countersign_sdk::key::PublicKey;

use super::adr36::Adr36;
use super::aptos::Aptos;
use super::bip137::Bip137;
use super::bip322::Bip322;
use super::format::WalletFormat;
use super::key::RawKey;
use super::lnurl::Lnurl;
use super::nep413::Nep413;
use super::nostr::Nostr;
use super::sep10::Sep10;
use super::sep53::Sep53;
use super::sha256::Sha256Text;
use super::siwe::Siwe;
use super::siws::Siws;
use super::ssh::Ssh;
use super::sui::Sui;
use super::tip191::Tip191;
use super::ton::Ton;
use crate::model::reason::{Reason, Refusal};

/// Every format; of several for one namespace the first is the default.
pub static FORMATS: &[&dyn WalletFormat] = &[
    &Siwe,
    &Siws,
    &RawKey,
    &Bip322,
    &Bip137,
    &Tip191,
    &Adr36,
    &Nostr,
    &Sha256Text,
    &Sui,
    &Aptos,
    &Nep413,
    &Sep53,
    &Sep10,
    &Ssh,
    &Ton,
    &Lnurl,
];

/// The formats that a resource takes which names none: those whose text the person sees.
pub fn usual() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().filter(|format| format.shows_text()).map(|format| format.name())
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn WalletFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The default format for an account: the first of its namespace that can sign for it.
pub fn by_account(account: &Account) -> Option<&'static dyn WalletFormat> {
    let mut of_namespace = FORMATS
        .iter()
        .copied()
        .filter(|format| format.accounts().namespaces().contains(&account.namespace()));
    let first = of_namespace.next()?;
    let signs = |format: &&dyn WalletFormat| format.accounts().canonical_account(account).is_ok();
    if signs(&first) {
        return Some(first);
    }
    Some(of_namespace.find(signs).unwrap_or(first))
}

/// The default format of a namespace, such as `eip155` or `did:key`.
pub fn by_namespace(namespace: &str) -> Option<&'static dyn WalletFormat> {
    FORMATS.iter().copied().find(|format| format.accounts().namespaces().contains(&namespace))
}

/// Every subject that the holder of `key` can sign in as by its key alone. Whoever holds a secp256k1
/// key also holds the one of the other y, and some wallets prove that one in its place.
pub fn subjects_of_key(key: &PublicKey) -> impl Iterator<Item = String> {
    let of = |key: PublicKey| FORMATS.iter().flat_map(move |format| format.subjects_of_key(&key));
    of(key.clone()).chain(key.mirrored().into_iter().flat_map(of))
}

/// The default format among those that a text may be of, by its first line.
pub fn by_text(text: &str) -> Option<&'static dyn WalletFormat> {
    of_text(text).next()
}

/// The format of a text that its client did not name: that of its first line, or of several, the
/// one that the signature has the shape of. A shape of none of them is the default's to refuse.
///
/// # Errors
/// `format_unsupported` for a first line of no format, and for a shape of several.
pub fn by_message(text: &str, signature: &str) -> Result<&'static dyn WalletFormat, Refusal> {
    let Some(default) = by_text(text) else {
        return Err(unknown());
    };
    let mut shaped = of_text(text).filter(|format| format.is_shaped(signature));
    match (shaped.next(), shaped.next()) {
        (Some(first), Some(second)) => Err(Refusal::new(
            Reason::FormatUnsupported,
            format!("this can be of {} or {}; say `format`", first.name(), second.name()),
        )),
        (Some(only), None) => Ok(only),
        (None, _) => Ok(default),
    }
}

/// The refusal for a name, an account or a text of no format.
pub fn unknown() -> Refusal {
    let names: Vec<_> = FORMATS.iter().map(|format| format.name()).collect();
    let known = names.join(", ");
    Refusal::new(Reason::FormatUnsupported, format!("the message formats are {known}"))
}

fn of_text(text: &str) -> impl Iterator<Item = &'static dyn WalletFormat> {
    let header = text.split_once('\n').map(|(header, _)| header);
    let fits = move |format: &&dyn WalletFormat| {
        header.is_some_and(|header| header.ends_with(format.profile().header))
    };
    FORMATS.iter().copied().filter(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_namespaces_and_headers_lead_to_one_format() {
        for format in FORMATS {
            let header = format.profile().header;
            let text = format!("a.example{header}\nA");
            assert_eq!(by_name(format.name()).map(WalletFormat::name), Some(format.name()));
            assert!(of_text(&text).any(|found| found.name() == format.name()));
            // The header leads to one grammar, whichever of its formats signed.
            assert!(of_text(&text).all(|found| std::ptr::eq(found.profile(), format.profile())));
            assert!(by_message(&text, "").is_ok());
            for namespace in format.accounts().namespaces() {
                assert!(by_namespace(namespace).is_some());
            }
        }
        assert!(by_name("eip1271").is_none());
        assert!(by_text("hello").is_none());
    }
}
