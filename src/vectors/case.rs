//! One judged case, and how the members of a case are read.
//!
//! Cases are other people's JSON: a member of the wrong type reads as absent, and what then cannot
//! be judged is a refusal like any other broken input.

use countersign_sdk::time::Timestamp;
use serde_json::Value;

use crate::model::reason::Refusal;
use crate::wallet::caip122::Moment;

/// What we say of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All checks passed.
    Accept,
    /// A check failed: its reason.
    Reject(String),
    /// Of a format, curve or algorithm that we have not.
    Skip,
}

/// A case with what its file expects and what we say.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) accept: bool,
    pub(crate) got: Verdict,
}

impl Case {
    /// A case of our own layout: `id`, and `expect` where it is not to be accepted.
    pub(crate) fn of(case: &Value, place: usize, got: Verdict) -> Self {
        let id = text(case, "id").or_else(|| text(case, "name"));
        Self {
            id: id.map_or_else(|| place.to_string(), |id| id.replace(char::is_whitespace, "-")),
            accept: text(case, "expect") != Some("reject"),
            got,
        }
    }
}

impl<E: Into<Why>> From<Result<(), E>> for Verdict {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Accept,
            Err(why) => Self::Reject(why.into().0),
        }
    }
}

/// Why a case was refused, as one word or a code.
#[derive(Clone, Debug)]
pub(crate) struct Why(pub(crate) String);

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.reason().code().to_owned())
    }
}

impl From<&str> for Why {
    fn from(code: &str) -> Self {
        Self(code.to_owned())
    }
}

/// A fault of another part of the library, by its own words.
pub(crate) fn said(error: impl std::fmt::Display) -> Why {
    Why(error.to_string().replace(' ', "_"))
}

/// The text of a member.
pub(crate) fn text<'a>(case: &'a Value, member: &str) -> Option<&'a str> {
    case.get(member).and_then(Value::as_str)
}

/// The bytes of a hex member, with or without `0x`.
pub(crate) fn bytes(case: &Value, member: &str) -> Option<Vec<u8>> {
    let digits = text(case, member)?;
    hex::decode(digits.strip_prefix("0x").unwrap_or(digits)).ok()
}

/// A moment as RFC 3339 or as seconds.
pub(crate) fn moment(case: &Value, member: &str) -> Option<Timestamp> {
    match case.get(member)? {
        Value::Number(seconds) => seconds.as_u64().map(Timestamp::from_unix),
        Value::String(text) => Moment::parse(text).map(Moment::floor),
        _ => None,
    }
}
