//! Where the sessions of the command line are kept, and which key each of them goes on with.
//!
//! The folder is `countersign/sessions` in the user's configuration folder ($XDG_CONFIG_HOME, else
//! ~/.config). A file holds the tokens and, after a wallet's sign-in, the session key. A key that
//! has a file of its own, an agent's above all, stays there; the session names it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use countersign_sdk::client::{
    FileSessionStore, KeptKey, Resuming, Session, SessionName, SessionStore, SignIn,
};

use super::failure::Failure;
use super::key_file;
use super::output::Output;

/// Where sessions are kept.
#[derive(Clone, Debug, Default, Args)]
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
    /// The folder, whether or not it is there.
    pub(super) fn store(&self) -> Result<FileSessionStore, Failure> {
        let folder = match (&self.sessions, &self.config_home, &self.home) {
            (Some(folder), _, _) => folder.clone(),
            (None, Some(config), _) if config.is_absolute() => config.join("countersign/sessions"),
            (None, _, Some(home)) => home.join(".config/countersign/sessions"),
            (None, _, None) => {
                return Err(Failure::usage("no home folder is known; give --sessions FOLDER"));
            }
        };
        Ok(FileSessionStore::new(folder))
    }

    /// The name that was given, else that of the only session there is.
    pub(super) fn name_or_only(&self, name: Option<&str>) -> Result<SessionName, Failure> {
        if let Some(name) = name {
            return Ok(SessionName::new(name)?);
        }
        let names = self.store()?.names()?;
        match names.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Failure::usage("no session is kept; make one with countersign login --keep")),
            several => {
                let several: Vec<&str> = several.iter().map(SessionName::as_str).collect();
                Err(Failure::usage(format!("give --session, one of: {}", several.join(", "))))
            }
        }
    }
}

/// Reads the session that is kept under `name`.
pub(super) async fn read(folder: &Folder, name: &str) -> Result<Resuming, Failure> {
    let store: Arc<dyn SessionStore> = Arc::new(folder.store()?);
    Ok(SignIn::resume_from(store, name).await?)
}

/// Takes up the session that is kept under `name`. It is kept again by itself when it is renewed.
pub(super) async fn resume(
    folder: &Folder,
    name: &str,
    output: &Output,
) -> Result<Session, Failure> {
    let resuming = read(folder, name).await?;
    match &resuming.kept().key {
        KeptKey::Session(_) => Ok(resuming.session()?),
        KeptKey::Agent(file) | KeptKey::Elsewhere(file) => {
            let key = key_file::read_key(Path::new(file), output)?;
            Ok(resuming.with_key(Arc::new(key))?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &Path) -> Folder {
        Folder { sessions: Some(path.join("sessions")), ..Folder::default() }
    }

    #[test]
    fn the_folder_is_the_one_that_was_named() {
        let name = SessionName::new("demo").unwrap();
        let path = |folder: Folder| folder.store().map(|store| store.path_of(&name));
        let some = |text: &str| Some(PathBuf::from(text));
        let (config_home, home) = (some("/c"), some("/h"));
        let all = Folder { sessions: some("/s"), config_home, home };
        assert_eq!(path(all.clone()).unwrap(), Path::new("/s/demo.json"));
        let all = Folder { sessions: None, ..all };
        let in_config = Path::new("/c/countersign/sessions/demo.json");
        assert_eq!(path(all.clone()).unwrap(), in_config);
        // A relative $XDG_CONFIG_HOME is none, says its specification.
        let all = Folder { config_home: some("c"), ..all };
        let in_home = Path::new("/h/.config/countersign/sessions/demo.json");
        assert_eq!(path(all.clone()).unwrap(), in_home);
        assert!(path(Folder { home: None, config_home: None, ..all }).is_err());
    }

    #[tokio::test]
    async fn the_only_session_needs_no_name() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = folder(temporary.path());
        assert!(folder.name_or_only(None).is_err());
        assert!(folder.name_or_only(Some("../x")).is_err());
        let path = temporary.path().join("sessions");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("one.json"), "").unwrap();
        assert_eq!(folder.name_or_only(None).unwrap().as_str(), "one");
        std::fs::write(path.join("two.json"), "").unwrap();
        let several = folder.name_or_only(None).unwrap_err();
        assert!(several.message().contains("one, two"), "{}", several.message());
        let absent = read(&folder, "three").await.unwrap_err();
        assert!(absent.message().contains("login --keep three"), "{}", absent.message());
    }
}
