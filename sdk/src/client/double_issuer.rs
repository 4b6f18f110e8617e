//! An issuer for the unit tests of this module, which rotates refresh tokens as the real one does.
//!
//! `refresh-N` is good while N is the newest generation or the one before it; anything older ends
//! the session. What becomes of an answer on its way is the test's to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use url::form_urlencoded;

use super::double::{Answer, Double, Received, challenge, metadata, token};
use super::{AccessToken, Http, RefreshToken, Session, SignIn, Token};
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner};
use crate::time::{Clock as _, ManualClock, Timestamp};

/// Seconds that an access token of this issuer lives.
pub(super) const LIFE: u64 = 300;

/// What becomes of the answer to a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives.
    Whole,
    /// The request is done, the answer is lost.
    Lost,
    /// The request is done, and a proxy answers 503 in place of the issuer.
    Unavailable,
    /// The request arrives twice.
    Twice,
    /// The issuer answers with this error and reason, and does nothing.
    Refused(&'static str, Option<&'static str>),
}

/// What the issuer knows of its one session, and what it was asked.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) generation: u64,
    pub(super) ended: bool,
    /// Of the next refreshes, in their order; then all are whole.
    pub(super) fates: VecDeque<Fate>,
    /// The generations that were presented.
    pub(super) presented: Vec<u64>,
    /// Sessions opened by a signed message or an assertion.
    pub(super) opened: u64,
    /// The tokens that were revoked.
    pub(super) revoked: Vec<String>,
    /// What `/revoke` and `/sessions` answer, where it is not what they should.
    pub(super) out_of_order: bool,
    access_tokens: u64,
}

impl Books {
    fn refresh(&mut self, text: &str) -> Answer {
        let generation: u64 = text.strip_prefix("refresh-").unwrap().parse().unwrap();
        let fate = self.fates.pop_front().unwrap_or(Fate::Whole);
        self.presented.push(generation);
        if let Fate::Refused(error, reason) = fate {
            let reason = reason.map(|reason| format!(r#","reason":"{reason}""#));
            let body = format!(r#"{{"error":"{error}"{}}}"#, reason.unwrap_or_default());
            return (400, vec![], body);
        }
        let first = self.rotate(generation);
        match fate {
            Fate::Whole | Fate::Refused(..) => first,
            Fate::Lost => (0, vec![], String::new()),
            Fate::Unavailable => (503, vec![], "<html>".to_owned()),
            Fate::Twice => self.rotate(generation),
        }
    }

    fn rotate(&mut self, presented: u64) -> Answer {
        let refused = |reason: &str| {
            (400, vec![], format!(r#"{{"error":"invalid_grant","reason":"{reason}"}}"#))
        };
        if self.ended || presented > self.generation {
            return refused("session_ended");
        }
        if presented + 1 < self.generation {
            self.ended = true;
            return refused("refresh_reused");
        }
        self.generation = presented + 1;
        self.answer()
    }

    fn open(&mut self) -> Answer {
        self.opened += 1;
        self.ended = false;
        self.generation += 10;
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        self.access_tokens += 1;
        let (status, headers, body) = token(&format!("token-{}", self.access_tokens), LIFE);
        let session = format!(
            r#","refresh_token":"refresh-{}","session_id":"s{}"}}"#,
            self.generation, self.opened
        );
        (status, headers, body.replace('}', &session))
    }
}

/// The issuer, running.
pub(super) struct Issuer {
    pub(super) double: Double,
    pub(super) clock: Arc<ManualClock>,
    books: Arc<Mutex<Books>>,
}

impl Issuer {
    pub(super) async fn start() -> Self {
        let books: Arc<Mutex<Books>> = Arc::default();
        let own = Arc::clone(&books);
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(1_800_000_000)));
        let of_issuer = Arc::clone(&clock);
        let double = Double::start(move |origin, request| {
            answer(&mut own.lock().unwrap(), origin, request, of_issuer.now())
        })
        .await;
        Self { double, clock, books }
    }

    pub(super) fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.books.lock().unwrap())
    }

    pub(super) fn http(&self) -> Http {
        Http::with(Arc::clone(&self.clock) as _, Arc::new(OsEntropy)).unwrap()
    }

    pub(super) fn sign_in(&self) -> SignIn {
        SignIn::new(&self.double.origin)
            .resource("https://a.example")
            .scope("read")
            .http(self.http())
    }

    /// A token of the first generation, which nobody was asked for.
    pub(super) fn first_token(&self) -> Token {
        let now = self.clock.now();
        Token {
            access_token: AccessToken::new("token-0").unwrap(),
            issued_at: now,
            expires_at: now.plus(LIFE),
            scope: "read".to_owned(),
            sub: "did:key:x".to_owned(),
            resource: Some("https://a.example".to_owned()),
            refresh_token: RefreshToken::new("refresh-0"),
            session_id: Some("s0".to_owned()),
        }
    }

    /// A session whose person is elsewhere.
    pub(super) fn session(&self) -> Session {
        let key = Arc::new(InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap());
        self.sign_in().resume(self.first_token(), key).unwrap()
    }

    /// The refreshes that were asked for.
    pub(super) fn presented(&self) -> Vec<u64> {
        self.books(|books| books.presented.clone())
    }
}

fn answer(books: &mut Books, origin: &str, request: &Received, now: Timestamp) -> Answer {
    let path = request.line.split(' ').nth(1).unwrap();
    match path {
        "/challenge" => challenge(origin, request, now),
        "/token" => {
            assert!(request.header("dpop").is_some(), "no proof");
            match field(request, "grant_type").as_str() {
                "refresh_token" => books.refresh(&field(request, "refresh_token")),
                _ => books.open(),
            }
        }
        "/revoke" if books.out_of_order => (503, vec![], String::new()),
        "/revoke" => {
            books.revoked.push(field(request, "token"));
            (200, vec![], String::new())
        }
        path if path.starts_with("/sessions") => sessions(books, request),
        _ => metadata(origin),
    }
}

fn sessions(books: &Books, request: &Received) -> Answer {
    assert!(request.header("authorization").unwrap().starts_with("DPoP token-"));
    assert!(request.header("dpop").is_some(), "no proof");
    let one = |id: &str| {
        format!(
            r#"{{"id":"{id}","current":true,"label":"my laptop","account":"did:key:x","client_id":"c",
            "format":"key","resource":"https://a.example","scope":"read","bound":true,
            "created_at":"2026-01-01T00:00:00Z","last_used_at":"2026-01-01T00:00:01Z",
            "expires_at":"2026-02-01T00:00:00Z"}}"#
        )
    };
    match request.line.split(' ').collect::<Vec<_>>()[..2] {
        ["GET", _] if books.out_of_order => {
            (200, vec![], format!(r#"{{"sessions":[{}]}}"#, one("../x")))
        }
        ["GET", _] => (200, vec![], format!(r#"{{"sessions":[{},{}]}}"#, one("s0"), one("s9"))),
        ["DELETE", "/sessions" | "/sessions/s0" | "/sessions/s9"] => (204, vec![], String::new()),
        _ => (404, vec![], r#"{"error":"invalid_request","reason":"session_unknown"}"#.to_owned()),
    }
}

/// A field of a form, empty when it is not there.
pub(super) fn field(request: &Received, name: &str) -> String {
    let mut fields = form_urlencoded::parse(request.body.as_bytes());
    fields.find(|(key, _)| key == name).map_or_else(String::new, |(_, value)| value.into_owned())
}
