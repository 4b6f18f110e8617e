//! Judges published test cases with the very functions that the server runs on.
//!
//! A file is known by what is in it, never by its name or place, so that cases of the same shapes
//! from elsewhere can be judged unseen. Where a case says what the server issued or expects, that
//! is supplied; nothing else is. docs/VECTORS.md describes the shapes.
//!
//! | file | judges |
//! |---|---|
//! | `texts` | sign-in texts with their signatures and what the server expected of them |
//! | `bare` | signatures of single chains' wallets, over any message |
//! | `spelling` | sign-in texts alone: read, refused, written again |
//! | `keys` | `did:key`, thumbprints, Ed25519 signatures |
//! | `jose` | DPoP proofs, access tokens, JWS |
//! | `wallets` | messages that wallets signed, with no sign-in around them |
//! | `wycheproof` | the groups of that project, in its own layout |
//!
//! Specs: protocol.md §10.

mod bare;
mod case;
mod jose;
mod keys;
mod spelling;
mod texts;
mod wallets;
mod wycheproof;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) use case::{Case, Verdict};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A case on which we and its file disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The file.
    pub file: String,
    /// The case's id.
    pub id: String,
    /// What the file expects: `accept` or `reject`.
    pub expected: &'static str,
    /// What we answered.
    pub got: &'static str,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, id, expected, got, reason } = self;
        write!(f, "{file} {id} {expected} {got} {reason}")
    }
}

/// What came out of judging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases on which we and the file agree.
    pub passed: usize,
    /// Cases that were not judged: of formats, curves or algorithms that we have not.
    pub skipped: usize,
    /// Cases on which we disagree.
    pub failed: Vec<Disagreement>,
    /// Files without any case that we have a format for.
    pub skipped_files: Vec<String>,
}

impl fmt::Display for Report {
    /// A line for each disagreement and each skipped file, and the closing count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.failed {
            writeln!(f, "{case}")?;
        }
        for file in &self.skipped_files {
            writeln!(f, "{file} skipped")?;
        }
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped)
    }
}

/// Judges every file of `paths`; folders are walked in the order of their names.
///
/// # Errors
/// What the file system answers for a path that was named.
pub fn judge(paths: &[PathBuf]) -> io::Result<Report> {
    let mut files = Vec::new();
    for path in paths {
        walk(path, &mut files)?;
    }
    let mut report = Report::default();
    for file in &files {
        let name = file.display().to_string();
        if fs::metadata(file)?.len() > MAX_FILE {
            report.skipped_files.push(name);
            continue;
        }
        judge_document(&name, &fs::read(file)?, &mut report);
    }
    Ok(report)
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        let kind = entry.extension().and_then(|kind| kind.to_str());
        if entry.is_dir() || matches!(kind, Some("json" | "csv")) {
            walk(&entry, files)?;
        }
    }
    Ok(())
}

/// Judges one file's content.
pub fn judge_document(name: &str, content: &[u8], report: &mut Report) {
    let document: Value = serde_json::from_slice(content).unwrap_or_default();
    let table = || wallets::judge_bip340_csv(std::str::from_utf8(content).ok()?);
    let Some(cases) = cases_of(&document).or_else(table) else {
        let cases = document.get("cases").and_then(Value::as_array);
        report.skipped += cases.map_or(1, Vec::len);
        report.skipped_files.push(name.to_owned());
        return;
    };
    let (total, before) = (cases.len(), report.skipped);
    for Case { id, accept, got } in cases {
        let agrees = match (&got, accept) {
            (Verdict::Accept, true) | (Verdict::Reject(_), false) => true,
            (Verdict::Accept, false) | (Verdict::Reject(_), true) => false,
            (Verdict::Skip, _) => {
                report.skipped += 1;
                continue;
            }
        };
        if agrees {
            report.passed += 1;
            continue;
        }
        let reason = match got {
            Verdict::Reject(reason) => reason,
            Verdict::Accept | Verdict::Skip => "nothing_wrong_found".to_owned(),
        };
        report.failed.push(Disagreement {
            file: name.to_owned(),
            id,
            expected: if accept { "accept" } else { "reject" },
            got: if accept { "reject" } else { "accept" },
            reason,
        });
    }
    if report.skipped - before == total {
        report.skipped_files.push(name.to_owned());
    }
}

/// The judged cases of a document; `None` when nothing in it says what it is.
fn cases_of(document: &Value) -> Option<Vec<Case>> {
    if let Some(groups) = document.get("testGroups").and_then(Value::as_array) {
        return wycheproof::judge(groups);
    }
    if let Some(list) = document.as_array() {
        return keys::judge_flagged(list);
    }
    let Some(cases) = document.get("cases").and_then(Value::as_array) else {
        return wallets::judge_bip322(document)
            .or_else(|| spelling::judge_map(document))
            .or_else(|| keys::judge_did_documents(document));
    };
    let first = cases.first()?;
    let has = |member: &str| first.get(member).is_some();
    if first.get("proof").is_some_and(Value::is_string) {
        Some(jose::judge_proofs(cases))
    } else if has("token") && document.get("jwks").is_some() {
        Some(jose::judge_tokens(document, cases))
    } else if has("compact") {
        Some(jose::judge_compact(document, cases))
    } else if has("sha256") && has("jwk") {
        Some(keys::judge_thumbprints(cases))
    } else if has("did") {
        Some(keys::judge_dids(cases))
    } else if has("text") {
        Some(spelling::judge_texts(cases))
    } else if has("secret_key") && has("public_key") {
        Some(keys::judge_ed25519(cases))
    } else {
        wallets::judge(document, cases).or_else(|| texts::judge(document, cases))
    }
}
