//! Whether a text may be shown to the wallet: a challenge is read before it is signed.
//!
//! A client that signs whatever a server sends is a signing oracle: an evil server fetches a
//! challenge elsewhere, has it signed here, and is signed in there. So the text must name our
//! domain, our account, the issuer that we asked, the key that we hold and what we asked for, and
//! nothing besides. It is read more strictly than a server reads it: an issuer of this protocol
//! writes one shape only.
//!
//! Specs: protocol.md §3, EIP-4361, CAIP-122, EIP-5573, RFC 9278.

use std::str::Split;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

use super::in_memory::is_checksummed;
use super::recap::{self, Grant};
use crate::account::Account;
use crate::key::Thumbprint;
use crate::time::Timestamp;

/// The longest text read, in bytes.
const MAX_BYTES: usize = 8192;
/// The lengths of a nonce, in characters.
const NONCE: std::ops::RangeInclusive<usize> = 8..=128;
/// Seconds by which `Issued At` may differ from now, by the issuer's clock.
const MAX_SKEW: u64 = 600;
/// The longest time that a signature may open, in seconds: a year, the most that an issuer of this
/// project can be told to ask for.
const MAX_LIFE: u64 = 366 * 24 * 3600;
/// The labels of the lines after the statement, in their order. A key has no chain, and Aptos has
/// it behind the times.
const LABELS: [&str; 7] = [
    "URI: ",
    "Version: ",
    "Chain ID: ",
    "Nonce: ",
    "Issued At: ",
    "Expiration Time: ",
    "Resources:",
];
/// The longest name of a network, in characters.
const MAX_NAME: usize = 32;
/// How the first line ends in the formats whose accounts are keys.
const KEY_ENDS: [&str; 4] = ["key:", "SSH key:", "Nostr account:", "Lightning wallet:"];
/// Networks that a text may name otherwise than CAIP-2 does: the namespace, the CAIP-2 reference and
/// the name that wallets show.
const NETWORKS: [(&str, &str, &str); 7] = [
    ("solana", "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "mainnet"),
    ("solana", "EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "devnet"),
    ("solana", "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z", "testnet"),
    ("sui", "35834a8a", "mainnet"),
    ("sui", "4c78adac", "testnet"),
    ("aptos", "1", "mainnet"),
    ("aptos", "2", "testnet"),
];

/// Why a challenge was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// Not the text that an issuer of this protocol writes.
    #[error("its text is not well formed: {0}")]
    Shape(&'static str),
    /// A line says something else than what was asked for.
    #[error("its {line} is {received:?}, expected {expected:?}")]
    Differs {
        /// The line.
        line: &'static str,
        /// What we asked for.
        expected: String,
        /// What stands there, shortened.
        received: String,
    },
    /// `Resources` names another key than ours, or a key where none is to be named.
    #[error("it would hand the session to another key than ours")]
    SessionKey,
    /// The statement does not end in the sentence of what is granted, or states another grant.
    #[error("its statement does not say what it grants")]
    Statement,
    /// The ReCap grants a scope that was not asked for.
    #[error("it grants {0:?}, which was not asked for")]
    Scope(String),
    /// `Resources` holds something that was not asked for.
    #[error("it grants something that was not asked for: {0:?}")]
    Resource(String),
}

/// What a challenge must say. All of it is what we asked for; nothing of it comes from the issuer.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The message's domain: the wallet app's, or the issuer's host.
    pub domain: &'a str,
    /// The issuer's identifier, which `URI` must be.
    pub issuer: &'a str,
    /// Our account.
    pub account: &'a Account,
    /// The key that is to sign requests; `None` when the proven key itself does.
    pub session_key: Option<Thumbprint>,
    /// The resource that was asked for; `None` leaves it to the issuer.
    pub resource: Option<&'a str>,
    /// The scopes that were asked for, with spaces between; `None` leaves them to the issuer.
    pub scope: Option<&'a str>,
    /// The nonce beside the text, in the issuer's answer.
    pub nonce: &'a str,
    /// Now, by the issuer's clock.
    pub now: Timestamp,
}

/// Checks a challenge's text.
///
/// # Errors
/// [`ChallengeError`], naming the first line that differs; the text must then not be signed.
pub fn check(text: &str, expected: &Expected<'_>) -> Result<(), ChallengeError> {
    let message = Message::parse(text)?;
    let header = format!("{} wants you to sign in with your ", expected.domain);
    let network = message
        .header
        .strip_prefix(&header)
        .ok_or_else(|| differs("first line", &header, message.header))?;
    check_account(&message, network, expected.account)?;
    same("URI", expected.issuer, Some(message.uri))?;
    same("Version", "1", Some(message.version))?;
    same("Nonce", expected.nonce, Some(message.nonce))?;
    let fits = |b: u8| b.is_ascii_alphanumeric();
    if !NONCE.contains(&message.nonce.len()) || !message.nonce.bytes().all(fits) {
        return Err(ChallengeError::Shape("its nonce is not 8 to 128 letters and digits"));
    }
    check_times(&message, expected.now)?;
    check_resources(&message, expected)
}

fn check_times(message: &Message<'_>, now: Timestamp) -> Result<(), ChallengeError> {
    let (issued, expires) = (moment(message.issued_at)?, moment(message.expires_at)?);
    if issued.since(now).max(now.since(issued)) > MAX_SKEW {
        return Err(ChallengeError::Shape("it was not issued within ten minutes of now"));
    }
    if expires <= now || expires.since(now) > MAX_LIFE {
        return Err(ChallengeError::Shape("it ends in the past, or in more than a year"));
    }
    Ok(())
}

/// A time in whole seconds of UTC, as the issuer writes it.
fn moment(text: &str) -> Result<Timestamp, ChallengeError> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    let seconds = parsed.and_then(|moment| u64::try_from(moment.unix_timestamp()).ok());
    seconds
        .map(Timestamp::from_unix)
        // Written again it is the same text, so there are no two spellings.
        .filter(|moment| moment.to_string() == text)
        .ok_or(ChallengeError::Shape("its times are not whole seconds of RFC 3339 in UTC"))
}

/// The text, split into its lines.
struct Message<'a> {
    header: &'a str,
    address: &'a str,
    statement: &'a str,
    uri: &'a str,
    version: &'a str,
    chain_id: Option<&'a str>,
    nonce: &'a str,
    issued_at: &'a str,
    expires_at: &'a str,
    resources: Vec<&'a str>,
}

impl<'a> Message<'a> {
    fn parse(text: &'a str) -> Result<Self, ChallengeError> {
        if text.len() > MAX_BYTES {
            return Err(ChallengeError::Shape("it is longer than 8192 bytes"));
        }
        if !text.bytes().all(|b| b == b'\n' || b == b' ' || b.is_ascii_graphic()) {
            return Err(ChallengeError::Shape("it holds more than printable ASCII"));
        }
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let (header, address) = (next(), next());
        let (blank, statement, blank_after) = (next(), next(), next());
        if !blank.is_empty() || !blank_after.is_empty() || statement.is_empty() {
            let shape = "one statement of one line stands between two blank lines";
            return Err(ChallengeError::Shape(shape));
        }
        if LABELS.iter().any(|label| statement.starts_with(label)) {
            return Err(ChallengeError::Shape("the statement reads like a field"));
        }
        let mut lines = Lines { next: lines.next(), rest: lines };
        let (uri, version) = (lines.field("URI: ")?, lines.field("Version: ")?);
        let chain_id = lines.optional("Chain ID: ");
        let nonce = lines.field("Nonce: ")?;
        let (issued_at, expires_at) =
            (lines.field("Issued At: ")?, lines.field("Expiration Time: ")?);
        // One that stands in both places is left over, and refused with what follows it.
        let chain_id = chain_id.or_else(|| lines.optional("Chain ID: "));
        let resources = lines.resources()?;
        Ok(Self {
            header,
            address,
            statement,
            uri,
            version,
            chain_id,
            nonce,
            issued_at,
            expires_at,
            resources,
        })
    }
}

/// The labelled lines, taken in their one order.
struct Lines<'a> {
    next: Option<&'a str>,
    rest: Split<'a, char>,
}

impl<'a> Lines<'a> {
    fn optional(&mut self, label: &str) -> Option<&'a str> {
        let value = self.next?.strip_prefix(label)?;
        self.next = self.rest.next();
        Some(value)
    }

    fn field(&mut self, label: &str) -> Result<&'a str, ChallengeError> {
        let fault = "its fields are not those of an issuer, each once and in their order";
        self.optional(label).ok_or(ChallengeError::Shape(fault))
    }

    /// The list that ends the text, if there is one.
    fn resources(mut self) -> Result<Vec<&'a str>, ChallengeError> {
        let mut resources = Vec::new();
        if self.next.is_none() {
            return Ok(resources);
        }
        if !self.field("Resources:")?.is_empty() || self.next.is_none() {
            return Err(ChallengeError::Shape("resources stand on lines of their own"));
        }
        while let Some(line) = self.next {
            let entry = line.strip_prefix("- ");
            resources.push(entry.ok_or(ChallengeError::Shape("a line follows the resources"))?);
            self.next = self.rest.next();
        }
        Ok(resources)
    }
}

/// The account's network, address and chain, each where its namespace writes it.
fn check_account(
    message: &Message<'_>,
    network: &str,
    account: &Account,
) -> Result<(), ChallengeError> {
    let chain_id = message.chain_id;
    let Account::Chain(account) = account else {
        if !KEY_ENDS.contains(&network) {
            return Err(differs("first line's end", "key:", network));
        }
        same("account", &account.to_string(), Some(message.address))?;
        return match chain_id {
            Some(_) => Err(ChallengeError::Shape("a key has no chain")),
            None => Ok(()),
        };
    };
    let (namespace, reference) = (account.chain().namespace(), account.chain().reference());
    match namespace {
        "eip155" => {
            same("first line's end", "Ethereum account:", Some(network))?;
            // The issuer writes the checksum of EIP-55, which is a matter of case alone: ours may
            // lack it, the text's may not.
            let is_ours = message.address.eq_ignore_ascii_case(account.address());
            if !is_ours || !is_checksummed(message.address) {
                return Err(differs("account", account.address(), message.address));
            }
            same("Chain ID", reference, chain_id)
        }
        "solana" => {
            same("first line's end", "Solana account:", Some(network))?;
            same("account", account.address(), Some(message.address))?;
            let spelled = chain_id.unwrap_or_default();
            if is_chain(spelled, namespace, reference) {
                return Ok(());
            }
            Err(differs("Chain ID", reference, spelled))
        }
        _ => {
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b' ';
            let name = network.strip_suffix(" account:").unwrap_or_default();
            if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name) {
                return Err(differs("first line's end", "<name> account:", network));
            }
            same("account", account.address(), Some(message.address))?;
            match chain_id {
                Some(id) if !is_chain(id, namespace, reference) => {
                    Err(differs("Chain ID", reference, id))
                }
                Some(_) | None => Ok(()),
            }
        }
    }
}

/// Whether a text's `Chain ID` is our chain: its reference or its name, alone or behind its namespace.
fn is_chain(spelled: &str, namespace: &str, reference: &str) -> bool {
    let plain = match spelled.split_once(':') {
        Some((named, rest)) if named == namespace => rest,
        Some(_) | None => spelled,
    };
    plain == reference || NETWORKS.contains(&(namespace, reference, plain))
}

/// Exactly our session key, if there is one, and then one ReCap, if anything is granted.
fn check_resources(message: &Message<'_>, expected: &Expected<'_>) -> Result<(), ChallengeError> {
    let (recap, before) = match message.resources.split_last() {
        Some((last, before)) if last.starts_with(recap::PREFIX) => (Some(last), before),
        Some(_) | None => (None, message.resources.as_slice()),
    };
    let mut session_keys = 0;
    for entry in before {
        match (Thumbprint::from_uri(entry), expected.session_key) {
            (Some(Ok(named)), Some(ours)) if named == ours => session_keys += 1,
            (Some(_), _) => return Err(ChallengeError::SessionKey),
            (None, _) => return Err(ChallengeError::Resource(shortened(entry))),
        }
    }
    if session_keys != usize::from(expected.session_key.is_some()) {
        return Err(ChallengeError::SessionKey);
    }
    match recap {
        Some(recap) => check_recap(recap, message.statement, expected),
        None if expected.scope.is_some() => {
            Err(ChallengeError::Shape("it grants nothing of what was asked for"))
        }
        None if message.statement.contains(recap::CLAIM) => Err(ChallengeError::Statement),
        None => Ok(()),
    }
}

fn check_recap(
    entry: &str,
    statement: &str,
    expected: &Expected<'_>,
) -> Result<(), ChallengeError> {
    let grant = Grant::read(entry).ok_or(ChallengeError::Shape(
        "its last resource is not the canonical ReCap of scopes on one resource",
    ))?;
    if let Some(ours) = expected.resource {
        same("resource", ours, Some(&grant.resource))?;
    }
    if let Some(asked) = expected.scope {
        for scope in grant.scopes() {
            if !asked.split(' ').any(|one| one == scope) {
                return Err(ChallengeError::Scope(shortened(&scope)));
            }
        }
    }
    // The sentence last, after a space if anything precedes it, and no other before it.
    match statement.strip_suffix(&grant.sentence()) {
        Some(before)
            if (before.is_empty() || before.ends_with(' ')) && !before.contains(recap::CLAIM) =>
        {
            Ok(())
        }
        Some(_) | None => Err(ChallengeError::Statement),
    }
}

fn same(line: &'static str, expected: &str, received: Option<&str>) -> Result<(), ChallengeError> {
    let received = received.unwrap_or_default();
    if received == expected { Ok(()) } else { Err(differs(line, expected, received)) }
}

fn differs(line: &'static str, expected: &str, received: &str) -> ChallengeError {
    ChallengeError::Differs { line, expected: expected.to_owned(), received: shortened(received) }
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
mod tests;
