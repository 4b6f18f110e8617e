//! Whether a log, or the proof of one sign-in, is what the issuer wrote.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use countersign_sdk::resource::{IssuerKeys, MAX_ARCHIVE_BYTES};
use countersign_sdk::time::Timestamp;
use serde_json::{Value, json};

use super::{moment, unreadable};
use crate::audit::Event;
use crate::audit::event::Checkpoint;
use crate::audit::folder::{self, FOLDER};
use crate::audit::proof::{self, MAX_FILE, Proof};
use crate::audit::record::{MAX_LINE, Record};
use crate::audit::verify::{self, Covered, Gaps, Report, Said};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::keyring::ring::Ring;
use crate::keyring::{RingFile, Shelf as _, key_set};
use crate::service::arbiter::{self, Asked, NotProven, OnChain, keys_of};
use crate::service::checkpoint;

/// Seconds by which a checkpoint may stand outside of its key's time, a revoked key's too: one was signed as
/// the key ended, or a clock was set meanwhile. Whoever has taken a key writes what time they like.
const LEEWAY: u64 = 60;
/// How every line of a log begins.
const RECORD: &[u8] = br#"{"seq":"#;

/// What a log is judged by.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    /// The issuer's keys, as a file that somebody brings.
    pub(super) keys: Option<&'a Path>,
    /// Lines of the log from elsewhere.
    pub(super) known: Option<&'a Path>,
    /// How much may stand between checkpoints.
    pub(super) gaps: Gaps,
}

/// Reads the whole log.
///
/// # Errors
/// [`Failure`], `refused` with the first thing that is wrong.
pub(super) fn verify(data: &Path, by: &Judged<'_>, output: &Output) -> Result<(), Failure> {
    let trusted = match by.keys {
        Some(path) => key_file(path)?,
        None => Trusted::ring(data)?,
    };
    let mut signed_by = BTreeSet::new();
    let (signers, issuer) = (RefCell::new(&mut signed_by), RefCell::new(None));
    let read = |said: &Checkpoint| {
        let signed = trusted.signed(said)?;
        if *issuer.borrow_mut().get_or_insert_with(|| signed.issuer.clone()) != signed.issuer {
            return Err(format!("it is of another issuer, {}", signed.issuer));
        }
        signers.borrow_mut().insert(signed.kid);
        let checkpoint::Signed { covers, after, begins, at, .. } = signed;
        Ok(Said { covers, after, begins, at })
    };
    let known = by.known.map(|path| known_records(path, &trusted)).transpose()?;
    let log = data.join(FOLDER);
    // Before the log: a server may write both.
    let mut looked_for = kept_beside(data, output);
    looked_for.extend(known.iter().flatten().cloned());
    let report = verify::verify(&log, &read, &looked_for, by.gaps)
        .map_err(|error| Failure::refused(error.to_string()))?;
    let is_there = |known: &&Covered| (report.first..=report.last).contains(&known.seq);
    let compared = known.as_ref().map(|known| known.iter().filter(is_there).count());
    let mut told = vec![
        ("first", json!(report.first)),
        ("last", json!(report.last)),
        ("hash", json!(report.hash)),
        ("checkpoints", json!(report.checkpoints)),
        ("covered", json!(report.covered)),
        ("largest_gap_records", json!(report.largest_gap_records)),
        ("largest_gap_seconds", json!(report.largest_gap_seconds)),
        ("segments", json!(report.segments)),
        ("issuer", json!(issuer.into_inner())),
        ("signed_by", json!(signed_by)),
        ("keys_are_known", json!(by.keys.is_some())),
    ];
    told.extend(compared.map(|compared| ("compared", json!(compared))));
    output.result(&told)?;
    warn(by, &report, output);
    if compared == Some(0) {
        return Err(Failure::refused(
            "nothing was compared: no line of the known ones is a record between the first and the last",
        ));
    }
    if report.unfinished > 0 && !folder::is_written(&log) {
        return Err(Failure::refused(format!(
            "the log ends in the middle of a line ({} bytes), and no server writes it: a crash left it \
             so, or somebody cut it; the next start removes that line and records it",
            report.unfinished
        )));
    }
    Ok(())
}

/// What the server keeps beside its log of what it has signed.
fn kept_beside(data: &Path, output: &Output) -> Vec<Covered> {
    let missing = match verify::kept_beside(data) {
        Ok(Some(kept)) => return kept,
        Ok(None) => "it is not there".to_owned(),
        Err(error) => error.to_string(),
    };
    output.warning(&format!(
        "audit.signed beside the log does not tell what was signed last: {missing}. A log that was cut off, or whose \
         end was computed again, is not seen by that"
    ));
    Vec::new()
}

/// Says what a log that holds does not show.
fn warn(by: &Judged<'_>, report: &Report, output: &Output) {
    if by.keys.is_none() && report.checkpoints > 0 {
        output.warning(
            "the keys are those that lie beside the log, where whoever changed the log could put others: compare \
             signed_by with what the issuer publishes, or give --keys",
        );
    }
    if report.checkpoints == 0 && report.last > 0 {
        output.warning(
            "nothing of this log is signed: whoever can write its folder can have made it",
        );
    }
    for seq in &report.replaced {
        output.warning(&format!(
            "record {seq}: the server began with another log than the one that it had signed"
        ));
    }
}

/// Writes the proof of a sign-in.
///
/// # Errors
/// [`Failure`].
pub(super) fn prove(
    log: &Path,
    jti: &str,
    out: Option<&Path>,
    output: &Output,
) -> Result<(), Failure> {
    let refused = |error: proof::ProofError| Failure::refused(error.to_string());
    let proof = Proof::of(proof::find(log, jti).map_err(refused)?);
    // What others would not believe is not handed out.
    match arbiter::check(&proof, None) {
        Ok(_) => {}
        Err(error @ NotProven::OnChain(_)) => output.note(&error.to_string()),
        Err(error) => return Err(Failure::refused(error.to_string())),
    }
    let mut text = serde_json::to_string(&proof)
        .map_err(|error| Failure::refused(format!("the proof could not be written: {error}")))?;
    text.push('\n');
    let Some(path) = out else { return output.bytes(text.as_bytes()) };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| unreadable(path, &error))?;
    output.note(&format!("written to {}", path.display()));
    Ok(())
}

/// Checks a proof.
///
/// # Errors
/// [`Failure`], `refused` when it does not hold.
pub(super) fn check(file: &Path, keys: Option<&Path>, output: &Output) -> Result<(), Failure> {
    let bytes = if file == Path::new("-") {
        read(io::stdin().lock(), MAX_FILE)
    } else {
        File::open(file).and_then(|file| read(file, MAX_FILE))
    };
    let bytes = bytes.map_err(|error| unreadable(file, &error))?;
    let keys = keys.map(key_file).transpose()?;
    let verdict = Proof::read(&bytes).map_err(NotProven::from).and_then(|proof| {
        arbiter::check(&proof, keys.as_ref().and_then(|known| known.keys.as_ref()))
    });
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => {
            if let NotProven::OnChain(asked) = &error {
                output.result(&to_be_asked(asked))?;
            }
            return Err(Failure::refused(error.to_string()));
        }
    };
    if let Some(known) = &keys {
        let at = moment(&verdict.checkpoint_at).map_err(Failure::refused)?;
        known.was_not_revoked(&verdict.kid, at).map_err(Failure::refused)?;
    }
    let told = serde_json::to_value(&verdict).unwrap_or_default();
    let pairs: Vec<(&str, Value)> = NAMES
        .iter()
        .filter_map(|name| told.get(name).map(|value| (*name, value.clone())))
        .collect();
    output.result(&pairs)?;
    if !verdict.key_is_known {
        output.warning(&format!(
            "the key {} in the proof is believed; compare it with the issuer's own, or give --keys",
            verdict.kid
        ));
    }
    Ok(())
}

/// What whoever has a node that keeps old blocks asks it.
fn to_be_asked(asked: &OnChain) -> Vec<(&'static str, Value)> {
    let mut pairs = vec![
        ("account", json!(asked.account)),
        ("block_tag", json!(asked.block_tag)),
        ("block", json!(asked.block)),
    ];
    pairs.extend(asked.block_time.map(|time| ("block_time", json!(time.to_string()))));
    match &asked.asked {
        Asked::Contract { digest, signature } => {
            pairs.extend([("digest", json!(digest)), ("signature", json!(signature))]);
        }
        Asked::Key(key) => pairs.push(("key", json!(key))),
    }
    pairs
}

/// What of a verdict is printed, in this order.
const NAMES: [&str; 18] = [
    "sub",
    "account",
    "method",
    "at",
    "issuer",
    "domain",
    "resource",
    "scope",
    "scope_was_signed",
    "resource_was_signed",
    "signed_at",
    "transaction_by",
    "jti",
    "bound_to",
    "seq",
    "checkpoint_at",
    "kid",
    "key_is_known",
];

/// What checkpoints are verified with.
#[derive(Default)]
struct Trusted {
    /// The keys; where there are none, each checkpoint's own.
    keys: Option<IssuerKeys>,
    /// When each of them signed, where that is known.
    ring: Option<Ring>,
    /// When those of them ended that were revoked, as a file of them tells.
    revoked: Vec<(String, Timestamp)>,
}

impl Trusted {
    /// The ring in a data directory; nothing where there is none.
    fn ring(data: &Path) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::error::Error| Failure::configuration(error.to_string());
        let file = RingFile::of(data);
        // Reading a ring makes its folder; here nothing is made.
        let found = match file.path().try_exists() {
            Ok(false) => None,
            Ok(true) | Err(_) => file.read().map_err(|error| wrong(&error))?,
        };
        let Some(document) = found else { return Ok(Self::default()) };
        let set = key_set(document.keys.iter()).map_err(|error| wrong(&error))?;
        let keys = IssuerKeys::from_archive(set.as_bytes()).map_err(|error| wrong(&error))?;
        let ring = Some(Ring { entries: document.keys });
        Ok(Self { keys: Some(keys), ring, revoked: Vec::new() })
    }

    /// That the key was not revoked when it signed: whoever took it can sign since then.
    fn was_not_revoked(&self, kid: &str, at: Timestamp) -> Result<(), String> {
        let over = |ended: &Timestamp| at > ended.plus(LEEWAY);
        let ended = self.revoked.iter().find(|(name, ended)| name == kid && over(ended));
        match ended {
            Some((_, ended)) => Err(format!(
                "it was signed at {at} by the key {kid}, which was revoked at {ended}: whoever took that key \
                 may have signed it"
            )),
            None => Ok(()),
        }
    }

    /// What a checkpoint says whose signature holds, by a key whose time it was.
    fn signed(&self, said: &Checkpoint) -> Result<checkpoint::Signed, String> {
        let signed = match &self.keys {
            Some(keys) => checkpoint::read(&said.jws, keys)?,
            None => checkpoint::read(&said.jws, &keys_of(&said.key)?)?,
        };
        self.was_not_revoked(&signed.kid, signed.at)?;
        let Some(ring) = &self.ring else { return Ok(signed) };
        let entry = ring.find(&signed.kid).ok_or("its key is none of the ring's")?;
        if entry.revoked_at.is_some_and(|revoked| signed.at > revoked.plus(LEEWAY)) {
            return Err(format!("its key {} was revoked before", signed.kid));
        }
        let ended = ring.signs_until(entry).is_some_and(|until| signed.at > until.plus(LEEWAY));
        if signed.at.plus(LEEWAY) < entry.signs_from || ended {
            return Err(format!("it was not the time of its key {}", signed.kid));
        }
        Ok(signed)
    }
}

/// A JWK set, which tells of its keys when they were revoked if `keys export-public --all` wrote it.
fn key_file(path: &Path) -> Result<Trusted, Failure> {
    let bytes = File::open(path).and_then(|file| read(file, MAX_ARCHIVE_BYTES));
    let bytes = bytes.map_err(|error| unreadable(path, &error))?;
    let wrong = |error: &dyn std::error::Error| {
        Failure::configuration(format!("{}: {error}", path.display()))
    };
    let keys = IssuerKeys::from_archive(&bytes).map_err(|error| wrong(&error))?;
    let set: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
    let all = set.get("keys").and_then(Value::as_array).into_iter().flatten();
    let revoked = all.filter_map(|key| {
        let kid = key.get("kid").and_then(Value::as_str)?.to_owned();
        let ended = key.get("revoked_at")?.as_str().unwrap_or_default();
        Some(moment(ended).map(|ended| (kid, ended)))
    });
    let revoked = revoked
        .collect::<Result<_, String>>()
        .map_err(|why| Failure::configuration(format!("{}: revoked_at: {why}", path.display())))?;
    Ok(Trusted { keys: Some(keys), ring: None, revoked })
}

/// The records in lines that were kept elsewhere, and what the checkpoints among them cover.
fn known_records(path: &Path, trusted: &Trusted) -> Result<Vec<Covered>, Failure> {
    let place = path.display();
    let mut known = Vec::new();
    let mut reader = BufReader::new(File::open(path).map_err(|error| unreadable(path, &error))?);
    for number in 1_u64.. {
        let mut line = Vec::new();
        let longest = MAX_LINE as u64 + 1;
        let read = reader.by_ref().take(longest).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(path, &error))? == 0 {
            break;
        }
        let record = match std::str::from_utf8(line.trim_ascii_end()).map(Record::read) {
            Ok(Ok(record)) => record,
            // Other lines may stand between; a collector keeps more than this.
            _ if !line.starts_with(RECORD) => continue,
            Ok(Err(error)) => {
                return Err(Failure::refused(format!("{place}, line {number}: {error}")));
            }
            Err(error) => return Err(Failure::refused(format!("{place}, line {number}: {error}"))),
        };
        if let Some(Event::Checkpoint(said)) = record.event() {
            let signed = trusted.signed(&said).map_err(|why| {
                Failure::refused(format!("{place}: the checkpoint of {}: {why}", record.seq))
            })?;
            known.push(signed.covers);
        }
        known.push(Covered { seq: record.seq, hash: record.hash });
    }
    Ok(known)
}

fn read(from: impl io::Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > most {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::{LEEWAY, Trusted, moment};

    #[test]
    fn an_archive_of_many_keys_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.jwks");
        // What `keys export-public --all` tells of a key, and as many as a ring remembers.
        let key = |at: usize| {
            format!(
                r#"{{"kty":"EC","crv":"P-256","kid":"{at:043}","alg":"ES256","use":"sig","state":"withdrawn",
                "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                "created_at":"2026-11-22T10:00:00Z","published_at":"2026-11-22T10:00:00Z",
                "signs_from":"2026-11-22T10:00:00Z","signs_until":"2026-11-22T10:00:00Z",
                "withdrawn_at":"2026-11-22T10:00:00Z"}}"#
            )
        };
        let keys: Vec<String> = (0..500).map(key).collect();
        std::fs::write(&path, format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap();
        assert!(super::key_file(&path).is_ok());
    }

    #[test]
    fn a_checkpoint_of_a_revoked_key_is_judged_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.jwks");
        let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","alg":"EdDSA","state":"revoked",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","revoked_at":"2026-11-22T10:00:00Z"}]}"#;
        std::fs::write(&path, set).unwrap();
        let known: Trusted = super::key_file(&path).unwrap();
        let ended = moment("2026-11-22T10:00:00Z").unwrap();
        assert!(known.was_not_revoked("one", ended.minus(1)).is_ok());
        // Signed as it ended, and dated a moment after.
        let last = ended.plus(LEEWAY);
        assert!(known.was_not_revoked("one", last).is_ok());
        let refused = known.was_not_revoked("one", last.plus(1)).unwrap_err();
        assert!(refused.contains("revoked at 2026-11-22T10:00:00Z"), "{refused}");
        assert!(known.was_not_revoked("two", last.plus(1)).is_ok());
        std::fs::write(&path, set.replace("2026-11-22T10:00:00Z", "yesterday")).unwrap();
        assert!(super::key_file(&path).is_err(), "no moment is no leave to sign");
    }
}
