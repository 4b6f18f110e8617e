//! Which request a command of an operator is, and the one scope that it takes.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::super::failure::Failure;
use super::{Audit, Command, Keys, Revoke, Sessions};
use crate::http::admin::Endpoint;
use crate::model::operator::AdminScope;
use crate::service::admin::approvals::{ApprovalId, ShownOperation};

/// A request to the operations listener.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) scope: &'static str,
}

impl Request {
    pub(super) fn of(command: &Command) -> Result<Self, Failure> {
        let to = |endpoint| Self::to(endpoint, "");
        Ok(match command {
            Command::Keys(Keys::List) => to(Endpoint::ListKeys),
            Command::Keys(Keys::Rotate) => to(Endpoint::RotateKeys),
            Command::Keys(Keys::Retire { kid }) => Self::to(Endpoint::RetireKey, &kid.to_string()),
            Command::Keys(Keys::Revoke { kid }) => Self::to(Endpoint::RevokeKey, &kid.to_string()),
            Command::Sessions(Sessions { end: Some(id), .. }) => {
                Self::to(Endpoint::EndSession, &id.to_string())
            }
            Command::Sessions(Sessions { subject, of_key, end: None }) => {
                let key = of_key.map(|key| key.to_string());
                to(Endpoint::ListSessions).with(&[("subject", subject.clone()), ("key", key)])
            }
            Command::Revocations { after } => {
                to(Endpoint::ListRevocations).with(&[("after", after.clone())])
            }
            Command::Revoke(what) => Self { body: Some(named(what)?), ..to(Endpoint::Revoke) },
            Command::Approvals => to(Endpoint::ListApprovals),
            Command::Approve { id, action, target } => {
                let body = serde_json::to_value(approved(action, target.as_deref())).ok();
                Self { body, ..Self::to(Endpoint::Approve, &checked(id)?) }
            }
            Command::Withdraw { id } => Self::to(Endpoint::Withdraw, &checked(id)?),
            Command::Audit(Audit { event, about, since, until, after, limit }) => {
                let number = |number: &Option<u64>| number.map(|number| number.to_string());
                to(Endpoint::SearchAudit).with(&[
                    ("event", event.clone()),
                    ("about", about.clone()),
                    ("since", number(since)),
                    ("until", number(until)),
                    ("after", number(after)),
                    ("limit", number(limit)),
                ])
            }
        })
    }

    fn to(endpoint: Endpoint, name: &str) -> Self {
        let (method, path) = endpoint.route();
        let method = match method.as_str() {
            "POST" => "POST",
            "DELETE" => "DELETE",
            _ => "GET",
        };
        let path = path.replace("{kid}", name).replace("{id}", name);
        // Whoever may do something may see it too, so the last one is the scope of commands that do.
        let scope = match command_scope(endpoint) {
            Some(scope) => scope,
            None => AdminScope::Read,
        };
        Self { method, path, body: None, scope: scope.name() }
    }

    fn with(mut self, query: &[(&str, Option<String>)]) -> Self {
        let mut written = Serializer::new(String::new());
        for (name, value) in query {
            if let Some(value) = value {
                written.append_pair(name, value);
            }
        }
        let written = written.finish();
        if !written.is_empty() {
            self.path = format!("{}?{written}", self.path);
        }
        self
    }
}

/// The scope of an endpoint that takes one alone; `None` where there is a choice.
fn command_scope(endpoint: Endpoint) -> Option<AdminScope> {
    match endpoint.action().takes() {
        [only] => Some(*only),
        _ => None,
    }
}

/// The id goes into a path, so it is looked at first.
fn checked(id: &str) -> Result<String, Failure> {
    let refused = |_| Failure::usage("an id of what waits is 22 characters, as it was printed");
    id.parse::<ApprovalId>().map(|id| id.to_string()).map_err(refused)
}

/// What whoever approves takes it for; the server refuses to run anything else.
fn approved(action: &str, target: Option<&str>) -> ShownOperation {
    let target = target.map(str::to_owned);
    let (kid, target) = if action.starts_with("keys.") { (target, None) } else { (None, target) };
    ShownOperation { action: action.to_owned(), kid, target }
}

fn named(what: &Revoke) -> Result<Value, Failure> {
    match what {
        Revoke { token: Some(jti), .. } => Ok(json!({ "token": { "jti": jti } })),
        Revoke { session: Some(id), .. } => Ok(json!({ "session": id })),
        Revoke { of_key: Some(key), .. } => Ok(json!({ "key": key.to_string() })),
        Revoke { subject: Some(subject), .. } => Ok(json!({ "subject": subject })),
        Revoke { everything: true, .. } => Ok(json!({ "everything": true })),
        Revoke { .. } => Err(Failure::usage("nothing is named to revoke")),
    }
}
