//! Stellar: the transaction that a server signs and an account signs after it, to sign in and nothing else.
//!
//! Its sequence number is 0, so that no ledger takes it. Only the one shape that a challenge has is
//! read: an envelope of the present kind, a source that is a plain key, time bounds, no memo, and two
//! operations that set data. Whatever else a transaction may hold is refused by its name, and what
//! was read is written again byte for byte.
//!
//! Specs: SEP-10, Stellar's XDR (`Stellar-transaction.x`), RFC 4506.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha384};

use super::xdr::{Reader, Writer};

/// Names of Stellar's networks (CAIP-2 references) and the passphrases that tell their transactions apart.
const NETWORKS: [(&str, &str); 2] = [
    ("pubnet", "Public Global Stellar Network ; September 2015"),
    ("testnet", "Test SDF Network ; September 2015"),
];

/// The longest name or value of a piece of data, in bytes.
pub const MAX_DATA: usize = 64;
/// The longest envelope that is read, in bytes: one of two operations with 20 signatures has fewer.
const MAX_ENVELOPE: usize = 2048;
/// How long a transaction is good for at most, in seconds (SEP-10).
const MAX_LIFE: u64 = 900;
/// What stands behind the home domain in the name of the first operation.
const AUTH: &str = " auth";
const WEB_AUTH_DOMAIN: &str = "web_auth_domain";
/// 100 stroops an operation, the least of the network; nobody ever pays them.
const FEE: u32 = 200;
/// `ENVELOPE_TYPE_TX`.
const ENVELOPE: u32 = 2;
/// `MANAGE_DATA`.
const MANAGE_DATA: u32 = 10;

/// The passphrase of a chain of CAIP-2.
pub fn passphrase(reference: &str) -> Option<&'static str> {
    NETWORKS.iter().find(|(name, _)| *name == reference).map(|(_, passphrase)| *passphrase)
}

/// The 48 bytes of a challenge for a text: its SHA-384, as random as the nonce in it.
pub fn nonce_of(text: &str) -> [u8; 48] {
    Sha384::digest(text).into()
}

/// The last second of a transaction for a text that was issued then and ends then.
pub fn last_second(issued_at: u64, expires_at: Option<u64>) -> u64 {
    let longest = issued_at.saturating_add(MAX_LIFE);
    expires_at.map_or(longest, |end| end.min(longest))
}

/// Why bytes are not a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeFault {
    /// Not XDR of an envelope, or more than one.
    #[error("it is not the XDR of a transaction envelope, and nothing more")]
    Encoding,
    /// A transaction, and not of the shape of a challenge.
    #[error("{0}")]
    Shape(&'static str),
}

use ChallengeFault::{Encoding, Shape};

/// Everything that differs from one challenge to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The server's key, the source of the transaction.
    pub server: [u8; 32],
    /// The key of the account that is to sign.
    pub client: [u8; 32],
    /// Where the person signs in.
    pub home_domain: String,
    /// The host that asks.
    pub web_auth_domain: String,
    /// What makes it unique.
    pub nonce: [u8; 48],
    /// The first second, since 1970.
    pub min_time: u64,
    /// The last second.
    pub max_time: u64,
}

impl Challenge {
    /// The transaction in XDR; `None` where a domain is too long for it.
    pub fn transaction(&self) -> Option<Vec<u8>> {
        let name = format!("{}{AUTH}", self.home_domain);
        if name.len() > MAX_DATA || self.web_auth_domain.len() > MAX_DATA {
            return None;
        }
        let mut out = Writer::default();
        out.number(0).bytes(&self.server);
        out.number(FEE).long(0);
        out.number(1).long(self.min_time).long(self.max_time);
        out.number(0);
        out.number(2);
        data(&mut out, &self.client, &name, STANDARD.encode(self.nonce).as_bytes())?;
        data(&mut out, &self.server, WEB_AUTH_DOMAIN, self.web_auth_domain.as_bytes())?;
        out.number(0);
        Some(out.finish())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ChallengeFault> {
        let server = key(reader)?;
        let _fee = number(reader)?;
        if reader.long().ok_or(Encoding)? != 0 {
            return Err(Shape("its sequence number is not 0: a ledger could take it"));
        }
        let (min_time, max_time) = match number(reader)? {
            1 => (reader.long().ok_or(Encoding)?, reader.long().ok_or(Encoding)?),
            0 => return Err(Shape("it has no time bounds")),
            2 => return Err(Shape("it has preconditions other than time bounds")),
            _ => return Err(Encoding),
        };
        if min_time == 0 || max_time < min_time || max_time - min_time > MAX_LIFE {
            return Err(Shape("its time bounds are open, or more than 15 minutes apart"));
        }
        match number(reader)? {
            0 => {}
            1..=4 => return Err(Shape("it has a memo")),
            _ => return Err(Encoding),
        }
        if number(reader)? != 2 {
            return Err(Shape("it has other operations than the two of a challenge"));
        }
        let (client, name, nonce) = read_data(reader)?;
        let (second, domain, value) = read_data(reader)?;
        if number(reader)? != 0 {
            return Err(Shape("it has the data of a contract"));
        }
        let home_domain = name.strip_suffix(AUTH).filter(|domain| !domain.is_empty());
        let home_domain = home_domain.ok_or(Shape("its first operation names no home domain"))?;
        let nonce = STANDARD.decode(nonce).ok().and_then(|bytes| bytes.try_into().ok());
        if second != server || domain != WEB_AUTH_DOMAIN {
            return Err(Shape("its second operation is not the server's web_auth_domain"));
        }
        Ok(Self {
            server,
            client,
            home_domain: home_domain.to_owned(),
            web_auth_domain: String::from_utf8(value).map_err(|_| Encoding)?,
            nonce: nonce.ok_or(Shape("its first value is not 48 bytes in base64"))?,
            min_time,
            max_time,
        })
    }
}

/// A transaction with signatures, none of which was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    challenge: Challenge,
    transaction: Vec<u8>,
    signatures: Vec<Decorated>,
}

/// A signature, and the last four bytes of the key that is said to have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decorated {
    /// The end of the key.
    pub hint: [u8; 4],
    /// Ed25519.
    pub signature: [u8; 64],
}

impl Decorated {
    /// The signature of a key.
    pub fn by(key: &[u8; 32], signature: [u8; 64]) -> Self {
        Self { hint: key.last_chunk().copied().unwrap_or_default(), signature }
    }

    /// Whether it says that this key made it.
    pub fn names(&self, key: &[u8; 32]) -> bool {
        key.ends_with(&self.hint)
    }
}

impl Envelope {
    /// An envelope without signatures; `None` where a domain is too long for a transaction.
    pub fn of(challenge: Challenge) -> Option<Self> {
        let transaction = challenge.transaction()?;
        Some(Self { challenge, transaction, signatures: Vec::new() })
    }

    /// Reads an envelope from the base64 of its XDR.
    ///
    /// # Errors
    /// [`ChallengeFault`].
    pub fn read(text: &str) -> Result<Self, ChallengeFault> {
        let fits = text.len() <= MAX_ENVELOPE.div_ceil(3) * 4;
        let bytes = STANDARD.decode(text).ok().filter(|_| fits).ok_or(Encoding)?;
        let mut reader = Reader::new(&bytes);
        match number(&mut reader)? {
            ENVELOPE => {}
            0 => return Err(Shape("it is an envelope of the kind before CAP-15")),
            5 => return Err(Shape("it is a fee bump")),
            _ => return Err(Encoding),
        }
        let start = reader.rest();
        let challenge = Challenge::read(&mut reader)?;
        let length = start.len().saturating_sub(reader.rest().len());
        let transaction = start.get(..length).ok_or(Encoding)?.to_vec();
        let count = number(&mut reader)?;
        if count > 20 {
            return Err(Encoding);
        }
        let mut signatures = Vec::new();
        for _ in 0..count {
            let hint = reader.array().ok_or(Encoding)?;
            let signature = reader.opaque(64).ok_or(Encoding)?;
            let whole = || Shape("a signature in it has not 64 bytes");
            signatures
                .push(Decorated { hint, signature: signature.try_into().map_err(|_| whole())? });
        }
        if !reader.rest().is_empty() {
            return Err(Encoding);
        }
        Ok(Self { challenge, transaction, signatures })
    }

    /// The base64 of its XDR.
    pub fn write(&self) -> String {
        let mut out = Writer::default();
        out.number(ENVELOPE).bytes(&self.transaction);
        out.number(u32::try_from(self.signatures.len()).unwrap_or(u32::MAX));
        for Decorated { hint, signature } in &self.signatures {
            out.bytes(hint).number(64).bytes(signature);
        }
        STANDARD.encode(out.finish())
    }

    /// The same with one more signature.
    #[must_use]
    pub fn signed(mut self, signature: Decorated) -> Self {
        self.signatures.push(signature);
        self
    }

    /// What it says.
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// The transaction, as it was received.
    pub fn transaction(&self) -> &[u8] {
        &self.transaction
    }

    /// The signatures, as they were received.
    pub fn signatures(&self) -> &[Decorated] {
        &self.signatures
    }

    /// What is signed, on the network of that passphrase.
    pub fn hash(&self, passphrase: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(Sha256::digest(passphrase))
            .chain_update(ENVELOPE.to_be_bytes())
            .chain_update(&self.transaction)
            .finalize()
            .into()
    }
}

/// An operation that sets a piece of data, by an account of its own.
fn data(out: &mut Writer, source: &[u8; 32], name: &str, value: &[u8]) -> Option<()> {
    out.number(1).number(0).bytes(source).number(MANAGE_DATA);
    out.opaque(name.as_bytes())?.number(1).opaque(value).map(drop)
}

fn read_data(reader: &mut Reader<'_>) -> Result<([u8; 32], String, Vec<u8>), ChallengeFault> {
    match number(reader)? {
        1 => {}
        0 => return Err(Shape("an operation in it has no source of its own")),
        _ => return Err(Encoding),
    }
    let source = key(reader)?;
    if number(reader)? != MANAGE_DATA {
        return Err(Shape("it has an operation that does more than to set data"));
    }
    let name = reader.opaque(MAX_DATA).ok_or(Encoding)?;
    let name = str::from_utf8(name).map_err(|_| Encoding)?.to_owned();
    match number(reader)? {
        1 => {}
        0 => return Err(Shape("an operation in it has no value")),
        _ => return Err(Encoding),
    }
    Ok((source, name, reader.opaque(MAX_DATA).ok_or(Encoding)?.to_vec()))
}

/// A source that is a key itself, and no sub-account of one.
fn key(reader: &mut Reader<'_>) -> Result<[u8; 32], ChallengeFault> {
    match number(reader)? {
        0 => reader.array().ok_or(Encoding),
        0x100 => Err(Shape("a source in it is a muxed account")),
        _ => Err(Encoding),
    }
}

fn number(reader: &mut Reader<'_>) -> Result<u32, ChallengeFault> {
    reader.number().ok_or(Encoding)
}

#[cfg(test)]
#[path = "stellar_challenge_tests.rs"]
mod tests;
