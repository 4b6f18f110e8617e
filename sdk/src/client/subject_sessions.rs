//! Which sessions the issuer knows of the same subject, and how they are ended from here.
//!
//! The list is asked for with the session's own token and a proof; it may hold what other devices
//! call themselves, so a caller that prints it escapes it ([`printable`](super::error::printable)).
//!
//! Specs: protocol.md §2 and §6.

use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Deserialize, Deserializer};

use super::address::Address;
use super::error::ClientError;
use super::http::refusal;
use super::request::{Client, Response};
use super::session::Session;
use super::token::is_session_id;
use crate::time::Timestamp;

/// The largest list that is read, in bytes: some thousand sessions.
const MAX_LIST: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A session of the subject, as the issuer tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct SubjectSession {
    /// Its name, for [`Session::end_session`].
    pub id: String,
    /// Whether it is the one that asked.
    #[serde(default)]
    pub current: bool,
    /// What its device calls itself.
    pub label: Option<String>,
    /// The account that signed, with the chain that it signed for.
    pub account: String,
    /// The client: a registered one, or the message's domain.
    pub client_id: String,
    /// The message format, or the method, by which it was opened.
    pub format: String,
    /// The API that its tokens are for.
    pub resource: String,
    /// Its scopes, with spaces between.
    pub scope: String,
    /// When it was opened.
    #[serde(deserialize_with = "moment")]
    pub created_at: Timestamp,
    /// When a token was last given for it.
    #[serde(deserialize_with = "moment")]
    pub last_used_at: Timestamp,
    /// When it ends, used or not.
    #[serde(deserialize_with = "moment")]
    pub expires_at: Timestamp,
    /// Whether its refresh token is bound to a key.
    pub bound: bool,
}

#[derive(Deserialize)]
struct List {
    sessions: Vec<SubjectSession>,
}

impl Session {
    /// The sessions of the same subject that are open, this one among them where it is one.
    ///
    /// # Errors
    /// [`ClientError`]; `Protocol` when the issuer offers no list.
    pub async fn sessions(&self) -> Result<Vec<SubjectSession>, ClientError> {
        let answer = self.ask("GET", None).await?;
        let list: List = serde_json::from_slice(&answer.bytes_up_to(MAX_LIST).await?)
            .map_err(|_| self.0.plan.protocol("its list of sessions is none"))?;
        if list.sessions.iter().all(|session| is_session_id(&session.id)) {
            Ok(list.sessions)
        } else {
            Err(self.0.plan.protocol("a session in its list has no name"))
        }
    }

    /// Ends a session of the same subject. The one that asks is then logged out here too.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason `session_unknown` when there is none of this name.
    pub async fn end_session(&self, id: &str) -> Result<(), ClientError> {
        if !is_session_id(id) {
            return Err(ClientError::Request("this names no session"));
        }
        self.ask("DELETE", Some(id)).await?;
        if self.current().session_id.as_deref() == Some(id) { self.forget().await } else { Ok(()) }
    }

    /// Ends every session of the same subject, with every token that it was given; this one is then
    /// logged out here too.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_all(&self) -> Result<(), ClientError> {
        self.ask("DELETE", None).await?;
        self.forget().await
    }

    async fn ask(&self, method: &str, id: Option<&str>) -> Result<Response, ClientError> {
        let metadata = self.0.plan.metadata().await?;
        let endpoint = metadata.sessions_endpoint.as_ref();
        let endpoint =
            endpoint.ok_or_else(|| self.0.plan.protocol("it offers no list of sessions"))?;
        let mut url = endpoint.url().clone();
        if let (Some(id), Ok(mut path)) = (id, url.path_segments_mut()) {
            path.pop_if_empty().push(id);
        }
        let url = Address::parse(url.as_str())?;
        let client = Client::new(self.clone()).also_at(&url.origin())?;
        let answer = client.request(method, url.as_str()).timeout(TIMEOUT).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.bytes_up_to(MAX_LIST).await?;
        Err(refusal(status.as_u16(), &headers, &body).into())
    }
}

/// A time of RFC 3339, from 1970 on.
fn moment<'de, D: Deserializer<'de>>(text: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(text)?;
    let moment = OffsetDateTime::parse(&text, &Rfc3339).ok();
    let seconds = moment.and_then(|moment| u64::try_from(moment.unix_timestamp()).ok());
    seconds.map(Timestamp::from_unix).ok_or_else(|| serde::de::Error::custom("not a time"))
}
