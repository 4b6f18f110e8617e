//! What differs between the sign-in texts of the namespaces: the header, the blank lines, the order of the fields.
//!
//! CAIP-122 gives one frame and every namespace bends it a little: EIP-4361 moves `Chain ID` before
//! the nonce, Solana leaves one blank line where Ethereum leaves two and lets every field be
//! absent. A profile is that bend as data, so that one parser and one renderer serve them all.
//!
//! Specs: CAIP-122, EIP-4361 (ABNF), wallet-standard `signIn` for Solana.

/// A line `Tag: value` of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `URI`, the subject of the sign-in.
    Uri,
    /// `Version`, always 1.
    Version,
    /// `Chain ID`, in the namespace's own spelling.
    ChainId,
    /// `Nonce`.
    Nonce,
    /// `Issued At`, RFC 3339.
    IssuedAt,
    /// `Expiration Time`, RFC 3339.
    ExpirationTime,
    /// `Not Before`, RFC 3339.
    NotBefore,
    /// `Request ID`.
    RequestId,
    /// `Resources`, a list of URIs, always the last.
    Resources,
}

impl Field {
    /// What stands before the value, with its separator.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Uri => "URI: ",
            Self::Version => "Version: ",
            Self::ChainId => "Chain ID: ",
            Self::Nonce => "Nonce: ",
            Self::IssuedAt => "Issued At: ",
            Self::ExpirationTime => "Expiration Time: ",
            Self::NotBefore => "Not Before: ",
            Self::RequestId => "Request ID: ",
            Self::Resources => "Resources:",
        }
    }

    /// Every field, for what must hold of each alone.
    pub const ALL: [Self; 9] = [
        Self::Uri,
        Self::Version,
        Self::ChainId,
        Self::Nonce,
        Self::IssuedAt,
        Self::ExpirationTime,
        Self::NotBefore,
        Self::RequestId,
        Self::Resources,
    ];

    /// The field that `line` holds, with its value; tags are matched exactly.
    pub(super) fn of_line(line: &str) -> Option<(Self, &str)> {
        // The first byte leaves at most two tags to compare.
        let candidates: &[Self] = match line.as_bytes().first()? {
            b'U' => &[Self::Uri],
            b'V' => &[Self::Version],
            b'C' => &[Self::ChainId],
            b'N' => &[Self::Nonce, Self::NotBefore],
            b'I' => &[Self::IssuedAt],
            b'E' => &[Self::ExpirationTime],
            b'R' => &[Self::Resources, Self::RequestId],
            _ => return None,
        };
        candidates.iter().find_map(|&field| {
            let value = line.strip_prefix(field.tag())?;
            (field != Self::Resources || value.is_empty()).then_some((field, value))
        })
    }

    /// One bit of a set of fields.
    pub(super) const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// How the parts of the text are set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `address LF LF [statement LF] LF fields`: two blank lines where there is no statement, and
    /// a statement is one line of the ABNF's printable ASCII (EIP-4361, CAIP-122).
    Framed,
    /// One blank line before each part that is there, and a statement may have several lines
    /// (wallet-standard). A line of the statement that reads as a field is refused, so that no
    /// text has two readings.
    Paragraphs,
}

/// Whether the order of fields is part of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Exactly as the profile lists them.
    Listed,
    /// Any order, each at most once, `Resources` last. Solana wallets and services in use differ
    /// here; since the bytes received are the bytes verified, nothing hangs on the order.
    Any,
}

/// The sign-in text of one namespace.
#[derive(Debug)]
pub struct Profile {
    /// What follows the domain on the first line.
    pub header: &'static str,
    /// Whether a scheme may stand before the domain. Only EIP-4361 has one; readers of the others
    /// would take it for a part of the domain.
    pub scheme: bool,
    /// How the parts are set apart.
    pub layout: Layout,
    /// The fields that may stand in the text, in the order in which they are written.
    pub fields: &'static [Field],
    /// Whether a reader insists on that order.
    pub order: Order,
    /// The fields without which the text is not of this namespace. What a sign-in demands beyond
    /// the grammar is for [`crate::wallet::policy`] to say.
    pub required: &'static [Field],
    /// The shortest nonce, in characters.
    pub nonce_min: usize,
}

/// EIP-4361, Sign in with Ethereum.
pub static SIWE: Profile = Profile {
    header: " wants you to sign in with your Ethereum account:",
    scheme: true,
    layout: Layout::Framed,
    fields: &Field::ALL,
    order: Order::Listed,
    required: &[Field::Uri, Field::Version, Field::ChainId, Field::Nonce, Field::IssuedAt],
    nonce_min: 8,
};

/// Sign in with Solana, as wallet-standard writes it.
pub static SIWS: Profile = Profile {
    header: " wants you to sign in with your Solana account:",
    scheme: false,
    layout: Layout::Paragraphs,
    fields: &Field::ALL,
    order: Order::Any,
    required: &[],
    nonce_min: 1,
};

/// The text of a chain whose namespace has no profile of its own: the frame of CAIP-122.
///
/// Libraries write `Chain ID` where EIP-4361 has it or where CAIP-122 has it, so any order is read;
/// ours is the former.
const fn chain_text(header: &'static str) -> Profile {
    Profile {
        header,
        scheme: false,
        layout: Layout::Framed,
        fields: &Field::ALL,
        order: Order::Any,
        required: &[Field::Uri, Field::Version, Field::ChainId, Field::Nonce, Field::IssuedAt],
        nonce_min: 8,
    }
}

/// The text of a key that is its own account: the frame of CAIP-122 without a chain.
const fn key_text(header: &'static str) -> Profile {
    Profile {
        header,
        scheme: false,
        layout: Layout::Framed,
        fields: &[
            Field::Uri,
            Field::Version,
            Field::Nonce,
            Field::IssuedAt,
            Field::ExpirationTime,
            Field::NotBefore,
            Field::RequestId,
            Field::Resources,
        ],
        order: Order::Listed,
        required: &[Field::Uri, Field::Version, Field::Nonce, Field::IssuedAt],
        nonce_min: 8,
    }
}

/// A raw key.
pub static KEY: Profile = key_text(" wants you to sign in with your key:");

/// Bitcoin.
pub static BITCOIN: Profile = chain_text(" wants you to sign in with your Bitcoin account:");

/// Tron.
pub static TRON: Profile = chain_text(" wants you to sign in with your Tron account:");

/// Chains of the Cosmos SDK.
pub static COSMOS: Profile = chain_text(" wants you to sign in with your Cosmos account:");

/// Nostr, whose accounts are keys.
pub static NOSTR: Profile = key_text(" wants you to sign in with your Nostr account:");

/// A Lightning wallet, whose accounts are keys.
pub static LIGHTNING: Profile = key_text(" wants you to sign in with your Lightning wallet:");

/// An SSH key, which is its own account as a raw key is.
pub static SSH: Profile = key_text(" wants you to sign in with your SSH key:");

/// Sui.
pub static SUI: Profile = chain_text(" wants you to sign in with your Sui account:");

/// NEAR.
pub static NEAR: Profile = chain_text(" wants you to sign in with your NEAR Protocol account:");

/// Stellar.
pub static STELLAR: Profile = chain_text(" wants you to sign in with your Stellar account:");

/// TON.
pub static TON: Profile = chain_text(" wants you to sign in with your TON account:");

/// Sign in with Aptos, as its library writes it: the paragraphs of Solana's, and the order of
/// CAIP-122, which the proposal (AIP-116) has otherwise.
pub static APTOS: Profile = Profile {
    header: " wants you to sign in with your Aptos account:",
    scheme: false,
    layout: Layout::Paragraphs,
    fields: &[
        Field::Uri,
        Field::Version,
        Field::Nonce,
        Field::IssuedAt,
        Field::ExpirationTime,
        Field::NotBefore,
        Field::RequestId,
        Field::ChainId,
        Field::Resources,
    ],
    order: Order::Listed,
    required: &[Field::Version, Field::Nonce, Field::ChainId],
    nonce_min: 8,
};

/// Every profile.
pub static PROFILES: &[&Profile] = &[
    &SIWE, &SIWS, &KEY, &BITCOIN, &TRON, &COSMOS, &NOSTR, &SSH, &SUI, &NEAR, &STELLAR, &TON,
    &APTOS, &LIGHTNING,
];
