//! Loading decides which of several written values holds: a flag before the environment, the environment before the file.
//!
//! This is the one file that reads the process's environment: its `COUNTERSIGN_` part, and where credentials lie. A variable of that
//! prefix that no key has is a fault: a misspelt bound would otherwise silently not hold.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Faults, Source};
use super::keys::{
    AnyKey, KEYS, LISTEN, LOG_FORMAT, LOG_LEVEL, OPERATIONS_LISTEN, OPERATORS, RESOURCES, RPC,
    STORE_DIRECTORY, names,
};
use super::raw::{Raw, parse};
use super::settings::Settings;
use super::suggest::nearest;
use super::validate;
use super::written::{Value, Values, Written};

/// What every variable of this server begins with.
pub(crate) const PREFIX: &str = "COUNTERSIGN_";

/// The variable that names the file.
pub(crate) const FILE_VARIABLE: &str = "COUNTERSIGN_CONFIG";

/// The variable by which a service manager says where its credentials lie.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// The largest configuration file in bytes.
const LARGEST_FILE: u64 = 1_048_576;

/// What was given on the command line; whatever is left out is decided elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the file. Without it and without `COUNTERSIGN_CONFIG` the server is a development one.
    pub config: Option<PathBuf>,
    /// `--listen`: the public listener.
    pub listen: Option<String>,
    /// `--operations-listen`: the listener for health checks, or `off`.
    pub operations_listen: Option<String>,
    /// `--data-dir`: the folder of the embedded store.
    pub data_dir: Option<String>,
    /// `--log-format`: `text` or `json`.
    pub log_format: Option<String>,
    /// `--log-level`: what is logged.
    pub log_level: Option<String>,
}

impl Flags {
    /// The flags that stand for keys, as values.
    fn values(&self) -> impl Iterator<Item = Written> {
        [
            ("--listen", LISTEN.name(), &self.listen),
            ("--operations-listen", OPERATIONS_LISTEN.name(), &self.operations_listen),
            ("--data-dir", STORE_DIRECTORY.name(), &self.data_dir),
            ("--log-format", LOG_FORMAT.name(), &self.log_format),
            ("--log-level", LOG_LEVEL.name(), &self.log_level),
        ]
        .into_iter()
        .filter_map(|(flag, key, given)| {
            Some(Written {
                key: key.to_owned(),
                source: Source::Flag(flag),
                value: Value::Plain(given.clone()?),
            })
        })
    }
}

/// The `COUNTERSIGN_` variables of this process, by name and value, and where its credentials lie.
///
/// A value that is not Unicode arrives with replacement characters, which no key accepts.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let is_ours = name.starts_with(PREFIX) || name == CREDENTIALS_VARIABLE;
            is_ours.then(|| (name, value.to_string_lossy().into_owned()))
        })
        .collect()
}

/// Merges the file, `environment` and `flags` into the settings of a server.
///
/// `environment` is name and value, as [`process_environment`] gives them; names without the prefix are ignored.
/// Without a file the server is a development one.
///
/// # Errors
/// Every fault of the configuration together; a file that cannot be read or is not TOML is alone.
pub fn load(flags: &Flags, environment: &[(String, String)]) -> Result<Settings, Faults> {
    let mut faults = Vec::new();
    let variables = variables(environment, &mut faults);
    let path = config_path(flags, environment);
    let mut raw = match &path {
        Some((path, named_by)) => read(path, named_by)
            .and_then(|text| parse(&path.display().to_string(), &text, &mut faults))?,
        None => Raw::default(),
    };
    raw.values.extend(variables);
    let credentials = environment.iter().find(|(name, _)| name == CREDENTIALS_VARIABLE);
    raw.credentials = credentials.map(|(_, path)| PathBuf::from(path));
    raw.values.extend(flags.values().map(|written| (written.key.clone(), written)));
    let settings = match path {
        Some((path, _)) => validate::configured(&raw, &path.display().to_string(), &mut faults),
        None => validate::development(&raw, &mut faults),
    };
    faults.iter_mut().for_each(hide_nodes);
    // Whatever kept the settings from being complete has said so in `faults`.
    settings.filter(|_| faults.is_empty()).ok_or_else(|| Faults::sorted(faults))
}

/// Shows nothing of what stands under `rpc`, wherever it was misplaced: URLs of nodes hold keys.
fn hide_nodes(fault: &mut Fault) {
    let inside = fault.key.strip_prefix(RPC);
    if inside.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.'])) {
        fault.found = None;
    }
}

/// The variable that sets the key `name`: `challenge.lifetime` is `COUNTERSIGN_CHALLENGE__LIFETIME`.
pub(crate) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('.', "__"))
}

/// The file and who named it.
fn config_path(flags: &Flags, environment: &[(String, String)]) -> Option<(PathBuf, Source)> {
    if let Some(path) = &flags.config {
        return Some((path.clone(), Source::Flag("--config")));
    }
    let (name, path) = environment.iter().find(|(name, _)| name == FILE_VARIABLE)?;
    Some((PathBuf::from(path), Source::Environment(name.clone())))
}

/// Reads a file of bounded size.
fn read(path: &Path, named_by: &Source) -> Result<String, Faults> {
    let fault = |problem: String| {
        Faults(vec![Fault {
            source: named_by.clone(),
            key: String::new(),
            found: None,
            problem: format!("the configuration file {} {problem}", path.display()),
            accepted: None,
        }])
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(fault(format!("is larger than {LARGEST_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| fault("is not UTF-8 text".to_owned()))
}

/// The variables that set keys; the others of our prefix are faults.
fn variables(environment: &[(String, String)], faults: &mut Vec<Fault>) -> Values {
    let mut values = Values::new();
    for (name, value) in environment {
        if !name.starts_with(PREFIX) || name == FILE_VARIABLE || is_service_link(name) {
            continue;
        }
        match KEYS.iter().find(|key| variable(key.name()) == *name) {
            Some(key) => {
                let written = Written {
                    key: key.name().to_owned(),
                    source: Source::Environment(name.clone()),
                    value: Value::Plain(value.clone()),
                };
                values.insert(key.name().to_owned(), written);
            }
            None => faults.push(Fault {
                source: Source::Environment(name.clone()),
                key: String::new(),
                found: None,
                problem: unknown(name),
                accepted: None,
            }),
        }
    }
    values
}

/// Why a variable is not accepted, and what may have been meant. Its value may be a secret and is not shown.
fn unknown(name: &str) -> String {
    if let Some(list) =
        [RESOURCES, OPERATORS].into_iter().find(|list| name.starts_with(&variable(list)))
    {
        return format!("sets no key: {list} are written in the configuration file");
    }
    if name.starts_with(&variable(RPC)) {
        return "sets no key: nodes are written in the configuration file".to_owned();
    }
    let known: Vec<String> = names(KEYS).map(variable).chain([FILE_VARIABLE.to_owned()]).collect();
    let meant = nearest(name, known.iter().map(String::as_str));
    let suggestion = meant.map(|meant| format!("; did you mean {meant}?"));
    format!("sets no known key{}", suggestion.unwrap_or_default())
}

/// Whether a container platform wrote this variable about a service called `countersign`, as Kubernetes does for each
/// service of a namespace: `…_SERVICE_HOST`, `…_PORT`, `…_PORT_8700_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let port = || {
        let rest = name.strip_prefix("PORT_")?;
        let (digits, protocol) = rest.split_once('_')?;
        let numbered = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let protocol = protocol.split('_').next()?;
        (numbered && ["TCP", "UDP", "SCTP"].contains(&protocol)).then_some(())
    };
    name == "SERVICE_HOST"
        || name == "PORT"
        || name == "SERVICE_PORT"
        || name.starts_with("SERVICE_PORT_")
        || port().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_shares_a_name_with_a_service_link() {
        for key in names(KEYS) {
            assert!(!is_service_link(&variable(key)), "{key}");
        }
        for name in [
            "COUNTERSIGN_SERVICE_HOST",
            "COUNTERSIGN_SERVICE_PORT_HTTP",
            "COUNTERSIGN_PORT",
            "COUNTERSIGN_PORT_8700_TCP",
            "COUNTERSIGN_PORT_8700_TCP_ADDR",
        ] {
            assert!(is_service_link(name), "{name}");
        }
        for name in ["COUNTERSIGN_PORTS", "COUNTERSIGN_PORT_X_TCP", "COUNTERSIGN_SERVICE"] {
            assert!(!is_service_link(name), "{name}");
        }
    }

    #[test]
    fn variables_are_named_after_keys() {
        assert_eq!(variable("issuer"), "COUNTERSIGN_ISSUER");
        assert_eq!(variable("dpop.max_age"), "COUNTERSIGN_DPOP__MAX_AGE");
    }
}
