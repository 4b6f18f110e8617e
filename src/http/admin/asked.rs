//! What a request of an operator says, read whole before anybody is asked who sends it.

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Parts;
use countersign_sdk::account::Account;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::extract::{BodyLimits, Form, check_content_type, json, read_body};
use super::Endpoint;
use crate::audit::Query;
use crate::audit::record::Hash;
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::{LONGEST_TOKEN, Revocation};
use crate::model::session::SessionId;
use crate::service::admin::action::Action;
use crate::service::admin::approvals::{ApprovalId, Operation, ShownOperation};
use crate::service::admin::upkeep::Whose;
use crate::service::feed::{Cursor, CursorError};

/// The longest subject or search text, in bytes.
const LONGEST_TEXT: usize = 512;
/// The longest `jti`; ours have 22 bytes.
const LONGEST_JTI: usize = 64;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Asked {
    Keys,
    Operate(Operation),
    Sessions(Whose),
    EndSession(SessionId),
    Revocations(Option<Cursor>),
    Revoke(Named),
    Audit(Query),
    Approvals,
    /// What waits, and what whoever approves takes it for.
    Approve(ApprovalId, ShownOperation),
    Withdraw(ApprovalId),
}

/// What is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Named {
    Token(NamedToken),
    Session(SessionId),
    Key(Thumbprint),
    Subject(String),
    Everything(bool),
}

/// A token, by what the audit log or an introspection says of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedToken {
    jti: String,
    /// Without it, as long as any token can live from now.
    exp: Option<u64>,
}

impl Asked {
    pub(super) async fn read(
        endpoint: Endpoint,
        name: &str,
        parts: &Parts,
        body: Body,
        limits: BodyLimits,
    ) -> Result<Self, Refusal> {
        let query = || Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(match endpoint {
            Endpoint::ListKeys => Self::Keys,
            Endpoint::RotateKeys => Self::Operate(Operation::Rotate),
            Endpoint::RetireKey => Self::Operate(Operation::Retire(kid(name)?)),
            Endpoint::RevokeKey => Self::Operate(Operation::Revoke(kid(name)?)),
            Endpoint::ListSessions => Self::Sessions(whose(&query()?)?),
            Endpoint::EndSession => Self::EndSession(session(name)?),
            Endpoint::ListRevocations => {
                Self::Revocations(query()?.get("after").map(cursor).transpose()?)
            }
            Endpoint::Revoke => Self::Revoke(named(parts, body, limits).await?),
            Endpoint::SearchAudit => Self::Audit(search(&query()?)?),
            Endpoint::ListApprovals => Self::Approvals,
            Endpoint::Approve => Self::Approve(name.parse()?, body_of(parts, body, limits).await?),
            Endpoint::Withdraw => Self::Withdraw(name.parse()?),
        })
    }

    /// The action, which for a revocation depends on what is revoked.
    pub(super) const fn action(&self, endpoint: Endpoint) -> Action {
        match self {
            Self::Revoke(Named::Everything(_)) => Action::RevokeEverything,
            Self::Keys
            | Self::Operate(_)
            | Self::Sessions(_)
            | Self::EndSession(_)
            | Self::Revocations(_)
            | Self::Revoke(_)
            | Self::Audit(_)
            | Self::Approvals
            | Self::Approve(..)
            | Self::Withdraw(_) => endpoint.action(),
        }
    }

    /// What it is done to, for the record.
    pub(super) fn target(&self) -> Option<String> {
        match self {
            Self::Operate(operation) => operation.kid().map(|kid| kid.to_string()),
            Self::Sessions(Whose::Subject(subject)) | Self::Revoke(Named::Subject(subject)) => {
                Some(subject.clone())
            }
            Self::Sessions(Whose::Key(key)) | Self::Revoke(Named::Key(key)) => {
                Some(key.to_string())
            }
            Self::EndSession(id) | Self::Revoke(Named::Session(id)) => Some(id.to_string()),
            Self::Revoke(Named::Token(token)) => Some(token.jti.clone()),
            Self::Approve(id, _) | Self::Withdraw(id) => Some(id.to_string()),
            Self::Audit(query) => query.about.as_deref().map(searched_for),
            Self::Keys
            | Self::Revocations(_)
            | Self::Revoke(Named::Everything(_))
            | Self::Approvals => None,
        }
    }
}

impl Named {
    /// The revocation, now.
    pub(super) fn revocation(self, now: Timestamp) -> Revocation {
        match self {
            Self::Token(NamedToken { jti, exp }) => {
                let longest = now.plus(LONGEST_TOKEN);
                let expires_at = exp.map_or(longest, Timestamp::from_unix).min(longest);
                Revocation::Token { jti, expires_at }
            }
            Self::Session(id) => Revocation::Session(id),
            Self::Key(key) => Revocation::Key(key),
            Self::Subject(subject) => Revocation::Subject(subject),
            Self::Everything(_) => Revocation::Everything,
        }
    }
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::MalformedRequest, detail)
}

/// A name of another form is one that no key has.
fn kid(name: &str) -> Result<Thumbprint, Refusal> {
    let unknown =
        |_| Refusal::new(Reason::KeyUnknown, "this issuer has no signing key of that name");
    name.parse().map_err(unknown)
}

fn session(name: &str) -> Result<SessionId, Refusal> {
    let detail = "there is no session of that name, or it is over";
    name.parse().map_err(|_| Refusal::new(Reason::SessionUnknown, detail))
}

fn cursor(text: &str) -> Result<Cursor, Refusal> {
    text.parse().map_err(|error: CursorError| malformed(error.to_string()))
}

fn whose(query: &Form) -> Result<Whose, Refusal> {
    match (query.get("subject"), query.get("key")) {
        (Some(subject), None) => Ok(Whose::Subject(a_subject(subject)?)),
        (None, Some(key)) => Ok(Whose::Key(
            key.parse().map_err(|_| malformed("key is an RFC 7638 thumbprint, 43 characters"))?,
        )),
        (None, None) => {
            let detail = "say whose sessions: subject or key";
            Err(Refusal::new(Reason::ParameterMissing, detail))
        }
        (Some(_), Some(_)) => Err(malformed("say subject or key, and not both")),
    }
}

fn a_subject(text: &str) -> Result<String, Refusal> {
    if text.starts_with("did:") && is_short_and_plain(text) {
        return Ok(text.to_owned());
    }
    Err(malformed("a subject is written as in tokens, did:pkh:… or did:key:…"))
}

fn is_short_and_plain(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a body says that has to be JSON.
async fn body_of<T: DeserializeOwned>(
    parts: &Parts,
    body: Body,
    limits: BodyLimits,
) -> Result<T, Refusal> {
    check_content_type(&parts.headers, "application/json")?;
    let mut request = Request::new(body);
    request.headers_mut().clone_from(&parts.headers);
    json(&read_body(request, limits).await?)
}

async fn named(parts: &Parts, body: Body, limits: BodyLimits) -> Result<Named, Refusal> {
    let named: Named = body_of(parts, body, limits).await?;
    match &named {
        Named::Token(token) => {
            let fits = !token.jti.is_empty()
                && token.jti.len() <= LONGEST_JTI
                && is_short_and_plain(&token.jti);
            if !fits {
                return Err(malformed("jti is that of an access token of this issuer"));
            }
        }
        Named::Subject(subject) => drop(a_subject(subject)?),
        Named::Everything(false) => return Err(malformed("everything is true, or not there")),
        Named::Everything(true) | Named::Session(_) | Named::Key(_) => {}
    }
    Ok(named)
}

/// What was searched for, for the record: the name of something, or the hash of what could be anything, a secret that
/// somebody looks for too.
fn searched_for(about: &str) -> String {
    let is_name = about.parse::<Account>().is_ok()
        || about.starts_with("did:")
        || about.parse::<SessionId>().is_ok()
        || about.parse::<Thumbprint>().is_ok();
    match is_name {
        true => about.to_owned(),
        false => format!("sha256:{}", Hash::of(&[about.as_bytes()]).to_hex()),
    }
}

fn search(query: &Form) -> Result<Query, Refusal> {
    let number = |name: &'static str| -> Result<Option<u64>, Refusal> {
        let digits = |text: &str| text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
        let read = |text: &str| text.parse().ok().filter(|_| digits(text));
        let refused = || malformed(format!("{name} is a whole number"));
        query.get(name).map(|text| read(text).ok_or_else(refused)).transpose()
    };
    let text = |name: &'static str| -> Result<Option<String>, Refusal> {
        let refused = || malformed(format!("{name} is at most {LONGEST_TEXT} visible characters"));
        let read = |text: &str| Some(text.to_owned()).filter(|text| is_short_and_plain(text));
        query.get(name).map(|text| read(text).ok_or_else(refused)).transpose()
    };
    let limit = number("limit")?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Query {
        after: number("after")?.unwrap_or(0),
        limit: limit.unwrap_or(0),
        event: text("event")?,
        about: text("about")?,
        since: number("since")?.map(Timestamp::from_unix),
        until: number("until")?.map(Timestamp::from_unix),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    #[test]
    fn a_secret_that_somebody_searches_for_is_not_recorded() {
        for name in ["did:key:z6Mk", "eip155:1:0x1", "AAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(searched_for(name), name);
        }
        for text in ["eyJh.eyJz.AA", "correct horse", "nonce_used"] {
            let told = searched_for(text);
            assert!(told.starts_with("sha256:") && !told.contains(text), "{told}");
        }
    }

    fn read(body: &str) -> Result<Named, Reason> {
        let request = Request::post("/").header("content-type", "application/json");
        let (parts, body) = request.body(Body::from(body.to_owned())).unwrap().into_parts();
        let limits = BodyLimits { max_bytes: 1000, timeout: std::time::Duration::from_secs(60) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(named(&parts, body, limits)).map_err(|refusal| refusal.reason())
    }

    #[test]
    fn one_thing_is_revoked_and_said_in_one_way() {
        let all = read(r#"{"everything":true}"#).unwrap().revocation(NOW);
        assert_eq!(all, Revocation::Everything);
        for body in [
            "{}",
            "\"everything\"",
            "[\"everything\", true]",
            r#"{"everything":false}"#,
            r#"{"everything":true,"subject":"did:key:z"}"#,
            r#"{"subject":"did:key:z","subject":"did:key:y"}"#,
            r#"{"subject":"eip155:1:0x1"}"#,
            r#"{"subject":"did:key:z\n"}"#,
            r#"{"subject":["did:key:z"]}"#,
            r#"{"session":"short"}"#,
            r#"{"key":"short"}"#,
            r#"{"token":{"jti":""}}"#,
            r#"{"token":{"jti":"a","exp":-1}}"#,
            r#"{"token":{"jti":"a","more":1}}"#,
            r#"{"tokens_before":1}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
        let long = format!(r#"{{"token":{{"jti":"{}"}}}}"#, "a".repeat(65));
        assert!(read(&long).is_err());
    }

    #[test]
    fn a_token_is_remembered_no_longer_than_any_can_live() {
        let until = |body: &str| match read(body).unwrap().revocation(NOW) {
            Revocation::Token { expires_at, .. } => expires_at,
            other => panic!("{other:?}"),
        };
        assert_eq!(until(r#"{"token":{"jti":"a"}}"#), NOW.plus(LONGEST_TOKEN));
        assert_eq!(until(r#"{"token":{"jti":"a","exp":1000300}}"#), NOW.plus(300));
        let far = r#"{"token":{"jti":"a","exp":18446744073709551615}}"#;
        assert_eq!(until(far), NOW.plus(LONGEST_TOKEN));
    }

    #[test]
    fn a_search_is_bounded_and_plain() {
        let parse = |query: &str| search(&Form::parse(query.as_bytes()).unwrap());
        let read = parse("after=7&limit=10&event=sign_in&about=did:key:z&since=5&until=9").unwrap();
        let expected = Query {
            after: 7,
            limit: 10,
            event: Some("sign_in".to_owned()),
            about: Some("did:key:z".to_owned()),
            since: Some(Timestamp::from_unix(5)),
            until: Some(Timestamp::from_unix(9)),
        };
        assert_eq!((read, parse("").unwrap()), (expected, Query::default()));
        for query in ["after=x", "limit=-1", "since=1.5", "after=99999999999999999999", "about=%00"]
        {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
