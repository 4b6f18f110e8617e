//! The raw configuration is what was written, key by key with its place, before anyone asks whether it makes sense.
//!
//! Only names are judged here: a key that the table in `keys/` does not have is a fault, with the name that was
//! probably meant. Values keep the type they were written with, so that `"300"` in a file is told apart from `300`.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Faults, Source};
use super::keys::{
    AnyKey, KEYS, OPERATOR_KEYS, OPERATORS, RESOURCE_KEYS, RESOURCES, RPC, RPC_KEYS, names,
    sections,
};
use super::suggest::nearest;
use super::written::{SHOWN, Value, Values, Written};

/// One table of a list of tables, such as a `[[resources]]`.
#[derive(Clone, Debug)]
pub(crate) struct RawTable {
    /// `resources[0]`.
    pub(crate) key: String,
    /// Where the table begins.
    pub(crate) source: Source,
    /// Its values, by the names of the list's keys.
    pub(crate) values: Values,
}

/// The lists of tables, and the keys of a table in each.
const LISTS: [(&str, &[&dyn AnyKey]); 3] =
    [(RESOURCES, RESOURCE_KEYS), (OPERATORS, OPERATOR_KEYS), (RPC, RPC_KEYS)];

/// Everything that was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Raw {
    /// By the names of `KEYS`.
    pub(crate) values: Values,
    /// Where the service manager put its credentials, if it did.
    pub(crate) credentials: Option<PathBuf>,
    /// In the order of the file.
    pub(crate) resources: Vec<RawTable>,
    /// In the order of the file.
    pub(crate) operators: Vec<RawTable>,
    /// In the order of the file.
    pub(crate) rpc: Vec<RawTable>,
}

/// Reads the text of a configuration file; unknown names and misplaced tables are added to `faults`.
///
/// # Errors
/// The first fault of a file that is not TOML, alone: what follows a syntax error cannot be trusted.
pub(crate) fn parse(path: &str, text: &str, faults: &mut Vec<Fault>) -> Result<Raw, Faults> {
    let place = Place { path, text };
    let (table, errors) = DeTable::parse_recoverable(text);
    let start = |error: &toml::de::Error| error.span().unwrap_or_default().start;
    if let Some(first) = errors.iter().min_by_key(|error| start(error)) {
        return Err(Faults(vec![Fault {
            source: place.position(start(first)),
            key: String::new(),
            found: None,
            problem: format!("is not TOML: {}", first.message()),
            accepted: None,
        }]));
    }
    let mut walk = Walk { place, raw: Raw::default(), faults };
    walk.root(table.get_ref());
    Ok(walk.raw)
}

/// Turns byte offsets of a file into lines.
struct Place<'a> {
    path: &'a str,
    text: &'a str,
}

impl Place<'_> {
    /// Line and column of `offset`.
    fn position(&self, offset: usize) -> Source {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Source::File { path: self.path.to_owned(), line: Some(line), column: Some(column) }
    }

    /// The line where `span` begins.
    fn line(&self, span: Range<usize>) -> Source {
        match self.position(span.start) {
            Source::File { path, line, .. } => Source::File { path, line, column: None },
            other => other,
        }
    }
}

struct Walk<'a, 'f> {
    place: Place<'a>,
    raw: Raw,
    faults: &'f mut Vec<Fault>,
}

impl Walk<'_, '_> {
    fn root(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = name.get_ref().as_ref();
            if let Some((list, keys)) = LISTS.into_iter().find(|(list, _)| *list == key) {
                let tables = self.tables(list, keys, name.span(), value);
                let place = match list {
                    RPC => &mut self.raw.rpc,
                    OPERATORS => &mut self.raw.operators,
                    _ => &mut self.raw.resources,
                };
                *place = tables;
            } else if sections().any(|section| section == key) {
                self.section(key, name.span(), value);
            } else if KEYS.iter().any(|known| known.name() == key) {
                let written = self.written(key.to_owned(), value);
                self.raw.values.insert(key.to_owned(), written);
            } else {
                let known = names(KEYS).chain(sections()).chain(LISTS.map(|(list, _)| list));
                self.unknown(key, "", name.span(), known);
            }
        }
    }

    fn section(&mut self, section: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let Some(table) = value.get_ref().as_table() else {
            let problem = format!("must be a table, written [{section}]");
            let written = self.written(section.to_owned(), value);
            self.faults
                .push(Fault { source: self.place.line(span), ..written.fault(problem, None) });
            return;
        };
        for (name, value) in table {
            let key = format!("{section}.{}", name.get_ref());
            if KEYS.iter().any(|known| known.name() == key) {
                let written = self.written(key.clone(), value);
                self.raw.values.insert(key, written);
            } else {
                self.unknown(&key, "", name.span(), names(KEYS));
            }
        }
    }

    fn tables(
        &mut self,
        list: &str,
        keys: &'static [&'static dyn AnyKey],
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Vec<RawTable> {
        let form = format!("must be a list of tables, each written [[{list}]]");
        let Some(items) = value.get_ref().as_array() else {
            let fault = self.written(list.to_owned(), value).fault(form, None);
            self.faults.push(Fault { source: self.place.line(span), ..fault });
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let key = format!("{list}[{index}]");
            match item.get_ref().as_table() {
                Some(table) => tables.push(self.table(key, keys, item.span(), table)),
                None => self.faults.push(self.written(key, item).fault(form.as_str(), None)),
            }
        }
        tables
    }

    fn table(
        &mut self,
        key: String,
        keys: &'static [&'static dyn AnyKey],
        span: Range<usize>,
        table: &DeTable<'_>,
    ) -> RawTable {
        let source = self.place.line(span);
        let mut values = Values::new();
        for (name, value) in table {
            let written_name = name.get_ref().as_ref();
            if keys.iter().any(|known| known.name() == written_name) {
                let written = self.written(format!("{key}.{written_name}"), value);
                values.insert(written_name.to_owned(), written);
            } else {
                self.unknown(written_name, &format!("{key}."), name.span(), names(keys));
            }
        }
        RawTable { key, source, values }
    }

    /// Unknown values are not shown: nobody knows what they are.
    fn unknown<'k>(
        &mut self,
        name: &str,
        prefix: &str,
        span: Range<usize>,
        known: impl Iterator<Item = &'k str>,
    ) {
        let suggestion = nearest(name, known).map(|meant| format!("; did you mean `{meant}`?"));
        self.faults.push(Fault {
            source: self.place.line(span),
            key: format!("{prefix}{}", name.escape_debug().take(SHOWN).collect::<String>()),
            found: None,
            problem: format!("is not a known key{}", suggestion.unwrap_or_default()),
            accepted: None,
        });
    }

    fn written(&self, key: String, value: &Spanned<DeValue<'_>>) -> Written {
        let read = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(digits) => Value::Number(
                i128::from_str_radix(digits.as_str(), digits.radix())
                    .map_or_else(|_| digits.to_string(), |number| number.to_string()),
            ),
            DeValue::Boolean(on) => Value::Switch(*on),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.written(format!("{key}[{index}]"), item))
                    .collect(),
            ),
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Table(_) => Value::Other("a table"),
        };
        Written { key, source: self.place.line(value.span()), value: read }
    }
}
