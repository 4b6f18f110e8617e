//! The sign-in text: one strict grammar over the bytes that were received, for every namespace.
//!
//! A reading borrows the text and keeps it, because the signature is checked over exactly those
//! bytes and never over a rendering of what was understood. Nothing here is trusted yet: the type
//! says so in its name, and only [`crate::wallet::policy`] turns it into something that is.
//!
//! Specs: CAIP-122, EIP-4361 with its erratum, wallet-standard `signIn`.

mod lexical;
mod moment;
mod parse;
mod profile;
mod render;

pub use lexical::{MAX_NONCE, is_uri, origin_of};
pub use moment::Moment;
pub use parse::{Fault, MAX_MESSAGE, MAX_RESOURCES, ParseError, parse};
pub use profile::{
    APTOS, BITCOIN, COSMOS, Field, KEY, LIGHTNING, Layout, NEAR, NOSTR, Order, PROFILES, Profile,
    SIWE, SIWS, SSH, STELLAR, SUI, TON, TRON,
};
pub use render::render;

/// What a sign-in text says, value by value, as it is written.
///
/// `None` is a field that is not there; an empty value is one that is there and empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The scheme before the domain, rarely there.
    pub scheme: Option<&'a str>,
    /// Who asks for the signature: an RFC 3986 authority.
    pub domain: &'a str,
    /// The account's address in the namespace's own spelling.
    pub address: &'a str,
    /// What the person reads.
    pub statement: Option<&'a str>,
    /// The subject of the sign-in.
    pub uri: Option<&'a str>,
    /// The version of the text.
    pub version: Option<&'a str>,
    /// The chain, in the namespace's own spelling.
    pub chain_id: Option<&'a str>,
    /// The nonce.
    pub nonce: Option<&'a str>,
    /// When the text was written, RFC 3339.
    pub issued_at: Option<&'a str>,
    /// When it ceases to hold, RFC 3339.
    pub expiration_time: Option<&'a str>,
    /// When it begins to hold, RFC 3339.
    pub not_before: Option<&'a str>,
    /// The asker's own reference.
    pub request_id: Option<&'a str>,
    /// URIs that belong to the sign-in, in order.
    pub resources: Option<Vec<&'a str>>,
}

/// A sign-in text that was read and not yet judged.
#[derive(Clone, Debug)]
pub struct UnverifiedMessage<'a> {
    profile: &'static Profile,
    text: &'a str,
    fields: Fields<'a>,
    /// Where the nonce begins in the text, in bytes; 0 without a nonce.
    nonce_at: usize,
    issued_at: Option<Moment>,
    expiration_time: Option<Moment>,
    not_before: Option<Moment>,
}

impl<'a> UnverifiedMessage<'a> {
    /// The text as it was received: what the signature is over.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Whether the text was read as one of `profile`.
    pub fn is_of(&self, profile: &'static Profile) -> bool {
        std::ptr::eq(self.profile, profile)
    }

    /// Every value as it is written.
    pub const fn fields(&self) -> &Fields<'a> {
        &self.fields
    }

    /// Everything before the nonce and everything after it, which is what the MAC in a nonce that
    /// was issued with the text covers (protocol.md §3). `None` without a nonce.
    pub fn around_nonce(&self) -> Option<(&'a str, &'a str)> {
        let nonce = self.fields.nonce?;
        let before = self.text.get(..self.nonce_at)?;
        let after = self.text.get(self.nonce_at.checked_add(nonce.len())?..)?;
        Some((before, after))
    }

    /// `Issued At`.
    pub const fn issued_at(&self) -> Option<Moment> {
        self.issued_at
    }

    /// `Expiration Time`.
    pub const fn expiration_time(&self) -> Option<Moment> {
        self.expiration_time
    }

    /// `Not Before`.
    pub const fn not_before(&self) -> Option<Moment> {
        self.not_before
    }

    /// The resources, none when the list is not there.
    pub fn resources(&self) -> &[&'a str] {
        self.fields.resources.as_deref().unwrap_or_default()
    }
}
