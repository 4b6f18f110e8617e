//! What of an answer to an operator a person is shown, and in which columns; what others wrote is escaped.

use countersign_sdk::client::error::printable;
use serde_json::Value;

use super::super::failure::Failure;
use super::super::output::Output;
use super::{Command, Sessions};

/// Prints an answer for people.
pub(super) fn print(command: &Command, answer: &Value, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Keys(_)
        | Command::Approve { .. }
        | Command::Revoke(_)
        | Command::Sessions(Sessions { end: Some(_), .. }) => operated(answer, output),
        Command::Sessions(Sessions { end: None, .. }) => {
            let columns =
                ["id", "subject", "label", "last_used_at", "expires_at", "resource", "scope"];
            listed(answer, "sessions", &columns, output)
        }
        Command::Revocations { .. } => {
            let columns =
                ["token", "session", "key", "subject", "everything", "not_before", "until"];
            listed(answer, "entries", &columns, output)?;
            output.note(&format!("cursor {}", text(&answer["cursor"])));
            Ok(())
        }
        Command::Approvals => waiting(answer, output),
        Command::Audit(_) => records(answer, output),
        Command::Withdraw { .. } => {
            output.note("done");
            Ok(())
        }
    }
}

/// What will run, as `approve` takes it.
fn operation(waiting: &Value) -> String {
    let what = &waiting["operation"];
    let named = what["kid"].as_str().or(what["target"].as_str());
    let named = named.map(|name| format!(" {}", printable(name))).unwrap_or_default();
    format!("{}{named}", text(&what["action"]))
}

const KEY: [&str; 5] = ["kid", "alg", "state", "signs_from", "signs_until"];

fn operated(answer: &Value, output: &Output) -> Result<(), Failure> {
    if answer.get("keys").is_some() {
        return listed(answer, "keys", &KEY, output);
    }
    let approval = &answer["approval"];
    if approval.is_object() {
        output.note(&format!(
            "it waits for {} more until {}; another operator runs: countersign admin approve {} {}",
            approval["needed"],
            text(&approval["expires_at"]),
            text(&approval["id"]),
            operation(approval)
        ));
        return output.bytes(format!("{}\n", text(&approval["id"])).as_bytes());
    }
    if answer.is_null() {
        output.note("done");
        return Ok(());
    }
    let rows = vec![head(&KEY), row(&answer["key"], &KEY)];
    output.bytes(table(&rows).as_bytes())
}

fn waiting(answer: &Value, output: &Output) -> Result<(), Failure> {
    let mut rows = vec![head(&["id", "what", "asked_for_by", "needed", "expires_at"])];
    for waiting in answer["approvals"].as_array().into_iter().flatten() {
        let [id, by, needed, until] =
            ["id", "requested_by", "needed", "expires_at"].map(|name| text(&waiting[name]));
        rows.push(vec![id, operation(waiting), by, needed, until]);
    }
    output.bytes(table(&rows).as_bytes())
}

/// One line for each record, as JSON: what stands in it differs from event to event.
fn records(answer: &Value, output: &Output) -> Result<(), Failure> {
    let mut lines = String::new();
    for record in answer["records"].as_array().into_iter().flatten() {
        let body = printable(&record["body"].to_string());
        lines.push_str(&format!("{}  {}  {body}\n", record["seq"], record["time"]));
    }
    if let Some(next) = answer["next"].as_u64() {
        output.note(&format!("there is more: --after {next}"));
    }
    output.bytes(lines.as_bytes())
}

fn listed(answer: &Value, name: &str, columns: &[&str], output: &Output) -> Result<(), Failure> {
    let found = answer[name].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> =
        std::iter::once(head(columns)).chain(found.map(|one| row(one, columns))).collect();
    if answer["more"] == true {
        output.note("there are more than are shown");
    }
    output.bytes(table(&rows).as_bytes())
}

fn head(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|name| name.to_uppercase().replace('_', " ")).collect()
}

fn row(one: &Value, columns: &[&str]) -> Vec<String> {
    columns.iter().map(|name| text(&one[*name])).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate();
        let line: Vec<String> =
            cells.map(|(column, cell)| format!("{cell:0$}", width(column))).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        let session = json!({ "id": "s1", "label": "my\u{1b}[2J \u{202e}laptop", "scope": "a\nb" });
        let rows = vec![head(&["id", "label"]), row(&session, &["id", "label", "scope"])];
        let shown = table(&rows);
        assert_eq!(shown.lines().count(), 2);
        assert!(!shown.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}'));
    }
}
