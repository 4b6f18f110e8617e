//! Which message formats there are: one slice that everything else reads.
//!
//! Metadata, the choice by account and the choice by text all come from here, so that a format is
//! added by its file and one line.
//!
//! Specs: protocol.md §2 (`message_formats_supported`) and §3.

use countersign_sdk::account::Account;
use countersign_sdk::key::PublicKey;

use super::format::WalletFormat;
use super::key::RawKey;
use super::siwe::Siwe;
use super::siws::Siws;
use super::sui::Sui;

/// Every format; of several for one namespace the first is the default.
pub static FORMATS: &[&dyn WalletFormat] = &[&Siwe, &Siws, &RawKey, &Sui];

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn WalletFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The default format for an account, by its namespace.
pub fn by_account(account: &Account) -> Option<&'static dyn WalletFormat> {
    by_namespace(account.namespace())
}

/// The default format of a namespace, such as `eip155` or `did:key`.
pub fn by_namespace(namespace: &str) -> Option<&'static dyn WalletFormat> {
    FORMATS.iter().copied().find(|format| format.namespaces().contains(&namespace))
}

/// Every subject that the holder of `key` can sign in as by its key alone.
pub fn subjects_of_key(key: &PublicKey) -> impl Iterator<Item = String> {
    FORMATS.iter().filter_map(move |format| format.subject_of_key(key))
}

/// The format that a text says it is of, by its first line.
pub fn by_text(text: &str) -> Option<&'static dyn WalletFormat> {
    let (header, _) = text.split_once('\n')?;
    FORMATS.iter().copied().find(|format| header.ends_with(format.profile().header))
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
            assert_eq!(by_text(&text).map(WalletFormat::name), Some(format.name()));
            for namespace in format.namespaces() {
                assert!(by_namespace(namespace).is_some());
            }
        }
        assert!(by_name("eip1271").is_none());
        assert!(by_text("hello").is_none());
    }
}
