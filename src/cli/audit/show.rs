//! How records are printed: a line for people, or the line of the log.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::audit::record::Record;
use crate::audit::search::{Query, SearchError, in_folder};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use countersign_sdk::client::error::printable;

/// How often `--follow` looks.
const LOOK: Duration = Duration::from_millis(500);
/// The longest value that is shown in a line for people, in characters.
const LONGEST: usize = 80;

/// Prints the newest `count` records, and every later one with `follow`.
///
/// # Errors
/// [`Failure`].
pub(super) async fn tail(
    log: &Path,
    count: usize,
    follow: bool,
    output: &Output,
) -> Result<(), Failure> {
    let mut after = newest(log, count)?;
    loop {
        after = each(log, Query { after, ..Query::default() }, |record| print(record, output))?;
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints what is asked for.
///
/// # Errors
/// [`Failure`].
pub(super) fn search(log: &Path, query: Query, output: &Output) -> Result<(), Failure> {
    each(log, query, |record| print(record, output)).map(|_| ())
}

/// Prints what is asked for as it stands in the log.
///
/// # Errors
/// [`Failure`].
pub(super) fn export(log: &Path, query: Query, output: &Output) -> Result<(), Failure> {
    each(log, query, |record| output.json_line(&record.line())).map(|_| ())
}

/// The place after which the newest `count` records stand.
fn newest(log: &Path, count: usize) -> Result<u64, Failure> {
    let segments = crate::audit::folder::segments(log).map_err(|error| failed(&error.into()))?;
    let mut last = 0;
    if let Some(segment) = segments.last() {
        let after = segment.first.saturating_sub(1);
        last = each(log, Query { after, ..Query::default() }, |_| Ok(()))?;
    }
    Ok(last.saturating_sub(count as u64))
}

/// Every record that is asked for, page by page; gives the last place that was looked at.
fn each(
    log: &Path,
    mut query: Query,
    mut with: impl FnMut(&Record) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    loop {
        let page = in_folder(log, &query).map_err(|error| failed(&error))?;
        for record in &page.records {
            query.after = record.seq;
            with(record)?;
        }
        match page.next {
            Some(next) => query.after = next,
            None => return Ok(query.after),
        }
    }
}

fn failed(error: &SearchError) -> Failure {
    Failure::refused(error.to_string())
}

fn print(record: &Record, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json_line(&record.line());
    }
    let body: Value = serde_json::from_str(record.body.get()).unwrap_or_default();
    let name = body.get("event").and_then(Value::as_str).unwrap_or("?");
    let mut line = format!("{} {} {name}", record.seq, record.time);
    pairs(&mut line, "", &body);
    output.bytes(format!("{}\n", printable(&line)).as_bytes())
}

/// The members of an event, those of members with a dot between; long values are cut.
fn pairs(line: &mut String, prefix: &str, value: &Value) {
    let Some(members) = value.as_object() else { return };
    for (name, value) in members {
        match value {
            Value::Object(_) => pairs(line, &format!("{prefix}{name}."), value),
            Value::String(_) if prefix.is_empty() && name == "event" => {}
            Value::String(text) if text.chars().count() > LONGEST => {
                let start: String = text.chars().take(LONGEST).collect();
                line.push_str(&format!(" {prefix}{name}={}…", quoted(&start)));
            }
            Value::String(text) => line.push_str(&format!(" {prefix}{name}={}", quoted(text))),
            other => line.push_str(&format!(" {prefix}{name}={other}")),
        }
    }
}

/// A text, in quotation marks where it could be taken for more than one.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=' | '\\' | '…');
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_taken_for_more_than_one() {
        let event = serde_json::json!({
            "event": "sign_in_refused", "domain": "a.example sub=did:key:z", "reason": "nonce_used",
            "account": "", "by": { "holder": "x=y" },
        });
        let mut line = String::new();
        pairs(&mut line, "", &event);
        for pair in [
            r#" account="""#,
            r#" by.holder="x=y""#,
            r#" domain="a.example sub=did:key:z""#,
            " reason=nonce_used",
        ] {
            assert!(line.contains(pair), "{line}");
        }
    }
}
