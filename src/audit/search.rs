//! Which records somebody asks for, and the page of them that is found.
//!
//! A search walks the log in its order and compares names; there is no index beside the log that could
//! say something else. One step looks at a bounded part and says where the next one goes on.

use countersign_sdk::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::record::Record;

/// The most records of one page.
pub const MOST: usize = 1000;

/// What is asked for: records with all of these. Nothing asks for every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Records after this place alone.
    pub after: u64,
    /// At most so many; never more than [`MOST`].
    pub limit: usize,
    /// Events of this name.
    pub event: Option<String>,
    /// Events in which this stands as a whole text, wherever: a subject, an account, an operator, a `jti`,
    /// a session, a `kid`, a reason.
    pub about: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Up to and including this moment.
    pub until: Option<Timestamp>,
}

/// What a search found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Page {
    /// The records, in their order.
    pub records: Vec<Record>,
    /// Where to go on, as `after`; `None` at the end of the log.
    pub next: Option<u64>,
}

impl Query {
    /// How many records a page of this search has at most.
    pub fn page(&self) -> usize {
        match self.limit {
            0 => MOST,
            limit => limit.min(MOST),
        }
    }

    /// Whether a record is asked for.
    pub fn asks_for(&self, record: &Record) -> bool {
        record.seq > self.after
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time <= until)
            && self.names(record)
    }

    fn names(&self, record: &Record) -> bool {
        if self.event.is_none() && self.about.is_none() {
            return true;
        }
        let Ok(body) = serde_json::from_str::<Value>(record.body.get()) else { return false };
        let event = body.get("event").and_then(Value::as_str);
        self.event.as_deref().is_none_or(|name| event == Some(name))
            && self.about.as_deref().is_none_or(|about| mentions(&body, about))
    }
}

/// Whether `text` stands somewhere in `value` as a whole text.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(list) => list.iter().any(|item| mentions(item, text)),
        Value::Object(members) => members.values().any(|item| mentions(item, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
