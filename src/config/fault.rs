//! A fault says where a configuration value stood, what was found there and what would be accepted.
//!
//! Operators read these lines at the worst moment, so each is complete in itself: place, key, value, problem, accepted
//! form. The fields are public so that a program can list them in its own form.

use std::fmt;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// In the configuration file.
    File {
        /// The path as it was given.
        path: String,
        /// Line, counted from 1, where known.
        line: Option<usize>,
        /// Column in characters, counted from 1; known for syntax errors only.
        column: Option<usize>,
    },
    /// In this environment variable.
    Environment(String),
    /// By this command-line flag, such as `--listen`.
    Flag(&'static str),
    /// Nowhere: the built-in default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                out.write_str(path)?;
                for position in [line, column].into_iter().flatten() {
                    write!(out, ":{position}")?;
                }
                Ok(())
            }
            Self::Environment(name) => out.write_str(name),
            Self::Flag(name) => out.write_str(name),
            Self::Default => out.write_str("default"),
        }
    }
}

/// One reason why a configuration is refused.
///
/// Displayed as `countersign.toml:12: resources[0].token_ttl = 1200: must be at most 900 seconds (accepted: …)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the value stands, or where it is missing.
    pub source: Source,
    /// The key's path, such as `resources[0].token_ttl`; empty when the fault is about the file as a whole.
    pub key: String,
    /// What was found, as TOML would write it and cut when long; `None` when nothing was, or when it must not be shown.
    pub found: Option<String>,
    /// What is wrong, to be read after the key: "must be at most 900 seconds".
    pub problem: String,
    /// The form that would be accepted, where that adds anything.
    pub accepted: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.source)?;
        if !self.key.is_empty() {
            out.write_str(&self.key)?;
            if let Some(found) = &self.found {
                write!(out, " = {found}")?;
            }
            out.write_str(": ")?;
        }
        out.write_str(&self.problem)?;
        if let Some(accepted) = &self.accepted {
            write!(out, " (accepted: {accepted})")?;
        }
        Ok(())
    }
}

/// Every fault of a configuration, in the order of the file's lines, then of the environment, then of the flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Sorts `faults` by place, so that the list reads along the file.
    pub(crate) fn sorted(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| a.source.cmp(&b.source));
        Self(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => out.write_str("the configuration has 1 fault:")?,
            count => write!(out, "the configuration has {count} faults:")?,
        }
        for fault in &self.0 {
            write!(out, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize) -> Fault {
        Fault {
            source: Source::File {
                path: "countersign.toml".to_owned(),
                line: Some(line),
                column: None,
            },
            key: "resources[0].token_ttl".to_owned(),
            found: Some("1200".to_owned()),
            problem: "must be at most 900 seconds".to_owned(),
            accepted: Some("a whole number of seconds, 30 to 900".to_owned()),
        }
    }

    #[test]
    fn a_fault_is_one_complete_line() {
        assert_eq!(
            fault(12).to_string(),
            "countersign.toml:12: resources[0].token_ttl = 1200: must be at most 900 seconds \
             (accepted: a whole number of seconds, 30 to 900)"
        );
    }

    #[test]
    fn faults_are_counted_and_read_along_the_file() {
        let faults = Faults::sorted(vec![fault(12), fault(3)]).to_string();
        let lines: Vec<&str> = faults.lines().collect();
        assert_eq!(lines[0], "the configuration has 2 faults:");
        assert!(lines[1].starts_with("  countersign.toml:3: "), "{faults}");
        assert!(lines[2].starts_with("  countersign.toml:12: "), "{faults}");
    }
}
