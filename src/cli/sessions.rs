//! Lists the sessions that the issuer knows of a kept session's account, and ends them.

use countersign_sdk::client::SubjectSession;
use countersign_sdk::client::error::printable;
use serde_json::{Value, json};

use super::failure::Failure;
use super::kept::{self, Folder};
use super::output::{Output, moment_text};

const EXAMPLE: &str = "\
Examples:
  countersign sessions --session demo
  countersign sessions --session demo --end Y2xvc2UgdGhpcyBvbmU
  countersign sessions --session demo --end-all

The star marks the session that asks. A session that is ended is refused from then on by every API
that follows the issuer's revocations, and gets no other token. Where the ended session is the one
that asks, its file is removed.";

/// Arguments of `countersign sessions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Ask with the session kept under this name; without, with the only one that is kept.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// End this session.
    #[arg(long, value_name = "ID", conflicts_with = "end_all")]
    end: Option<String>,
    /// End all of them, with every token that was given for them.
    #[arg(long)]
    end_all: bool,
    #[command(flatten)]
    folder: Folder,
}

/// Lists or ends.
///
/// # Errors
/// [`Failure`].
pub async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let name = args.folder.name_or_only(args.session.as_deref())?;
    let session = kept::resume(&args.folder, name.as_str(), output).await?;
    if let Some(id) = &args.end {
        session.end_session(id).await?;
        return output.result(&[("ended", json!(id))]);
    }
    if args.end_all {
        session.end_all().await?;
        return output.result(&[("ended", json!("all"))]);
    }
    let sessions = session.sessions().await?;
    if output.is_json() {
        let sessions: Vec<Value> = sessions.iter().map(as_json).collect();
        return output.document(&json!({"sessions": sessions}));
    }
    output.bytes(table(&sessions).as_bytes())
}

fn as_json(session: &SubjectSession) -> Value {
    json!({
        "id": session.id,
        "current": session.current,
        "label": session.label,
        "account": session.account,
        "client_id": session.client_id,
        "format": session.format,
        "resource": session.resource,
        "scope": session.scope,
        "created_at": moment_text(session.created_at),
        "last_used_at": moment_text(session.last_used_at),
        "expires_at": moment_text(session.expires_at),
        "bound": session.bound,
    })
}

const HEAD: [&str; 6] = ["  ID", "LABEL", "LAST USED", "ENDS", "RESOURCE", "SCOPE"];

/// One line for each; what others wrote is escaped.
fn table(sessions: &[SubjectSession]) -> String {
    let row = |session: &SubjectSession| {
        [
            format!("{} {}", if session.current { '*' } else { ' ' }, session.id),
            printable(session.label.as_deref().unwrap_or("-")),
            moment_text(session.last_used_at),
            moment_text(session.expires_at),
            printable(&session.resource),
            printable(&session.scope),
        ]
    };
    let rows: Vec<[String; 6]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(sessions.iter().map(row)).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in &rows {
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
    use countersign_sdk::time::Timestamp;

    use super::*;

    #[test]
    fn what_a_device_calls_itself_does_not_steer_the_terminal() {
        let hostile = SubjectSession {
            id: "s1".to_owned(),
            current: true,
            label: Some("my\u{1b}[2J \u{202e}laptop".to_owned()),
            account: "did:key:x".to_owned(),
            client_id: "app.example".to_owned(),
            format: "siwe".to_owned(),
            resource: "https://a.example\n".to_owned(),
            scope: "read".to_owned(),
            created_at: Timestamp::from_unix(1),
            last_used_at: Timestamp::from_unix(2),
            expires_at: Timestamp::from_unix(u64::MAX),
            bound: true,
        };
        let text = table(&[hostile.clone(), SubjectSession { current: false, ..hostile }]);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("\n* s1") && text.contains("\n  s1"), "{text}");
        assert!(!text.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}'), "{text}");
    }
}
