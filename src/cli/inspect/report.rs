//! The checks of an inspection, one line each: ok, FAILED, or not checked and why.

use countersign_sdk::client::error::printable;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Failed,
    NotChecked,
}

#[derive(Debug)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    received: String,
    /// What was expected where it failed; what to give where it was not checked.
    expected: Option<String>,
}

/// All checks, in the order in which a server makes them.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Check>);

impl Report {
    /// A check that passed.
    pub(super) fn ok(&mut self, name: &'static str, received: impl Into<String>) {
        self.add(name, Verdict::Ok, received.into(), None);
    }

    /// A check that failed.
    pub(super) fn failed(
        &mut self,
        name: &'static str,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) {
        self.add(name, Verdict::Failed, received.into(), Some(expected.into()));
    }

    /// A value that is shown and could not be judged.
    pub(super) fn shown(
        &mut self,
        name: &'static str,
        received: impl Into<String>,
        needed: impl Into<String>,
    ) {
        self.add(name, Verdict::NotChecked, received.into(), Some(needed.into()));
    }

    /// Passed or failed, as `passed` says.
    pub(super) fn judge(
        &mut self,
        name: &'static str,
        passed: bool,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) {
        if passed {
            self.ok(name, received);
        } else {
            self.failed(name, expected, received);
        }
    }

    fn add(
        &mut self,
        name: &'static str,
        verdict: Verdict,
        received: String,
        expected: Option<String>,
    ) {
        self.0.push(Check {
            name,
            verdict,
            received: shortened(&received),
            expected: expected.map(|text| shortened(&text)),
        });
    }

    /// How many checks failed.
    pub(super) fn failures(&self) -> usize {
        let failed = |check: &&Check| check.verdict == Verdict::Failed;
        self.0.iter().filter(failed).count()
    }

    /// Whether the check that a server makes was made, and passed.
    pub(super) fn is_decided(&self) -> bool {
        let decided = |check: &Check| check.name == "verdict" && check.verdict == Verdict::Ok;
        self.0.iter().any(decided)
    }

    /// The names of the checks that failed, for the tests.
    #[cfg(test)]
    pub(super) fn failed_names(&self) -> Vec<&'static str> {
        let failed = |check: &&Check| check.verdict == Verdict::Failed;
        self.0.iter().filter(failed).map(|check| check.name).collect()
    }

    pub(super) fn print(&self, output: &Output) -> Result<(), Failure> {
        if output.is_json() {
            let checks: Vec<Value> = self.0.iter().map(Check::to_json).collect();
            return output.document(&json!({"ok": self.failures() == 0, "checks": checks}));
        }
        let lines: String = self.0.iter().map(Check::line).collect();
        output.bytes(lines.as_bytes())
    }
}

impl Check {
    fn line(&self) -> String {
        let (name, received) = (self.name, &self.received);
        match (self.verdict, &self.expected) {
            (Verdict::Ok, _) => format!("ok      {name:10} {received}\n"),
            (Verdict::Failed, expected) => format!(
                "FAILED  {name:10} {received}\n                   expected: {}\n",
                expected.as_deref().unwrap_or_default()
            ),
            (Verdict::NotChecked, needed) => format!(
                "-       {name:10} {received} (not checked: {})\n",
                needed.as_deref().unwrap_or_default()
            ),
        }
    }

    fn to_json(&self) -> Value {
        let (verdict, second) = match self.verdict {
            Verdict::Ok => ("ok", "expected"),
            Verdict::Failed => ("failed", "expected"),
            Verdict::NotChecked => ("not_checked", "needed"),
        };
        json!({
            "check": self.name,
            "verdict": verdict,
            "received": self.received,
            second: self.expected,
        })
    }
}

/// A received value as a terminal may show it.
fn shortened(text: &str) -> String {
    printable(&text.chars().take(300).collect::<String>())
}
