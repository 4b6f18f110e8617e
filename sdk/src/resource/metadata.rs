//! What a protected resource says of itself, so that a client that was refused finds the way in.
//!
//! The document is of the configuration alone. RFC 9728 §2, §3.1.

use serde::Serialize;
use url::Url;

use super::server::ResourceServer;
use crate::key::Algorithm;

/// The well-known name under which the document stands.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The members of RFC 9728 §2 that this layer can answer for.
#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    authorization_servers: [&'a str; 1],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    scopes_supported: &'a [String],
    bearer_methods_supported: [&'static str; 1],
    dpop_signing_alg_values_supported: [&'static str; 4],
    dpop_bound_access_tokens_required: bool,
}

impl ResourceServer {
    /// The metadata document of this resource (RFC 9728 §2), as JSON.
    pub fn protected_resource_metadata(&self) -> String {
        let policy = &self.0.policy;
        let document = Document {
            resource: &policy.audience,
            authorization_servers: [&policy.issuer],
            scopes_supported: &policy.scopes,
            bearer_methods_supported: ["header"],
            dpop_signing_alg_values_supported: Algorithm::ALL.map(Algorithm::name),
            dpop_bound_access_tokens_required: !policy.accepts_bearer,
        };
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// The path, from the host's root, where the document belongs.
    pub fn metadata_path(&self) -> String {
        let url = default_metadata_url(&self.0.policy.audience);
        let path = url.and_then(|url| Some(Url::parse(&url).ok()?.path().to_owned()));
        path.unwrap_or_else(|| WELL_KNOWN.to_owned())
    }
}

/// The document's URL: the well-known name between host and path of the resource (RFC 9728 §3.1).
pub(super) fn default_metadata_url(resource: &str) -> Option<String> {
    let mut url = Url::parse(resource).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{WELL_KNOWN}{path}"));
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use crate::resource::ResourceConfig;

    #[test]
    fn says_where_tokens_come_from_and_how_they_are_bound() {
        let config = ResourceConfig::new("https://auth.example", "https://api.example/escrow");
        let server = config.scopes_supported(["escrow:read"]).build().unwrap();
        let document: serde_json::Value =
            serde_json::from_str(&server.protected_resource_metadata()).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "resource": "https://api.example/escrow",
                "authorization_servers": ["https://auth.example"],
                "scopes_supported": ["escrow:read"],
                "bearer_methods_supported": ["header"],
                "dpop_signing_alg_values_supported": ["EdDSA", "Ed25519", "ES256", "ES256K"],
                "dpop_bound_access_tokens_required": true,
            })
        );
        assert_eq!(server.metadata_path(), "/.well-known/oauth-protected-resource/escrow");
    }
}
