//! Where a session is kept between two commands: one file by name, for its owner alone.
//!
//! The file holds the token and, after a wallet's sign-in, the session key. An agent's own key
//! stays in its own file, which the session only names. The folder is `countersign/sessions` in the
//! user's configuration folder ($XDG_CONFIG_HOME, else ~/.config).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_sdk::client::{AccessToken, Session, SignIn, Token};
use countersign_sdk::key::{InMemorySigner, Signer};
use countersign_sdk::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::failure::Failure;
use super::key_file;
use super::output::Output;
use super::signing::{RequestKey, SignedIn};

/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// Where sessions are kept.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Folder {
    /// The folder of kept sessions, in place of the one in your configuration folder.
    #[arg(long, value_name = "FOLDER")]
    sessions: Option<PathBuf>,
    #[arg(long = "config-home", env = "XDG_CONFIG_HOME", hide = true)]
    config_home: Option<PathBuf>,
    #[arg(long = "home", env = "HOME", hide = true)]
    home: Option<PathBuf>,
}

impl Folder {
    fn file(&self, name: &str) -> Result<PathBuf, Failure> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
            return Err(Failure::usage("a session's name is 1 to 64 letters, digits, - and _"));
        }
        let folder = match (&self.sessions, &self.config_home, &self.home) {
            (Some(folder), _, _) => folder.clone(),
            (None, Some(config), _) if config.is_absolute() => config.join("countersign/sessions"),
            (None, _, Some(home)) => home.join(".config/countersign/sessions"),
            (None, _, None) => {
                return Err(Failure::usage("no home folder is known; give --sessions FOLDER"));
            }
        };
        Ok(folder.join(format!("{name}.json")))
    }
}

/// A secret in a kept session, wiped when dropped.
#[derive(Deserialize, Serialize, ZeroizeOnDrop)]
#[serde(transparent)]
struct SecretText(String);

/// A session as it lies in its file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u8,
    issuer: String,
    resource: Option<String>,
    scope: String,
    sub: String,
    access_token: SecretText,
    issued_at: Timestamp,
    expires_at: Timestamp,
    signed_by: SignedBy,
}

/// The key that the session's requests are signed by.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum SignedBy {
    /// A key file whose key also proves itself again.
    AgentKeyFile(PathBuf),
    /// A key file.
    KeyFile(PathBuf),
    /// A session key that nobody else has, as PKCS#8 PEM.
    SessionKey(SecretText),
}

/// Keeps a session under `name`, in place of an earlier one; gives the file's path.
pub(super) async fn keep(
    folder: &Folder,
    name: &str,
    signed_in: &SignedIn,
) -> Result<PathBuf, Failure> {
    let path = folder.file(name)?;
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Failure::configuration(error.to_string()))
    };
    let signed_by = match &signed_in.request_key {
        RequestKey::Agent(file) => SignedBy::AgentKeyFile(absolute(file)?),
        RequestKey::Proven(file) | RequestKey::File(file) => SignedBy::KeyFile(absolute(file)?),
        RequestKey::Made(key) => SignedBy::SessionKey(pem(key)?),
    };
    let token = signed_in.session.access_token().await?;
    write(&path, &kept(&signed_in.issuer, &token, signed_by))?;
    Ok(path)
}

fn pem(key: &InMemorySigner) -> Result<SecretText, Failure> {
    let pem = key.to_pkcs8_pem();
    let pem = pem.map_err(|error| Failure::configuration(error.to_string()))?;
    Ok(SecretText(pem.as_str().to_owned()))
}

fn kept(issuer: &str, token: &Token, signed_by: SignedBy) -> Kept {
    Kept {
        version: 1,
        issuer: issuer.to_owned(),
        resource: token.resource.clone(),
        scope: token.scope.clone(),
        sub: token.sub.clone(),
        access_token: SecretText(token.access_token.expose().to_owned()),
        issued_at: token.issued_at,
        expires_at: token.expires_at,
        signed_by,
    }
}

/// A session that was kept, and how to keep it again.
pub(super) struct Resumed {
    pub(super) session: Session,
    path: PathBuf,
    kept: Kept,
}

/// Takes up the session that was kept under `name`.
pub(super) fn resume(folder: &Folder, name: &str, output: &Output) -> Result<Resumed, Failure> {
    let path = folder.file(name)?;
    if !path.exists() {
        return Err(Failure::usage(format!(
            "no session is kept as {name}; make one with countersign login --keep {name}"
        )));
    }
    let broken = || Failure::configuration(format!("{}: not a kept session", path.display()));
    let text = key_file::read_private(&path)?;
    let kept: Kept = serde_json::from_str(&text).map_err(|_| broken())?;
    let token = Token {
        access_token: AccessToken::new(&kept.access_token.0).ok_or_else(broken)?,
        issued_at: kept.issued_at,
        expires_at: kept.expires_at,
        scope: kept.scope.clone(),
        sub: kept.sub.clone(),
        resource: kept.resource.clone(),
    };
    let mut sign_in = SignIn::new(&kept.issuer).scope(&kept.scope);
    if let Some(resource) = &kept.resource {
        sign_in = sign_in.resource(resource);
    }
    let session = match &kept.signed_by {
        SignedBy::AgentKeyFile(file) => {
            sign_in.resume_agent(token, Arc::new(key_file::read_key(file, output)?))?
        }
        SignedBy::KeyFile(file) => {
            sign_in.resume(token, Arc::new(key_file::read_key(file, output)?))?
        }
        SignedBy::SessionKey(pem) => {
            let key: Arc<dyn Signer> =
                Arc::new(InMemorySigner::from_pkcs8_pem(&pem.0).map_err(|_| broken())?);
            sign_in.resume(token, key)?
        }
    };
    Ok(Resumed { session, path, kept })
}

/// What is left of a [`Resumed`] while its session is in use.
pub(super) struct Place {
    path: PathBuf,
    kept: Kept,
}

impl Resumed {
    pub(super) fn split(self) -> (Session, Place) {
        let Self { session, path, kept } = self;
        (session, Place { path, kept })
    }
}

impl Place {
    /// Keeps the session's token if it was renewed.
    pub(super) fn update(self, token: &Token) -> Result<(), Failure> {
        if self.kept.access_token.0 == token.access_token.expose() {
            return Ok(());
        }
        let Kept { issuer, signed_by, .. } = self.kept;
        write(&self.path, &kept(&issuer, token, signed_by))
    }
}

/// Writes beside the file and renames, so that no reader sees half of it.
fn write(path: &Path, kept: &Kept) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::configuration(format!("{}: {error}", path.display()))
    };
    let text = Zeroizing::new(serde_json::to_string_pretty(kept).map_err(|e| failed(&e))?);
    if let Some(folder) = path.parent() {
        create_private(folder).map_err(|error| failed(&error))?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    // Left by a process of the same number that was stopped half-way.
    let _ = fs::remove_file(&beside);
    let written = key_file::write_new(&beside, &text)
        .and_then(|()| fs::rename(&beside, path).map_err(|error| failed(&error)));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &Path) -> Folder {
        Folder { sessions: Some(path.join("deep/sessions")), ..Folder::default() }
    }

    #[test]
    fn a_session_comes_back_and_is_its_owners_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = folder(temporary.path());
        let key = key_file::new_session_key().unwrap();
        let token = Token {
            access_token: AccessToken::new("token-1").unwrap(),
            issued_at: Timestamp::from_unix(1),
            expires_at: Timestamp::from_unix(u64::MAX),
            scope: "read".to_owned(),
            sub: "did:key:x".to_owned(),
            resource: Some("https://a.example".to_owned()),
        };
        let signed_by = SignedBy::SessionKey(pem(&key).unwrap());
        let path = folder.file("demo").unwrap();
        write(&path, &kept("https://auth.example", &token, signed_by)).unwrap();
        let resumed = resume(&folder, "demo", &Output::new(true)).unwrap();
        assert_eq!(resumed.session.signer().public_key(), key.public_key());
        let renewed = Token { access_token: AccessToken::new("token-2").unwrap(), ..token };
        resumed.split().1.update(&renewed).unwrap();
        let again = resume(&folder, "demo", &Output::new(true)).unwrap();
        assert_eq!(again.kept.access_token.0, "token-2");
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_session_that_others_can_reach_is_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let temporary = tempfile::tempdir().unwrap();
        let folder = folder(temporary.path());
        let path = folder.file("demo").unwrap();
        let token = Token {
            access_token: AccessToken::new("token-1").unwrap(),
            issued_at: Timestamp::from_unix(1),
            expires_at: Timestamp::from_unix(300),
            scope: "read".to_owned(),
            sub: String::new(),
            resource: None,
        };
        let key = pem(&key_file::new_session_key().unwrap()).unwrap();
        let kept = kept("https://auth.example", &token, SignedBy::SessionKey(key));
        write(&path, &kept).unwrap();
        // A stopped process left its half.
        fs::write(path.with_extension(format!("{}.new", std::process::id())), "half").unwrap();
        write(&path, &kept).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        for (mode, taken) in [(0o600, true), (0o640, false), (0o602, false), (0o400, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let resumed = resume(&folder, "demo", &Output::new(true));
            assert_eq!(resumed.is_ok(), taken, "{mode:o}");
        }
    }

    #[test]
    fn a_name_stays_in_its_folder() {
        let folder = folder(Path::new("/nowhere"));
        for name in ["", "../x", "a/b", ".", "a.b", &"a".repeat(65)] {
            assert!(folder.file(name).is_err(), "{name}");
        }
        assert!(resume(&folder, "absent", &Output::new(true)).is_err());
    }
}
