//! A list holds each entry once, and an empty one is refused where it would mean the opposite of what it looks like.
//!
//! `allow = []` reads like "nobody" and would mean "everyone": such a list is left out instead. In the environment a
//! list is written with commas.

use super::super::fault::Fault;
use super::super::written::{Value, Written};
use super::{Shape, TextShape};

/// A list of entries of one shape.
pub(crate) struct ListOf<I> {
    /// What an entry must look like.
    pub(crate) item: I,
    /// Why an empty list is refused, to be read after the value; `None` where it is fine.
    pub(crate) empty: Option<&'static str>,
}

/// An entry, with its place for checks that span several keys.
#[derive(Clone, Debug)]
pub(crate) struct Item<V> {
    /// What it means.
    pub(crate) value: V,
    /// How and where it was written.
    pub(crate) written: Written,
}

impl<I: TextShape<Value: PartialEq>> Shape for ListOf<I> {
    type Value = Vec<Item<I::Value>>;

    fn accepted(&self) -> String {
        format!("a list, each {}", TextShape::accepted(&self.item))
    }

    fn read(&self, written: &Written, faults: &mut Vec<Fault>) -> Option<Self::Value> {
        let entries = match &written.value {
            Value::List(entries) => entries.clone(),
            Value::Plain(text) => split(written, text),
            Value::Text(_) | Value::Number(_) | Value::Switch(_) | Value::Other(_) => {
                let problem = "must be a list, in square brackets";
                let fault = written.fault(problem, Some(Shape::accepted(self)));
                let found = fault.found.clone().filter(|_| !self.item.is_secret());
                faults.push(Fault { found, ..fault });
                return None;
            }
        };
        if let Some(reason) = self.empty.filter(|_| entries.is_empty()) {
            faults.push(written.fault(reason, Some(Shape::accepted(self))));
            return None;
        }
        self.entries(entries, faults)
    }
}

impl<I: TextShape<Value: PartialEq>> ListOf<I> {
    /// Reads every entry, so that one fault does not hide the next.
    fn entries(
        &self,
        entries: Vec<Written>,
        faults: &mut Vec<Fault>,
    ) -> Option<Vec<Item<I::Value>>> {
        let before = faults.len();
        let mut items: Vec<Item<I::Value>> = Vec::with_capacity(entries.len());
        for written in entries {
            let Some(value) = self.item.read(&written, faults) else {
                continue;
            };
            match items.iter().find(|item| item.value == value) {
                Some(twin) => {
                    let problem = format!("is listed already, as {}", twin.written.key);
                    let fault = written.fault(problem, None);
                    let found = fault.found.clone().filter(|_| !self.item.is_secret());
                    faults.push(Fault { found, ..fault });
                }
                None => items.push(Item { value, written }),
            }
        }
        (faults.len() == before).then_some(items)
    }
}

/// The entries of `a, b`; no characters at all are no entries.
fn split(written: &Written, text: &str) -> Vec<Written> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',')
        .enumerate()
        .map(|(index, entry)| Written {
            key: format!("{}[{index}]", written.key),
            source: written.source.clone(),
            value: Value::Plain(entry.trim().to_owned()),
        })
        .collect()
}
