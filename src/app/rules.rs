//! From settings, which say what was configured, to the rules that the house works with.

use std::time::Duration;

use countersign_sdk::account::AccountError;
use countersign_sdk::proof::dpop::Window;
use countersign_sdk::proof::target_uri::TargetUri;

use super::StartError;
use crate::config::{
    self, DomainPolicy, ResourcePolicy, RpcSettings, ScopeRule, SecretUrl, Settings,
};
use crate::model::domain::Domains;
use crate::model::introspection::Callers;
use crate::model::operator::Operators;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::{Binding, KnownScopes, OnChain, Resource, ResourceRules, Resources};
use crate::model::scope::ScopeSet;
use crate::rpc::ChainNodes;
use crate::service::context::{Chains, Issuer, Rules};
use crate::wallet::registry;

pub(super) fn issuer(issuer: &config::Issuer) -> Result<Issuer, StartError> {
    let url = issuer.issuer().to_owned();
    let token_endpoint = TargetUri::parse(&format!("{url}/token"))?;
    Ok(Issuer {
        host: issuer.host().to_owned(),
        path: issuer.path().to_owned(),
        token_endpoint,
        url,
    })
}

pub(super) fn rules(settings: &Settings) -> Result<Rules, StartError> {
    let domains = match &settings.domains {
        DomainPolicy::Loopback => Domains::Loopback,
        DomainPolicy::Listed(list) => Domains::Listed(list.clone()),
    };
    let resources = match &settings.resources {
        ResourcePolicy::AnyLoopback(rules) => {
            Resources::AnyLoopback(Box::new(resource_rules(rules)?))
        }
        ResourcePolicy::Listed(list) => Resources::Listed(
            list.iter()
                .map(|entry| {
                    let mut rules = resource_rules(&entry.rules)?;
                    rules
                        .formats
                        .get_or_insert_with(|| registry::usual().map(str::to_owned).collect());
                    Ok(Resource { uri: entry.uri.clone(), rules })
                })
                .collect::<Result<_, Refusal>>()?,
        ),
    };
    let chains = match &settings.chains {
        None => Chains::Any,
        Some(list) => Chains::Listed(
            list.iter()
                .map(|chain| chain.parse().map_err(|error| not_an_account(&error)))
                .collect::<Result<_, _>>()?,
        ),
    };
    let operators = match settings.operators.as_slice() {
        [] => None,
        list => Some(Operators::new(
            settings.issuer.issuer(),
            list.iter().map(|one| (one.subject.clone(), one.scopes.clone())),
            registry::usual().map(str::to_owned).collect(),
            settings.care,
        )?),
    };
    Ok(Rules {
        domains,
        resources,
        operators,
        chains,
        challenge_lifetime: settings.challenge_lifetime,
        session_lifetime: settings.session_lifetime,
        contract_session_lifetime: settings.contract_session_lifetime,
        window: Window {
            max_age: settings.dpop.max_age,
            max_future_skew: settings.dpop.max_future_skew,
        },
        require_nonce: settings.dpop.require_nonce,
    })
}

/// The nodes of each chain that is asked.
pub(super) fn nodes(settings: &Settings) -> Vec<ChainNodes> {
    let of = |rpc: &RpcSettings| ChainNodes {
        chain: rpc.chain.clone(),
        urls: rpc.urls.iter().map(SecretUrl::expose).cloned().collect(),
        quorum: rpc.quorum,
        timeout: Duration::from_secs(rpc.timeout),
        max_answer: rpc.max_answer_bytes,
        block: rpc.block,
        max_block_age: rpc.max_block_age,
        delegated: rpc.delegated,
        factories: rpc.factories.clone(),
    };
    settings.rpc.iter().map(of).collect()
}

fn resource_rules(rules: &config::ResourceRules) -> Result<ResourceRules, Refusal> {
    let scopes =
        |list: &[String]| list.iter().map(|scope| scope.parse()).collect::<Result<ScopeSet, _>>();
    Ok(ResourceRules {
        scopes: match &rules.scopes {
            ScopeRule::Any => KnownScopes::Any,
            ScopeRule::Listed(list) => KnownScopes::Listed(scopes(list)?),
        },
        default_scopes: scopes(&rules.default_scopes)?,
        token_ttl: rules.token_ttl,
        binding: match rules.binding {
            config::Binding::Required => Binding::Required,
            config::Binding::Optional => Binding::Optional,
        },
        bearer_sessions: rules.bearer_sessions,
        formats: rules.formats.clone(),
        allow: rules.allow.iter().cloned().collect(),
        deny: rules.deny.iter().cloned().collect(),
        on_chain: OnChain {
            taken: rules.contract_accounts,
            allow: rules.allow_on_chain.iter().cloned().collect(),
        },
        callers: Callers {
            keys: rules.introspection_keys.iter().cloned().collect(),
            secret: rules.introspection_secret,
        },
    })
}

fn not_an_account(error: &AccountError) -> Refusal {
    Refusal::new(Reason::AccountInvalid, error.to_string())
}
