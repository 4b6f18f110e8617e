//! `countersign keys`: looks after the signing keys, through the server that has them or by itself.
//!
//! | command | does | while the server runs |
//! |---|---|---|
//! | `list`, `export-public` | tells the keys, and never a private half | yes |
//! | `generate`, `import` | has a new key be the next | yes |
//! | `rotate` | has the next key sign | yes |
//! | `retire`, `revoke` | lets a key end in its time, or now | yes |
//! | `reseal` | changes what the keys are sealed with | no |
//! | `generate-secret` | makes what they are sealed with | – |

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use countersign_sdk::client::private_file;
use countersign_sdk::entropy::{Entropy as _, OsEntropy};
use countersign_sdk::time::{Clock as _, SystemClock};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output::Output;
use crate::app;
use crate::audit::{self, Audit};
use crate::config::{self, CustodySettings, Flags, Settings, StoreSettings};
use crate::control::{self, Answer, KeysRequest, Request, SecretText};
use crate::keyring::custody::secret::SecretSource;
use crate::keyring::ring::Ring;
use crate::keyring::{Document, RingFile, Shelf as _};
use crate::service::keys::{KeyOffice, KeyView, Unrecorded};
use crate::store::embedded::{EmbeddedStore, Folder};
use crate::store::{Bounds, SessionBounds};

const EXAMPLE: &str = "\
Examples:
  countersign keys generate-secret /etc/countersign/sealing.key
  countersign keys list --config /etc/countersign/countersign.toml
  countersign keys rotate --config /etc/countersign/countersign.toml
  countersign keys revoke --config /etc/countersign/countersign.toml KID
  countersign keys export-public --config /etc/countersign/countersign.toml > keys.jwks";

/// The largest file of a key, in bytes.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// Arguments of `countersign keys`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Which server's keys.
#[derive(Debug, clap::Args)]
struct At {
    /// The server's configuration: it says where the keys lie, and what opens them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the store, as the server has it.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell every key that there is or was.
    List(At),
    /// Make a key that is to be the next one to sign; on a new folder, the first keys.
    Generate(At),
    /// Have the next key sign: at once if every cache knows it, else as soon as they do.
    Rotate(At),
    /// Let a key end in its time: the active one by a rotation, one that stands by at once.
    Retire {
        #[command(flatten)]
        at: At,
        /// The key. One in 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Withdraw a key now, and end every token of before. For a key that leaked.
    Revoke {
        #[command(flatten)]
        at: At,
        /// The key.
        #[arg(required_unless_present = "all", conflicts_with = "all", allow_hyphen_values = true)]
        kid: Option<String>,
        /// All of them; a new one signs, which was in no file of before.
        #[arg(long)]
        all: bool,
    },
    /// Have a key from elsewhere be the next one to sign.
    Import {
        #[command(flatten)]
        at: At,
        /// Its PKCS#8 PEM, which its owner alone can read.
        file: PathBuf,
    },
    /// Write the public halves of the keys that are published, as a JWK set.
    ExportPublic {
        #[command(flatten)]
        at: At,
        /// Those of all keys that there are or were, with what became of them: to check old documents
        /// with, and nobody's set to trust tokens by.
        #[arg(long)]
        all: bool,
    },
    /// Seal the keys with another secret. The server must not run; then configure that secret.
    Reseal {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        with: With,
    },
    /// Make a key to seal with, in a new file for its owner alone.
    GenerateSecret {
        /// The file, which must not exist; best on another disk than the store.
        file: PathBuf,
    },
}

/// What the keys are to be sealed with.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct With {
    /// A file with a passphrase, 16 characters or more.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// A file of `keys generate-secret`.
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    match args.command {
        Command::List(at) => tell(&known(&at, Unvouched::Told, output).await?, output),
        Command::ExportPublic { at, all } => export(&at, all, output).await,
        Command::Generate(at) => changed(&at, KeysRequest::Generate, output).await,
        Command::Rotate(at) => changed(&at, KeysRequest::Rotate, output).await,
        Command::Retire { at, kid } => changed(&at, KeysRequest::Retire(kid), output).await,
        Command::Revoke { at, kid: Some(kid), .. } => {
            changed(&at, KeysRequest::Revoke(kid), output).await
        }
        Command::Revoke { at, kid: None, .. } => changed(&at, KeysRequest::RevokeAll, output).await,
        Command::Import { at, file } => {
            let pem = private_file::read(&file, MAX_KEY_BYTES)
                .map_err(|error| Failure::configuration(format!("{}: {error}", file.display())))?;
            changed(&at, KeysRequest::Import(SecretText((*pem).clone())), output).await
        }
        Command::Reseal { at, with } => reseal(&at, with, output),
        Command::GenerateSecret { file } => {
            let mut bytes = Zeroizing::new([0; 32]);
            OsEntropy.fill(&mut *bytes).map_err(|error| failed(&error))?;
            let text = Zeroizing::new(hex::encode(bytes.as_slice()) + "\n");
            super::key_file::write_new(&file, &text)?;
            output.result(&[("key_file", json!(file))])
        }
    }
}

/// The settings that are meant, and the folder that they name.
fn settings(at: &At) -> Result<(Settings, PathBuf), Failure> {
    let flags = Flags {
        config: at.config.clone(),
        data_dir: at.data_dir.as_ref().map(|folder| folder.display().to_string()),
        ..Flags::default()
    };
    let settings = config::load(&flags, &config::process_environment());
    let settings = settings.map_err(|faults| Failure::configuration(faults.to_string()))?;
    match settings.store.clone() {
        StoreSettings::Embedded { directory } => Ok((settings, directory)),
        StoreSettings::Memory => Err(Failure::usage(
            "name the server's configuration (--config) or its folder (--data-dir)",
        )),
    }
}

/// What becomes of a ring that nothing vouches for: whoever can write its file can have written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unvouched {
    Told,
    /// Others would trust what it says.
    Refused,
}

/// Every key, from the server or from its folder.
async fn known(at: &At, unvouched: Unvouched, output: &Output) -> Result<Vec<Value>, Failure> {
    let (settings, folder) = settings(at)?;
    if let Some(answer) = asked(&folder, KeysRequest::List)? {
        return keys_of(answer);
    }
    let document = ring(&folder)?;
    if settings.keys.custody == CustodySettings::Memory && unvouched == Unvouched::Refused {
        return Err(Failure::refused(
            "no server runs there, and whether the ring of keys is as the server wrote it shows with its \
             secret alone: name the configuration (--config)",
        ));
    }
    let is_needed = unvouched == Unvouched::Refused;
    let is_vouched = app::keys::vouches(&settings, &document, is_needed, &OsEntropy);
    if !is_vouched.map_err(|error| failed(&error))? {
        output.warning(
            "nothing vouches for what this ring of keys says: whoever can write its file can have put keys into it",
        );
    }
    let ring = Ring { entries: document.keys };
    let now = SystemClock.now();
    let keys: Result<_, serde_json::Error> =
        KeyView::all(&ring, now).iter().map(serde_json::to_value).collect();
    keys.map_err(|error| failed(&error))
}

/// The ring of a folder, without what would open its keys.
fn ring(folder: &std::path::Path) -> Result<Document, Failure> {
    let file = RingFile::of(folder);
    let missing = || {
        let path = file.path();
        Failure::configuration(format!("{}: there is no ring of keys", path.display()))
    };
    // Nothing is made where there is nothing.
    if !file.path().exists() {
        return Err(missing());
    }
    file.read().map_err(|error| failed(&error))?.ok_or_else(missing)
}

async fn export(at: &At, all: bool, output: &Output) -> Result<(), Failure> {
    let keys = known(at, Unvouched::Refused, output).await?;
    let is_published = |key: &&Value| {
        let state = key.get("state").and_then(Value::as_str);
        state.is_some_and(|state| ["next", "active", "retiring"].contains(&state))
    };
    let keys: Vec<Value> = match all {
        true => keys.iter().map(archived).collect(),
        false => keys.iter().filter(is_published).map(published).collect(),
    };
    output.document(&json!({ "keys": keys }))
}

/// A key of a list, as it stands in a JWK set.
fn published(key: &Value) -> Value {
    let mut jwk = with(key, &["kid", "alg"]);
    if let Some(members) = jwk.as_object_mut() {
        members.insert("use".to_owned(), json!("sig"));
    }
    jwk
}

/// The same for an archive: with its state and times, and without a use.
fn archived(key: &Value) -> Value {
    with(key, &["kid", "alg", "state", "signs_from", "signs_until", "withdrawn_at", "revoked_at"])
}

fn with(key: &Value, names: &[&str]) -> Value {
    let mut jwk = key.get("jwk").cloned().unwrap_or_default();
    if let Some(members) = jwk.as_object_mut() {
        for name in names {
            if let Some(value) = key.get(*name) {
                members.insert((*name).to_owned(), value.clone());
            }
        }
    }
    jwk
}

/// Has it done by the server, or here where none runs; prints the key that it was about.
async fn changed(at: &At, request: KeysRequest, output: &Output) -> Result<(), Failure> {
    let (settings, folder) = settings(at)?;
    let answer = match asked(&folder, request.clone())? {
        Some(answer) => answer,
        None => done_here(&settings, &folder, request).await?,
    };
    for key in keys_of(answer)? {
        let members = key.as_object().cloned().unwrap_or_default();
        let shown = members.iter().filter(|(name, _)| output.is_json() || *name != "jwk");
        let pairs: Vec<(&str, Value)> =
            shown.map(|(name, value)| (name.as_str(), value.clone())).collect();
        output.result(&pairs)?;
    }
    Ok(())
}

/// What the server of the folder says; nothing when there is none.
fn asked(folder: &std::path::Path, request: KeysRequest) -> Result<Option<Answer>, Failure> {
    use io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
    match control::ask(folder, &Request::Keys(request)) {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if [ConnectionRefused, InvalidInput, NotFound].contains(&error.kind()) => {
            Ok(None)
        }
        Err(error) => {
            let place = folder.display();
            Err(Failure::refused(format!("the server of {place} gave no answer: {error}")))
        }
    }
}

/// Does it with the folder to itself.
async fn done_here(
    settings: &Settings,
    folder: &std::path::Path,
    request: KeysRequest,
) -> Result<Answer, Failure> {
    if settings.keys.custody == CustodySettings::Memory {
        return Err(Failure::refused(
            "no server runs there, and without a custody that outlives it there are no keys: name the \
             configuration (--config) that says what opens them",
        ));
    }
    let now = SystemClock.now();
    let sessions =
        SessionBounds { total: usize::MAX, per_subject: usize::MAX, revocations: usize::MAX };
    let bounds = Bounds { nonces: 1, proofs: 1, answers: 1, sessions };
    // Nothing but the first keys begins a folder.
    let taken = match request {
        KeysRequest::Generate => Folder::take(folder),
        _ => Folder::take_existing(folder),
    };
    let taken = taken.map_err(|error| failed(&error))?;
    let path = RingFile::of(folder).path();
    // A ring that was moved away is put back; another in its place would void every token.
    if !matches!(request, KeysRequest::Generate) && !path.exists() {
        return Err(Failure::configuration(format!(
            "{}: there is no ring of keys: put it back, or begin a new one with countersign keys generate, at \
             which every token is void",
            path.display()
        )));
    }
    let store = EmbeddedStore::open(taken, bounds, &OsEntropy).map_err(|error| failed(&error))?;
    let keyring = app::keys::open(settings, now, &OsEntropy).map_err(|error| failed(&error))?;
    let options = audit::Options { retention: settings.audit.retention, stream: None };
    let audit = Audit::open(folder, &options, settings.audit.on_failure);
    let audit = audit.map_err(|error| failed(&error))?;
    let is_new = keyring.is_new();
    let office = KeyOffice {
        keyring,
        store: Arc::new(store),
        audit,
        unrecorded: Unrecorded::default(),
        entropy: Arc::new(OsEntropy),
        clock: Arc::new(SystemClock),
    };
    if let Err(refusal) = office.settle_records().await {
        // The first keys are made on record; of others it stays owed, and no revocation waits for that.
        if is_new {
            return Err(Failure::refused(refusal.to_string()));
        }
        tracing::warn!(%refusal, "what happened to keys before is still to be recorded");
    }
    // The first keys are what was asked for.
    let request = match request {
        KeysRequest::Generate if is_new => KeysRequest::List,
        request => request,
    };
    let revokes = matches!(request, KeysRequest::Revoke(_) | KeysRequest::RevokeAll);
    let answer = control::answer_keys(&office, request).await;
    // Nobody goes on trying when this process has ended, and what is in force in it ends with it.
    let caught_up = office.catch_up().await;
    if revokes && matches!(answer, Answer::Keys(_)) {
        let why = caught_up.err().map(|refusal| format!(" ({})", refusal.detail()));
        let why = why.unwrap_or_default();
        if office.keyring.is_behind() {
            let what = "NOT KEPT: make room, and run it again, or the next start has the key again";
            return Err(Failure::refused(format!("{what}{why}")));
        }
        if !office.keyring.unrecorded().is_empty() {
            let what = "the key is revoked, and not recorded yet: make room, and run it again";
            return Err(Failure::refused(format!("{what}{why}")));
        }
    }
    if let Err(refusal) = office.tend().await {
        tracing::warn!(%refusal, "the next start does what is still due for the keys");
    }
    Ok(answer)
}

fn reseal(at: &At, with: With, output: &Output) -> Result<(), Failure> {
    let (settings, folder) = settings(at)?;
    let CustodySettings::Sealed(old) = &settings.keys.custody else {
        return Err(Failure::usage("only sealed keys are sealed anew: name their configuration"));
    };
    let new = match with {
        With { new_passphrase_file: Some(path), .. } => SecretSource::PassphraseFile(path),
        With { new_key_file: Some(path), .. } => SecretSource::KeyFile(path),
        With { .. } => return Err(Failure::usage("nothing is named to seal with")),
    };
    // Nobody else changes the ring meanwhile.
    let _held = Folder::take_existing(&folder).map_err(|error| failed(&error))?;
    let count = crate::keyring::reseal(&RingFile::of(&folder), old, &new, &OsEntropy);
    let count = count.map_err(|error| failed(&error))?;
    output.result(&[("resealed", json!(count))])?;
    output.note("configure the new secret before the next start");
    Ok(())
}

fn keys_of(answer: Answer) -> Result<Vec<Value>, Failure> {
    match answer {
        Answer::Keys(keys) => Ok(keys),
        Answer::Failed(why) => Err(Failure::refused(why)),
        Answer::Done | Answer::Checked(_) => {
            Err(Failure::refused("the server answered something else"))
        }
    }
}

fn tell(keys: &[Value], output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.document(&json!({ "keys": keys }));
    }
    for key in keys {
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or("–").to_owned();
        let until = ["revoked_at", "withdrawn_at", "signs_until"]
            .into_iter()
            .find(|name| key.get(*name).is_some())
            .map_or(String::new(), |name| format!("  {} {}", name.replace('_', " "), text(name)));
        let line = format!(
            "{}  {:<8}  {:<5}  signs from {}{until}\n",
            text("kid"),
            text("state"),
            text("alg"),
            text("signs_from"),
        );
        output.bytes(line.as_bytes())?;
    }
    Ok(())
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::configuration(error.to_string())
}
