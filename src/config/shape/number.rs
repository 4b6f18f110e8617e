//! A number is whole and lies within stated bounds, or is switched off by the word for it.

use std::fmt::Display;

use super::super::fault::Fault;
use super::super::written::{Value, Written};
use super::Shape;

/// The word that switches a bound off.
const OFF: &str = "off";

/// A whole number of `unit`s from `min` to `max`; an empty unit is a bare count.
pub(crate) struct Whole<T> {
    /// The smallest accepted.
    pub(crate) min: T,
    /// The largest accepted.
    pub(crate) max: T,
    /// What is counted, in the plural.
    pub(crate) unit: &'static str,
}

impl<T: Copy + Display + Into<Bound> + TryFrom<i128>> Whole<T> {
    fn unit(&self) -> String {
        if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) }
    }

    fn within(&self, digits: &str) -> Result<T, String> {
        let number: i128 = digits.parse().map_err(|_| "must be a whole number".to_owned())?;
        if number < self.min.into().0 {
            return Err(format!("must be at least {}{}", self.min, self.unit()));
        }
        match T::try_from(number) {
            Ok(value) if number <= self.max.into().0 => Ok(value),
            _ => Err(format!("must be at most {}{}", self.max, self.unit())),
        }
    }
}

/// A bound in the one width that holds every type of number here.
pub(crate) struct Bound(i128);

impl From<u32> for Bound {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl From<u64> for Bound {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl From<usize> for Bound {
    fn from(number: usize) -> Self {
        Self(i128::try_from(number).unwrap_or(i128::MAX))
    }
}

impl<T: Copy + Display + Into<Bound> + TryFrom<i128> + Sync> Shape for Whole<T> {
    type Value = T;

    fn accepted(&self) -> String {
        let of = if self.unit.is_empty() { String::new() } else { format!(" of {}", self.unit) };
        format!("a whole number{of}, {} to {}", self.min, self.max)
    }

    fn read(&self, written: &Written, faults: &mut Vec<Fault>) -> Option<T> {
        let read = match &written.value {
            Value::Number(digits) | Value::Plain(digits) => self.within(digits),
            Value::Text(_) => Err("must be a whole number, without quotes".to_owned()),
            Value::Switch(_) | Value::List(_) | Value::Other(_) => {
                Err("must be a whole number".to_owned())
            }
        };
        read.map_err(|problem| faults.push(written.fault(problem, Some(self.accepted())))).ok()
    }
}

/// A whole number, or `"off"` for no bound at all.
pub(crate) struct WholeOrOff<T>(pub(crate) Whole<T>);

impl<T: Copy + Display + Into<Bound> + TryFrom<i128> + Sync> Shape for WholeOrOff<T> {
    type Value = Option<T>;

    fn accepted(&self) -> String {
        format!("{}, or \"{OFF}\"", self.0.accepted())
    }

    fn read(&self, written: &Written, faults: &mut Vec<Fault>) -> Option<Option<T>> {
        let read = match &written.value {
            Value::Plain(text) | Value::Text(text) if text == OFF => return Some(None),
            Value::Number(digits) | Value::Plain(digits) => self.0.within(digits),
            Value::Text(_) => Err(format!("must be a whole number without quotes, or \"{OFF}\"")),
            Value::Switch(_) | Value::List(_) | Value::Other(_) => {
                Err(format!("must be a whole number, or \"{OFF}\""))
            }
        };
        read.map(Some)
            .map_err(|problem| faults.push(written.fault(problem, Some(self.accepted()))))
            .ok()
    }
}
