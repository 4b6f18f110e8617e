//! The reader takes a key's value from what was written, else from its default, and notes where either is missing.

use super::fault::{Fault, Source};
use super::keys::{Absent, Key};
use super::shape::{Item, Shape};
use super::written::{Value, Values, Written};

/// Reads keys out of one table of values.
pub(crate) struct Reader<'a> {
    /// What was written.
    pub(crate) values: &'a Values,
    /// Where a missing key is missing.
    pub(crate) place: Source,
    /// What stands before a key's name in a fault, such as `resources[0].`.
    pub(crate) prefix: String,
    /// Where faults go.
    pub(crate) faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    /// The value of `key`: what was written, else its default; nothing when there is neither or when it is faulty.
    pub(crate) fn read<S: Shape>(&mut self, key: &Key<S>) -> Option<S::Value> {
        if let Some(written) = self.written(key) {
            return key.shape.read(&written, self.faults);
        }
        if matches!(key.absent, Absent::Required) {
            self.faults.push(Fault {
                source: self.place.clone(),
                key: format!("{}{}", self.prefix, key.name),
                found: None,
                problem: "is required".to_owned(),
                accepted: Some(key.shape.accepted()),
            });
        }
        None
    }

    /// How `key` was written, or its default.
    pub(crate) fn written<S>(&self, key: &Key<S>) -> Option<Written> {
        let default = || match key.absent {
            Absent::Default(text) => Some(Written {
                key: format!("{}{}", self.prefix, key.name),
                source: Source::Default,
                value: Value::Plain(text.to_owned()),
            }),
            Absent::Required | Absent::Means(_) => None,
        };
        self.values.get(key.name).cloned().or_else(default)
    }

    /// Whether `key` was written, whatever became of it.
    pub(crate) fn is_written<S>(&self, key: &Key<S>) -> bool {
        self.values.contains_key(key.name)
    }

    /// Adds a fault about the value of `key`.
    pub(crate) fn fault<S>(&mut self, key: &Key<S>, problem: impl Into<String>) {
        if let Some(written) = self.written(key) {
            self.faults.push(written.fault(problem, None));
        }
    }
}

/// The entries of a list, without their places.
pub(crate) fn plain<V>(items: Vec<Item<V>>) -> Vec<V> {
    items.into_iter().map(|item| item.value).collect()
}
