//! Whether a text may be shown to the wallet: a challenge is read before it is signed.
//!
//! A client that signs whatever a server sends is a signing oracle: an evil server fetches a
//! challenge elsewhere, has it signed here, and is signed in there. So the text must name our
//! domain, our account, the issuer that we asked, the key that we hold and what we asked for, and
//! nothing besides. It is read more strictly than a server reads it: an issuer of this protocol
//! writes one shape only.
//!
//! Specs: protocol.md §3, EIP-4361, CAIP-122, EIP-5573, RFC 9278.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::key::Thumbprint;

/// The longest text read, in bytes.
const MAX_BYTES: usize = 8192;
/// The labels of the lines after the statement; each may stand once.
const LABELS: [&str; 9] = [
    "URI: ",
    "Version: ",
    "Chain ID: ",
    "Nonce: ",
    "Issued At: ",
    "Expiration Time: ",
    "Not Before: ",
    "Request ID: ",
    "Resources:",
];
/// Solana's networks: the CAIP-2 reference and the name that wallets show.
const SOLANA_NETWORKS: [(&str, &str); 3] = [
    ("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "mainnet"),
    ("EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "devnet"),
    ("4uhcVJyU9pJkvQyS88uRDiswHScSGkcz", "testnet"),
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
    same("URI", expected.issuer, message.field("URI: "))?;
    same("Version", "1", message.field("Version: "))?;
    same("Nonce", expected.nonce, message.field("Nonce: "))?;
    if message.field("Issued At: ").is_none() || message.field("Expiration Time: ").is_none() {
        return Err(ChallengeError::Shape("it has no times"));
    }
    check_resources(&message.resources, expected)
}

/// The text, split into its lines.
struct Message<'a> {
    header: &'a str,
    address: &'a str,
    fields: BTreeMap<&'static str, &'a str>,
    resources: Vec<&'a str>,
}

impl<'a> Message<'a> {
    fn parse(text: &'a str) -> Result<Self, ChallengeError> {
        if text.len() > MAX_BYTES {
            return Err(ChallengeError::Shape("it is longer than 8192 bytes"));
        }
        if text.chars().any(|c| c != '\n' && c.is_control()) {
            return Err(ChallengeError::Shape("it holds a control character"));
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
        let (fields, resources) = fields(lines)?;
        Ok(Self { header, address, fields, resources })
    }

    fn field(&self, label: &str) -> Option<&'a str> {
        self.fields.get(label).copied()
    }
}

type Fields<'a> = (BTreeMap<&'static str, &'a str>, Vec<&'a str>);

/// The labelled lines, each at most once, and the list under `Resources:`, which ends the text.
fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Fields<'a>, ChallengeError> {
    let mut fields = BTreeMap::new();
    let mut resources = Vec::new();
    for line in lines {
        if fields.contains_key("Resources:") {
            let entry = line.strip_prefix("- ");
            resources.push(entry.ok_or(ChallengeError::Shape("a line follows the resources"))?);
            continue;
        }
        let label = LABELS.into_iter().find(|label| line.starts_with(label));
        let label = label.ok_or(ChallengeError::Shape("a line has no known label"))?;
        let value = line.strip_prefix(label).unwrap_or_default();
        if label == "Resources:" && !value.is_empty() {
            return Err(ChallengeError::Shape("resources stand on lines of their own"));
        }
        if fields.insert(label, value).is_some() {
            return Err(ChallengeError::Shape("a line stands there twice"));
        }
    }
    Ok((fields, resources))
}

/// The account's network, address and chain, each where its namespace writes it.
fn check_account(
    message: &Message<'_>,
    network: &str,
    account: &Account,
) -> Result<(), ChallengeError> {
    let chain_id = message.field("Chain ID: ");
    let Account::Chain(account) = account else {
        same("first line's end", "key:", Some(network))?;
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
            // The issuer writes the checksum of EIP-55, which is a matter of case alone.
            if !message.address.eq_ignore_ascii_case(account.address()) {
                return Err(differs("account", account.address(), message.address));
            }
            same("Chain ID", reference, chain_id)
        }
        "solana" => {
            same("first line's end", "Solana account:", Some(network))?;
            same("account", account.address(), Some(message.address))?;
            let spelled = chain_id.unwrap_or_default();
            let plain = spelled.strip_prefix("solana:").unwrap_or(spelled);
            let names_ours = SOLANA_NETWORKS.contains(&(reference, plain)) || plain == reference;
            if names_ours { Ok(()) } else { Err(differs("Chain ID", reference, spelled)) }
        }
        _ => {
            same("account", account.address(), Some(message.address))?;
            match chain_id {
                Some(id) if id != reference && id != account.chain().to_string() => {
                    Err(differs("Chain ID", reference, id))
                }
                Some(_) | None => Ok(()),
            }
        }
    }
}

/// Exactly our session key, if there is one, and then one ReCap.
fn check_resources(entries: &[&str], expected: &Expected<'_>) -> Result<(), ChallengeError> {
    let (recap, before) =
        entries.split_last().ok_or(ChallengeError::Shape("it names no resources"))?;
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
    check_recap(recap, expected)
}

/// The capabilities of an EIP-5573 ReCap. What this project's issuer writes, and no more.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Recap {
    att: BTreeMap<String, BTreeMap<String, [Unrestricted; 1]>>,
    prf: [(); 0],
}

/// `{}`: an ability without a caveat.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Unrestricted {}

fn check_recap(entry: &str, expected: &Expected<'_>) -> Result<(), ChallengeError> {
    let shape = ChallengeError::Shape("its last resource is not a ReCap in canonical form");
    let json = entry
        .strip_prefix("urn:recap:")
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or(shape.clone())?;
    let recap: Recap = serde_json::from_slice(&json).map_err(|_| shape.clone())?;
    // Written again it must be the same bytes, so that no member stood there twice.
    if serde_json::to_vec(&recap).ok() != Some(json) {
        return Err(shape);
    }
    let mut resources = recap.att.iter();
    let (Some((resource, abilities)), None) = (resources.next(), resources.next()) else {
        return Err(ChallengeError::Shape("its ReCap names several resources"));
    };
    if let Some(ours) = expected.resource {
        same("resource", ours, Some(resource))?;
    }
    let Some(asked) = expected.scope else {
        return Ok(());
    };
    for ability in abilities.keys() {
        let scope = match ability.strip_prefix("oauth/") {
            Some(plain) => plain.to_owned(),
            None => ability.replacen('/', ":", 1),
        };
        if !asked.split(' ').any(|one| one == scope) {
            return Err(ChallengeError::Scope(shortened(&scope)));
        }
    }
    Ok(())
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
