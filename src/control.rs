//! What whoever runs the server can ask it while it serves: one line of JSON over a socket in the store's folder, one line back.
//!
//! The file is locked while a server has it, so it is the server that looks and writes. Only the
//! folder's owner reaches the socket, and the other end's user is asked for as well.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader as StdBufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_sdk::key::{InMemorySigner, Thumbprint};
use countersign_sdk::time::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::audit::event::{Actor, Revoked};
use crate::audit::{Audit, Event};
use crate::keyring::Operation;
use crate::model::revocation::{Revocation, is_subject};
use crate::model::session::SessionId;
use crate::service::keys::{KeyOffice, KeyView};
use crate::service::recording;
use crate::store::embedded::{EmbeddedStore, Report};
use crate::store::{SessionError, Store as _};

/// The socket's name in the store's folder.
const SOCKET: &str = "control.sock";
/// The longest request and answer, in bytes.
const LONGEST: u64 = 1024 * 1024;
/// How long a request may take to arrive, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer is waited for that does not read the whole store.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Connections that are answered at the same time.
const MOST_CONNECTIONS: usize = 16;

/// What is answered to a name that no subject has.
pub(crate) const NO_SUBJECT: &str =
    "a subject is written as in tokens, did:pkh:… or did:key:…, 512 characters at most";

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Read every record.
    Check,
    /// Write a backup to a new file.
    Backup {
        /// Its absolute path.
        out: PathBuf,
    },
    /// Revoke.
    Revoke(Named),
    /// About the signing keys.
    Keys(KeysRequest),
}

/// What is asked about signing keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysRequest {
    /// Tell all of them.
    List,
    /// Make one that is to be the next.
    Generate,
    /// Have the next one sign.
    Rotate,
    /// Let one end in its time, by its kid.
    Retire(String),
    /// Withdraw one now.
    Revoke(String),
    /// Withdraw all of them now, and sign with a new one.
    RevokeAll,
    /// Have this one be the next: a PKCS#8 PEM.
    Import(SecretText),
}

/// A text that is a secret. Prints nothing, and is wiped.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

/// What is to be revoked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// A session.
    Session(SessionId),
    /// Everything of a subject.
    Subject(String),
    /// Everything of a key.
    Key(Thumbprint),
    /// Everything.
    Everything,
}

impl From<Named> for Revocation {
    fn from(named: Named) -> Self {
        match named {
            Named::Session(id) => Self::Session(id),
            Named::Subject(subject) => Self::Subject(subject),
            Named::Key(jkt) => Self::Key(jkt),
            Named::Everything => Self::Everything,
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done.
    Done,
    /// What a check found.
    Checked(Report),
    /// Signing keys: all of them, or the one that something was done to.
    Keys(Vec<serde_json::Value>),
    /// It is not done, and why.
    Failed(String),
}

/// Does what is asked about keys, for a server as for a command that has the folder to itself.
pub async fn answer_keys(office: &KeyOffice, request: KeysRequest) -> Answer {
    let operation = match request {
        KeysRequest::List => return shown(&office.list()),
        KeysRequest::Generate => Operation::Generate,
        KeysRequest::Rotate => Operation::Rotate,
        KeysRequest::Retire(kid) => Operation::Retire(kid),
        KeysRequest::Revoke(kid) => Operation::Revoke(kid),
        KeysRequest::RevokeAll => Operation::RevokeAll,
        KeysRequest::Import(pem) => match InMemorySigner::from_pkcs8_pem(&pem.0) {
            Ok(key) => Operation::Import(Box::new(key)),
            Err(error) => return Answer::Failed(error.to_string()),
        },
    };
    match office.change(operation, &Actor::Control).await {
        Ok(key) => shown(&[key]),
        Err(refusal) => Answer::Failed(refusal.detail().to_owned()),
    }
}

fn shown(keys: &[KeyView]) -> Answer {
    match keys.iter().map(serde_json::to_value).collect() {
        Ok(keys) => Answer::Keys(keys),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// Does what is asked of an open store, for a server as for a command that has the file to itself. A
/// revocation is not held up by a log that takes no record of it.
pub async fn answer(
    store: &Arc<EmbeddedStore>,
    audit: Option<&Audit>,
    request: Request,
    now: Timestamp,
) -> Answer {
    let failed = |error: &dyn std::error::Error| Answer::Failed(error.to_string());
    match request {
        Request::Keys(_) => Answer::Failed("the store knows nothing of keys".to_owned()),
        Request::Revoke(Named::Subject(subject)) if !is_subject(&subject) => {
            Answer::Failed(NO_SUBJECT.to_owned())
        }
        Request::Revoke(named) => {
            let revocation = named.into();
            let done = store.revoke(&revocation, now).await;
            if let Err(error) = &done
                && *error != SessionError::Unpublished
            {
                return failed(error);
            }
            let (what, by) = (recording::named(&revocation), Actor::Control);
            if let Some(audit) = audit
                && let Err(error) = audit.keep(Event::Revoked(Revoked { what, by }), now).await
            {
                tracing::error!(%error, "this revocation is done and not recorded");
            }
            done.map_or_else(|error| failed(&error), |()| Answer::Done)
        }
        Request::Check => {
            let store = Arc::clone(store);
            match tokio::task::spawn_blocking(move || store.check(now)).await {
                Ok(Ok(report)) => Answer::Checked(report),
                Ok(Err(error)) => failed(&error),
                Err(error) => failed(&error),
            }
        }
        Request::Backup { out } => {
            let store = Arc::clone(store);
            match tokio::task::spawn_blocking(move || store.backup(&out)).await {
                Ok(Ok(())) => Answer::Done,
                Ok(Err(error)) => failed(&error),
                Err(error) => failed(&error),
            }
        }
    }
}

/// The bound socket; it goes when this is dropped.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    store: Arc<EmbeddedStore>,
    office: KeyOffice,
    clock: Arc<dyn Clock>,
}

impl Control {
    /// Binds the socket in the folder of `store`. One that lies there was left by a process that has
    /// ended: the folder's lock is held by this one.
    ///
    /// # Errors
    /// [`io::Error`].
    pub fn bind(
        store: Arc<EmbeddedStore>,
        office: KeyOffice,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let path = store.folder().join(SOCKET);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Until its mode is set, the folder's keeps others out.
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, store, office, clock })
    }

    /// Answers until it is dropped. What reads the whole file does so one after the other, and nothing
    /// else waits for it: a key that leaked is revoked beside a backup. Each connection holds what `begin` gives
    /// until it has ended, unless it only reads: so the stop waits for what is to be recorded.
    pub async fn run<P: Send + 'static>(self, begin: impl Fn() -> P + Send) {
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let desk = Arc::new(Desk {
            store: Arc::clone(&self.store),
            office: self.office.clone(),
            clock: Arc::clone(&self.clock),
            whole_file: Semaphore::new(1),
        });
        loop {
            let accepted = self.listener.accept().await;
            let Ok(place) = Arc::clone(&connections).acquire_owned().await else { return };
            match accepted {
                Ok((stream, _)) => {
                    let (desk, piece) = (Arc::clone(&desk), begin());
                    tokio::spawn(async move {
                        if let Err(error) = serve(stream, &desk, piece).await {
                            tracing::debug!(%error, "the control socket");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket takes no connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Who answers.
struct Desk {
    store: Arc<EmbeddedStore>,
    office: KeyOffice,
    clock: Arc<dyn Clock>,
    /// Who reads the whole file.
    whole_file: Semaphore,
}

impl Desk {
    async fn answer(&self, request: Request) -> io::Result<Answer> {
        let _turn = match request {
            Request::Check | Request::Backup { .. } => {
                Some(self.whole_file.acquire().await.map_err(io::Error::other)?)
            }
            Request::Revoke(_) | Request::Keys(_) => None,
        };
        // After the wait: what is revoked is so as of now.
        let now = self.clock.now();
        Ok(match request {
            Request::Keys(request) => answer_keys(&self.office, request).await,
            request => answer(&self.store, Some(&self.office.audit), request, now).await,
        })
    }
}

async fn serve<P: Send>(stream: UnixStream, desk: &Desk, piece: P) -> io::Result<()> {
    let mut until_it_ends = Some(piece);
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() && peer != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (read, mut write) = stream.into_split();
    // A key may stand in it.
    let mut line = Zeroizing::new(String::new());
    let mut reader = BufReader::new(read.take(LONGEST));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => {
            tracing::info!(?request, "asked over the control socket");
            if matches!(request, Request::Check | Request::Backup { .. }) {
                until_it_ends.take();
            }
            desk.answer(request).await?
        }
        Err(error) => Answer::Failed(format!("not understood: {error}")),
    };
    let line = serde_json::to_string(&answer).map_err(io::Error::other)? + "\n";
    let written = tokio::time::timeout(PATIENCE, write.write_all(line.as_bytes())).await;
    drop(until_it_ends);
    written?
}

/// Asks the server that has `folder`.
///
/// # Errors
/// [`io::Error`]; `NotFound` or `ConnectionRefused` when none answers there, `WouldBlock` or `TimedOut`
/// when it takes too long.
pub fn ask(folder: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = StdUnixStream::connect(folder.join(SOCKET))?;
    let line = Zeroizing::new(serde_json::to_string(request).map_err(io::Error::other)? + "\n");
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(match request {
        // They take as long as the store is large.
        Request::Check | Request::Backup { .. } => None,
        Request::Revoke(_) | Request::Keys(_) => Some(ANSWER_WITHIN),
    })?;
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    StdBufReader::new(stream.take(LONGEST)).read_line(&mut answer)?;
    serde_json::from_str(&answer).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use countersign_sdk::entropy::OsEntropy;

    use super::*;
    use crate::store::embedded::Folder;
    use crate::store::{Bounds, SessionBounds};

    #[tokio::test]
    async fn a_name_that_no_subject_has_is_not_revoked() {
        let (folder, now) = (tempfile::tempdir().unwrap(), Timestamp::from_unix(1_000_000));
        let sessions = SessionBounds { total: 9, per_subject: 9, revocations: 9 };
        let bounds = Bounds { nonces: 9, proofs: 9, answers: 9, sessions };
        let folder = Folder::take(&folder.path().join("store")).unwrap();
        let store = Arc::new(EmbeddedStore::open(folder, bounds, &OsEntropy).unwrap());
        let revoke =
            |subject: String| answer(&store, None, Request::Revoke(Named::Subject(subject)), now);
        let long = |bytes: usize| format!("did:key:{}", "z".repeat(bytes));
        for subject in [long(505), "did:key:\u{e4}".to_owned(), "z6Mk".to_owned()] {
            let answer = revoke(subject).await;
            assert!(matches!(&answer, Answer::Failed(why) if why == NO_SUBJECT), "{answer:?}");
        }
        assert!(matches!(revoke(long(504)).await, Answer::Done));
        assert_eq!(store.revocations(None, 9, now).await.unwrap().entries.len(), 1);
    }
}
