//! Whether a log, or the proof of one sign-in, is what the issuer wrote.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use countersign_sdk::resource::{IssuerKeys, MAX_JWKS_BYTES};
use serde_json::{Value, json};

use super::unreadable;
use crate::audit::Event;
use crate::audit::event::Checkpoint;
use crate::audit::folder::{self, FOLDER};
use crate::audit::proof::{self, MAX_FILE, Proof};
use crate::audit::record::{MAX_LINE, Record};
use crate::audit::verify::{self, Covered};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::keyring::{RingFile, Shelf as _, key_set};
use crate::service::arbiter::{self, keys_of};
use crate::service::checkpoint;

/// Reads the whole log.
///
/// # Errors
/// [`Failure`], `refused` with the first thing that is wrong.
pub(super) fn verify(
    data: &Path,
    keys: Option<&Path>,
    known: Option<&Path>,
    output: &Output,
) -> Result<(), Failure> {
    let keys = match keys {
        Some(path) => Some(key_file(path)?),
        None => ring(data)?,
    };
    let mut signed_by = std::collections::BTreeSet::new();
    let signers = std::cell::RefCell::new(&mut signed_by);
    let read = |said: &Checkpoint| {
        let signed = signed(said, keys.as_ref())?;
        signers.borrow_mut().insert(signed.kid);
        Ok(signed.covers)
    };
    let known = known.map(|path| known_checkpoints(path, keys.as_ref())).transpose()?;
    let log = data.join(FOLDER);
    let report = verify::verify(&log, &read, known.as_deref().unwrap_or_default())
        .map_err(|error| Failure::refused(error.to_string()))?;
    output.result(&[
        ("first", json!(report.first)),
        ("last", json!(report.last)),
        ("hash", json!(report.hash)),
        ("checkpoints", json!(report.checkpoints)),
        ("covered", json!(report.covered)),
        ("segments", json!(report.segments)),
        ("signed_by", json!(signed_by)),
        ("keys_are_known", json!(keys.is_some())),
    ])?;
    if keys.is_none() && report.checkpoints > 0 {
        output.warning(
            "no keys are known here: compare signed_by with the issuer's own, or give --keys",
        );
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
    arbiter::check(&proof, None).map_err(|error| Failure::refused(error.to_string()))?;
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
    let verdict = Proof::read(&bytes)
        .map_err(arbiter::NotProven::from)
        .and_then(|proof| arbiter::check(&proof, keys.as_ref().map(|known| &known.keys)))
        .map_err(|error| Failure::refused(error.to_string()))?;
    if let Some(known) = &keys {
        known.check(&verdict.kid, &verdict.checkpoint_at).map_err(Failure::refused)?;
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

/// What of a verdict is printed, in this order.
const NAMES: [&str; 16] = [
    "sub",
    "account",
    "method",
    "at",
    "issuer",
    "domain",
    "resource",
    "scope",
    "scope_was_signed",
    "transaction_by",
    "jti",
    "bound_to",
    "seq",
    "checkpoint_at",
    "kid",
    "key_is_known",
];

/// Keys that are known, and when those of them ended that were revoked.
struct Known {
    keys: IssuerKeys,
    revoked: Vec<(String, String)>,
}

impl Known {
    /// That the key was not revoked when it signed: whoever took it can sign since then. Both moments are
    /// written in one way, in which later ones come later.
    fn check(&self, kid: &str, at: &str) -> Result<(), String> {
        let ended = self.revoked.iter().find(|(name, ended)| name == kid && at > ended.as_str());
        match ended {
            Some((_, ended)) => Err(format!(
                "it was signed at {at} by the key {kid}, which was revoked at {ended}: whoever took that key \
                 may have signed it"
            )),
            None => Ok(()),
        }
    }
}

/// A checkpoint whose signature holds: by one of `keys`, at a time at which it was not revoked, or, where
/// none are known, by the one that it names.
fn signed(said: &Checkpoint, known: Option<&Known>) -> Result<checkpoint::Signed, String> {
    let Some(known) = known else { return checkpoint::read(&said.jws, &keys_of(&said.key)?) };
    let signed = checkpoint::read(&said.jws, &known.keys)?;
    known.check(&signed.kid, &signed.at.to_string())?;
    Ok(signed)
}

/// The public keys of the ring in a data directory; none where there is no ring.
fn ring(data: &Path) -> Result<Option<Known>, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::configuration(error.to_string());
    let Some(ring) = RingFile::of(data).read().map_err(|error| wrong(&error))? else {
        return Ok(None);
    };
    let set = key_set(ring.keys.iter()).map_err(|error| wrong(&error))?;
    let keys = IssuerKeys::from_json(set.as_bytes()).map_err(|error| wrong(&error))?;
    let revoked =
        ring.keys.iter().filter_map(|key| Some((key.kid.clone(), key.revoked_at?.to_string())));
    Ok(Some(Known { keys, revoked: revoked.collect() }))
}

/// A JWK set, which tells of its keys when they were revoked if `keys export-public --all` wrote it.
fn key_file(path: &Path) -> Result<Known, Failure> {
    let bytes = File::open(path).and_then(|file| read(file, MAX_JWKS_BYTES));
    let bytes = bytes.map_err(|error| unreadable(path, &error))?;
    let wrong = |error: &dyn std::error::Error| {
        Failure::configuration(format!("{}: {error}", path.display()))
    };
    let keys = IssuerKeys::from_json(&bytes).map_err(|error| wrong(&error))?;
    let set: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
    let all = set.get("keys").and_then(Value::as_array).into_iter().flatten();
    let revoked = all.filter_map(|key| {
        let text = |name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text("kid")?, text("revoked_at")?))
    });
    Ok(Known { keys, revoked: revoked.collect() })
}

/// The checkpoints in lines of the log that were kept elsewhere.
fn known_checkpoints(path: &Path, keys: Option<&Known>) -> Result<Vec<Covered>, Failure> {
    let mut known = Vec::new();
    let mut reader = BufReader::new(File::open(path).map_err(|error| unreadable(path, &error))?);
    loop {
        let mut line = Vec::new();
        let longest = MAX_LINE as u64 + 1;
        let read = reader.by_ref().take(longest).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(path, &error))? == 0 {
            return Ok(known);
        }
        // Other lines may stand between; a collector keeps more than this.
        let record = std::str::from_utf8(line.trim_ascii_end()).ok().map(Record::read);
        if let Some(Ok(record)) = record {
            if let Some(Event::Checkpoint(said)) = record.event() {
                let signed = signed(&said, keys).map_err(|why| {
                    let place = path.display();
                    Failure::refused(format!("{place}: the checkpoint of {}: {why}", record.seq))
                })?;
                known.push(signed.covers);
            }
            known.push(Covered { seq: record.seq, hash: record.hash });
        }
    }
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
    use super::Known;

    #[test]
    fn a_checkpoint_of_a_revoked_key_is_judged_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.jwks");
        let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","alg":"EdDSA","state":"revoked",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","revoked_at":"2026-11-22T10:00:00Z"}]}"#;
        std::fs::write(&path, set).unwrap();
        let known: Known = super::key_file(&path).unwrap();
        assert!(known.check("one", "2026-11-22T09:59:59Z").is_ok());
        assert!(known.check("one", "2026-11-22T10:00:00Z").is_ok(), "in its last second");
        let refused = known.check("one", "2026-11-22T10:00:01Z").unwrap_err();
        assert!(refused.contains("revoked at"), "{refused}");
        assert!(known.check("two", "2026-11-22T10:00:01Z").is_ok());
    }
}
