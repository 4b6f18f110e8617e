//! A resource is accepted when its scopes, defaults and account lists agree with each other and its name is its own.

use std::collections::HashMap;

use super::fault::{Fault, Source};
use super::keys::{
    RESOURCE_ALLOW, RESOURCE_BEARER_SESSIONS, RESOURCE_BINDING, RESOURCE_CONTRACT_ACCOUNTS,
    RESOURCE_DEFAULT_SCOPES, RESOURCE_DENY, RESOURCE_FORMATS, RESOURCE_INTROSPECTION_KEYS,
    RESOURCE_INTROSPECTION_SECRET, RESOURCE_SCOPES, RESOURCE_TOKEN_TTL, RESOURCE_URI, RESOURCES,
};
use super::raw::RawTable;
use super::reader::{Reader, plain};
use super::settings::{Binding, Resource, ResourceRules, ScopeRule};
use super::shape::{Item, on_its_chain};

/// Every resource; nothing when one is faulty or when there is none at all.
pub(crate) fn all(
    written: &[RawTable],
    place: &Source,
    faults: &mut Vec<Fault>,
) -> Option<Vec<Resource>> {
    if written.is_empty() {
        faults.push(Fault {
            source: place.clone(),
            key: RESOURCES.to_owned(),
            found: None,
            problem: "at least one is required".to_owned(),
            accepted: Some("a [[resources]] table with uri and scopes for each API".to_owned()),
        });
        return None;
    }
    let before = faults.len();
    let read: Vec<Option<Resource>> = written.iter().map(|raw| one(raw, faults)).collect();
    check_names(written, &read, faults);
    (faults.len() == before).then(|| read.into_iter().flatten().collect())
}

fn one(raw: &RawTable, faults: &mut Vec<Fault>) -> Option<Resource> {
    let mut reader = Reader {
        values: &raw.values,
        place: raw.source.clone(),
        prefix: format!("{}.", raw.key),
        faults,
    };
    let uri = reader.read(&RESOURCE_URI);
    let scopes = reader.read(&RESOURCE_SCOPES);
    let default_scopes = reader.read(&RESOURCE_DEFAULT_SCOPES);
    let token_ttl = reader.read(&RESOURCE_TOKEN_TTL);
    let binding = reader.read(&RESOURCE_BINDING);
    let bearer_sessions = reader.read(&RESOURCE_BEARER_SESSIONS);
    if bearer_sessions == Some(true) && binding == Some(Binding::Required) {
        let problem =
            "needs binding = \"optional\": every token of this resource is bound to a key";
        reader.fault(&RESOURCE_BEARER_SESSIONS, problem);
    }
    let formats = reader.read(&RESOURCE_FORMATS);
    let allow = reader.read(&RESOURCE_ALLOW).unwrap_or_default();
    let deny = reader.read(&RESOURCE_DENY);
    let contract_accounts = reader.read(&RESOURCE_CONTRACT_ACCOUNTS);
    let introspection_keys = reader.read(&RESOURCE_INTROSPECTION_KEYS);
    let introspection_secret = reader.read(&RESOURCE_INTROSPECTION_SECRET);
    if let (Some(scopes), Some(defaults)) = (&scopes, &default_scopes) {
        check_defaults(scopes, defaults, reader.faults);
    }
    if let Some(deny) = &deny {
        check_accounts(&allow, deny, reader.faults);
    }
    Some(Resource {
        uri: uri?,
        rules: ResourceRules {
            scopes: ScopeRule::Listed(plain(scopes?)),
            default_scopes: plain(default_scopes?),
            token_ttl: token_ttl?,
            binding: binding?,
            bearer_sessions: bearer_sessions?,
            formats: formats.map(plain),
            allow_on_chain: allow.iter().filter_map(|item| on_its_chain(&item.written)).collect(),
            allow: plain(allow),
            deny: plain(deny?),
            contract_accounts: contract_accounts?,
            introspection_keys: plain(introspection_keys?),
            introspection_secret,
        },
    })
}

/// A default that does not exist could never be granted.
fn check_defaults(scopes: &[Item<String>], defaults: &[Item<String>], faults: &mut Vec<Fault>) {
    let known: Vec<&str> = scopes.iter().map(|item| item.value.as_str()).collect();
    for item in defaults.iter().filter(|item| !known.contains(&item.value.as_str())) {
        let problem = "is not one of this resource's scopes";
        faults.push(item.written.fault(problem, Some(known.join(", "))));
    }
}

/// An account in both lists shows that one of them is not what was meant.
fn check_accounts(allow: &[Item<String>], deny: &[Item<String>], faults: &mut Vec<Fault>) {
    for item in deny {
        if let Some(twin) = allow.iter().find(|allowed| allowed.value == item.value) {
            let problem = format!("is allowed as well, as {}", twin.written.key);
            faults.push(item.written.fault(problem, None));
        }
    }
}

/// Two resources that a reader would take for one must not have different rules.
fn check_names(written: &[RawTable], read: &[Option<Resource>], faults: &mut Vec<Fault>) {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for (raw, resource) in written.iter().zip(read) {
        let Some(resource) = resource else { continue };
        let name = resource.uri.trim_end_matches('/');
        let twin = *seen.entry(name).or_insert(raw.key.as_str());
        if let Some(uri) = raw.values.get(RESOURCE_URI.name).filter(|_| twin != raw.key) {
            let problem =
                format!("is the uri of {twin} already (a closing slash makes no difference here)");
            faults.push(uri.fault(problem, None));
        }
    }
}
