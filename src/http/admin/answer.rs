//! What operators are answered: one JSON shape for each endpoint, as `docs/openapi-admin.json` has it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use countersign_sdk::key::Thumbprint;
use serde::Serialize;

use super::asked::Asked;
use crate::model::reason::Refusal;
use crate::model::revocation::{Entry, Target};
use crate::model::session::{Session, SessionId};
use crate::service::admin::Admitted;
use crate::service::admin::approvals::Waiting;
use crate::service::admin::keys::Operated;
use crate::service::admin::upkeep::{Found, Revocations};
use crate::service::feed::Cursor;
use crate::service::keys::KeyView;

#[derive(Serialize)]
struct Keys {
    keys: Vec<KeyView>,
}

#[derive(Serialize)]
struct Approvals {
    approvals: Vec<Waiting>,
}

#[derive(Serialize)]
struct Sessions {
    sessions: Vec<ShownSession>,
    more: bool,
}

#[derive(Serialize)]
struct ShownSession {
    id: SessionId,
    subject: String,
    account: String,
    client_id: String,
    format: String,
    resource: String,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_to: Option<Thumbprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven_key: Option<Thumbprint>,
    created_at: String,
    last_used_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct Revoked {
    entries: Vec<ShownEntry>,
    cursor: Cursor,
    more: bool,
}

#[derive(Serialize)]
struct ShownEntry {
    #[serde(flatten)]
    target: ShownTarget,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    until: String,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ShownTarget {
    Token(String),
    Session(SessionId),
    Key(Thumbprint),
    Subject(String),
    Everything(bool),
}

/// Does what is asked, and writes the answer.
pub(super) async fn of(admitted: &Admitted<'_>, asked: Asked) -> Result<Response, Refusal> {
    Ok(match asked {
        Asked::Keys => Json(Keys { keys: admitted.list_keys().await? }).into_response(),
        Asked::Operate(operation) => operated(admitted.operate(operation).await?),
        Asked::Sessions(whose) => Json(sessions(admitted.sessions(whose).await?)).into_response(),
        Asked::EndSession(id) => operated(admitted.end_session(id).await?),
        Asked::Revocations(after) => {
            Json(revoked(admitted.revocations(after).await?)).into_response()
        }
        Asked::Revoke(named) => {
            let revocation = named.revocation(admitted.now());
            operated(admitted.revoke(revocation).await?)
        }
        Asked::Audit(query) => Json(admitted.search(query).await?).into_response(),
        Asked::Approvals => {
            Json(Approvals { approvals: admitted.list_approvals().await? }).into_response()
        }
        Asked::Approve(id, expected) => operated(admitted.approve(id, &expected).await?),
        Asked::Withdraw(id) => done(admitted.withdraw(id).await?),
    })
}

fn done((): ()) -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// 202 while it waits, as RFC 9110 §15.3.3 has it.
fn operated(operated: Operated) -> Response {
    let status = match operated {
        Operated::Done => return done(()),
        Operated::Key(_) => StatusCode::OK,
        Operated::Approval(_) => StatusCode::ACCEPTED,
    };
    (status, Json(operated)).into_response()
}

fn sessions(found: Found) -> Sessions {
    let shown = |session: Session| ShownSession {
        id: session.id,
        subject: session.subject,
        account: session.account,
        client_id: session.client_id,
        format: session.method,
        resource: session.resource,
        scope: session.scope,
        label: session.label,
        bound_to: session.bound_to,
        proven_key: session.proven,
        created_at: session.created_at.to_string(),
        last_used_at: session.usage.last_used_at.to_string(),
        expires_at: session.ends_at.to_string(),
    };
    Sessions { sessions: found.sessions.into_iter().map(shown).collect(), more: found.more }
}

fn revoked(page: Revocations) -> Revoked {
    let shown = |entry: Entry| ShownEntry {
        target: match entry.target {
            Target::Token(jti) => ShownTarget::Token(jti),
            Target::Session(id) => ShownTarget::Session(id),
            Target::Key(key) => ShownTarget::Key(key),
            Target::Subject(subject) => ShownTarget::Subject(subject),
            Target::Everything => ShownTarget::Everything(true),
        },
        not_before: entry.not_before.map(|moment| moment.to_string()),
        until: entry.until.to_string(),
    };
    let Revocations { entries, cursor, more } = page;
    Revoked { entries: entries.into_iter().map(shown).collect(), cursor, more }
}
