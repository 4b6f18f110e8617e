//! A record on disk is a version, flags, and the fields one after the other: how sessions and revocations are written and read back.
//!
//! Short, since a million of them lie beside each other, and strict: whatever is not exactly one
//! record of a known version is unreadable, and nothing is guessed. Numbers are LEB128, texts have
//! their length before them, and there is one record for each value. The name of a session is its key in the table and not in the record.

use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;

use crate::model::revocation::{Entry, Target};
use crate::model::session::{ContractProof, Session, SessionId, Usage};

/// The version that is written.
const VERSION: u8 = 1;
/// The longest record that is read, in bytes; what a message can carry stays far below.
pub(super) const LONGEST: usize = 65_536;

const PROVEN: u8 = 1;
const BOUND: u8 = 2;
const LABEL: u8 = 4;
/// The account is not written: the subject is `did:pkh:` and the account.
const ACCOUNT_IN_SUBJECT: u8 = 8;
/// The proven key's `did:key` is written.
const DID: u8 = 16;
/// What a contract signed by is written.
const CONTRACT: u8 = 32;
const PKH: &str = "did:pkh:";

/// The bytes are no record of a version that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record cannot be read")]
pub struct Unreadable;

/// The record of a session.
pub fn of_session(session: &Session) -> Vec<u8> {
    let in_subject = session.subject.strip_prefix(PKH) == Some(&session.account);
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    let mut out = Vec::with_capacity(256);
    out.push(VERSION);
    out.push(
        flag(session.proven.is_some(), PROVEN)
            | flag(session.bound_to.is_some(), BOUND)
            | flag(session.label.is_some(), LABEL)
            | flag(in_subject, ACCOUNT_IN_SUBJECT)
            | flag(session.proven_did.is_some(), DID)
            | flag(session.contract.is_some(), CONTRACT),
    );
    let Usage { generation, rotated_at, last_used_at } = session.usage;
    for moment in [session.created_at, session.ends_at, last_used_at, rotated_at] {
        number(&mut out, moment.as_unix());
    }
    number(&mut out, u64::from(generation));
    for key in [&session.proven, &session.bound_to].into_iter().flatten() {
        out.extend_from_slice(key.as_bytes());
    }
    text(&mut out, &session.subject);
    if !in_subject {
        text(&mut out, &session.account);
    }
    let texts = [&session.client_id, &session.method, &session.resource, &session.scope];
    for field in texts.into_iter().chain(&session.label).chain(&session.proven_did) {
        text(&mut out, field);
    }
    if let Some(contract) = &session.contract {
        out.extend_from_slice(&contract.digest);
        number(&mut out, contract.signature.len() as u64);
        out.extend_from_slice(&contract.signature);
    }
    out
}

/// The usage that stands in the record of a session. What comes behind it is not looked at.
///
/// # Errors
/// [`Unreadable`].
pub fn usage(record: &[u8]) -> Result<Usage, Unreadable> {
    let mut rest = Rest::of(record)?;
    let _flags = rest.byte()?;
    let (_created_at, _ends_at) = (rest.moment()?, rest.moment()?);
    rest.usage()
}

/// The session of a record.
///
/// # Errors
/// [`Unreadable`].
pub fn session(id: SessionId, record: &[u8]) -> Result<Session, Unreadable> {
    let mut rest = Rest::of(record)?;
    let flags = rest.byte()?;
    if flags & !(PROVEN | BOUND | LABEL | ACCOUNT_IN_SUBJECT | DID | CONTRACT) != 0 {
        return Err(Unreadable);
    }
    let (created_at, ends_at) = (rest.moment()?, rest.moment()?);
    let usage = rest.usage()?;
    let mut key = |bit: u8| (flags & bit != 0).then(|| rest.thumbprint()).transpose();
    let (proven, bound_to) = (key(PROVEN)?, key(BOUND)?);
    let subject = rest.text()?;
    let in_subject = subject.strip_prefix(PKH);
    let account = match flags & ACCOUNT_IN_SUBJECT {
        0 => rest.text()?,
        _ => in_subject.ok_or(Unreadable)?.to_owned(),
    };
    if flags & ACCOUNT_IN_SUBJECT == 0 && in_subject == Some(&account) {
        return Err(Unreadable);
    }
    let (client_id, method) = (rest.text()?, rest.text()?);
    let (resource, scope) = (rest.text()?, rest.text()?);
    let mut optional = |bit: u8| (flags & bit != 0).then(|| rest.text()).transpose();
    let (label, proven_did) = (optional(LABEL)?, optional(DID)?);
    let contract = (flags & CONTRACT != 0).then(|| rest.contract()).transpose()?;
    rest.end()?;
    Ok(Session {
        id,
        subject,
        account,
        client_id,
        method,
        proven,
        proven_did,
        contract,
        bound_to,
        resource,
        scope,
        label,
        created_at,
        ends_at,
        usage,
    })
}

const TOKEN: u8 = 1;
const SESSION: u8 = 2;
const KEY: u8 = 3;
const SUBJECT: u8 = 4;
const EVERYTHING: u8 = 5;

/// The record of a revocation.
pub fn of_entry(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.push(VERSION);
    match &entry.target {
        Target::Token(jti) => tagged_text(&mut out, TOKEN, jti),
        Target::Session(id) => tagged(&mut out, SESSION, id.as_bytes()),
        Target::Key(jkt) => tagged(&mut out, KEY, jkt.as_bytes()),
        Target::Subject(subject) => tagged_text(&mut out, SUBJECT, subject),
        Target::Everything => out.push(EVERYTHING),
    }
    // 0 is no moment: an entry that names one was made after it.
    number(&mut out, entry.not_before.map_or(0, Timestamp::as_unix));
    number(&mut out, entry.until.as_unix());
    out
}

/// The revocation of a record.
///
/// # Errors
/// [`Unreadable`].
pub fn entry(record: &[u8]) -> Result<Entry, Unreadable> {
    let mut rest = Rest::of(record)?;
    let target = match rest.byte()? {
        TOKEN => Target::Token(rest.text()?),
        SESSION => Target::Session(SessionId::from_bytes(rest.bytes()?)),
        KEY => Target::Key(rest.thumbprint()?),
        SUBJECT => Target::Subject(rest.text()?),
        EVERYTHING => Target::Everything,
        _ => return Err(Unreadable),
    };
    let not_before = Some(rest.moment()?).filter(|moment| moment.as_unix() != 0);
    let entry = Entry { target, not_before, until: rest.moment()? };
    rest.end()?;
    Ok(entry)
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn tagged_text(out: &mut Vec<u8>, tag: u8, name: &str) {
    out.push(tag);
    text(out, name);
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// What follows the version.
    fn of(record: &'a [u8]) -> Result<Self, Unreadable> {
        let mut rest = Self(record);
        match record.len() <= LONGEST && rest.byte()? == VERSION {
            true => Ok(rest),
            false => Err(Unreadable),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        self.take(N)?.try_into().map_err(|_| Unreadable)
    }

    fn thumbprint(&mut self) -> Result<Thumbprint, Unreadable> {
        self.bytes().map(Thumbprint::from_bytes)
    }

    /// In the one shortest form.
    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(Unreadable);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unreadable)
    }

    fn moment(&mut self) -> Result<Timestamp, Unreadable> {
        self.number().map(Timestamp::from_unix)
    }

    fn usage(&mut self) -> Result<Usage, Unreadable> {
        let (last_used_at, rotated_at) = (self.moment()?, self.moment()?);
        let generation = u32::try_from(self.number()?).map_err(|_| Unreadable)?;
        Ok(Usage { generation, rotated_at, last_used_at })
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let len = usize::try_from(self.number()?).map_err(|_| Unreadable)?;
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| Unreadable)?;
        Ok(text.to_owned())
    }

    fn contract(&mut self) -> Result<ContractProof, Unreadable> {
        let digest = self.bytes()?;
        let len = usize::try_from(self.number()?).map_err(|_| Unreadable)?;
        Ok(ContractProof { digest, signature: self.take(len)?.to_vec() })
    }

    const fn end(&self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable) }
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
