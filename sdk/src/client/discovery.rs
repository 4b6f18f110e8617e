//! What an issuer offers, taken from its metadata, and only if it is the issuer that was asked.
//!
//! The document must name the identifier under which it was fetched (RFC 8414 §3.3), and every
//! endpoint must stand on the issuer's own origin: a document that sends our signature elsewhere
//! is refused, whoever wrote it.

use serde::Deserialize;

use super::address::{Address, Issuer};
use super::error::ClientError;
use super::http::Http;

/// The endpoints that a client uses.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Where grants are redeemed.
    pub token_endpoint: Address,
    /// Where a message to sign is asked for; absent where the issuer offers none.
    pub challenge_endpoint: Option<Address>,
    /// Where tokens are given up (RFC 7009).
    pub revocation_endpoint: Option<Address>,
    /// Where the sessions of a subject are listed and ended.
    pub sessions_endpoint: Option<Address>,
    /// The issuer's public keys.
    pub jwks_uri: Option<Address>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: String,
    challenge_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    sessions_endpoint: Option<String>,
    jwks_uri: Option<String>,
}

/// Fetches and checks the metadata of `issuer` (RFC 8414).
///
/// # Errors
/// [`ClientError`]; `Protocol` when the document names another issuer or a foreign endpoint.
pub async fn discover(http: &Http, issuer: &Issuer) -> Result<Metadata, ClientError> {
    let address = issuer.metadata_address()?;
    let request = http.builder(http::Method::GET, &address);
    let document: Document = http.json(&address, request).await?;
    accept(issuer, &document)
}

/// Fetches the issuer's JWK set as it is published, of at most 64 KiB.
///
/// # Errors
/// [`ClientError`]; `Protocol` when the metadata names none.
pub async fn key_set(http: &Http, metadata: &Metadata) -> Result<Vec<u8>, ClientError> {
    let missing = || ClientError::Protocol {
        server: metadata.token_endpoint.origin(),
        fault: "its metadata names no jwks_uri".to_owned(),
    };
    let address = metadata.jwks_uri.as_ref().ok_or_else(missing)?;
    let request = http.builder(http::Method::GET, address);
    http.document(address, request).await
}

fn accept(issuer: &Issuer, document: &Document) -> Result<Metadata, ClientError> {
    let origin = issuer.address().origin();
    let refused = |fault: String| ClientError::Protocol { server: origin.clone(), fault };
    if document.issuer != issuer.as_str() {
        return Err(refused(format!(
            "its metadata names the issuer {:?}, not {:?}",
            document.issuer.chars().take(200).collect::<String>(),
            issuer.as_str()
        )));
    }
    let endpoint = |name: &str, text: &str| {
        Address::parse(text)
            .ok()
            .filter(|address| address.origin() == origin)
            .ok_or_else(|| refused(format!("its {name} is not on the issuer's own origin")))
    };
    let optional =
        |name: &str, text: Option<&String>| text.map(|text| endpoint(name, text)).transpose();
    Ok(Metadata {
        token_endpoint: endpoint("token_endpoint", &document.token_endpoint)?,
        challenge_endpoint: optional("challenge_endpoint", document.challenge_endpoint.as_ref())?,
        revocation_endpoint: optional(
            "revocation_endpoint",
            document.revocation_endpoint.as_ref(),
        )?,
        sessions_endpoint: optional("sessions_endpoint", document.sessions_endpoint.as_ref())?,
        jwks_uri: optional("jwks_uri", document.jwks_uri.as_ref())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(issuer: &str, token_endpoint: &str) -> Document {
        Document {
            issuer: issuer.to_owned(),
            token_endpoint: token_endpoint.to_owned(),
            challenge_endpoint: None,
            revocation_endpoint: None,
            sessions_endpoint: Some("https://auth.example/sessions".to_owned()),
            jwks_uri: Some("https://auth.example/.well-known/jwks.json".to_owned()),
        }
    }

    #[test]
    fn the_issuer_is_the_one_that_was_asked() {
        let issuer = Issuer::parse("https://auth.example").unwrap();
        let token = "https://auth.example/token";
        assert!(accept(&issuer, &document("https://auth.example", token)).is_ok());
        for name in ["https://auth.example/", "https://evil.example", ""] {
            assert!(accept(&issuer, &document(name, token)).is_err(), "{name}");
        }
    }

    #[test]
    fn endpoints_stand_on_the_issuers_origin() {
        let issuer = Issuer::parse("https://auth.example").unwrap();
        for token in [
            "https://evil.example/token",
            "http://auth.example/token",
            "https://auth.example:444/token",
            "/token",
        ] {
            assert!(accept(&issuer, &document("https://auth.example", token)).is_err(), "{token}");
        }
        let foreign = Some("https://evil.example/".to_owned());
        let ours = document("https://auth.example", "https://auth.example/token");
        let revocation = Document { revocation_endpoint: foreign.clone(), ..ours };
        assert!(accept(&issuer, &revocation).is_err());
        let ours = document("https://auth.example", "https://auth.example/token");
        assert!(accept(&issuer, &Document { sessions_endpoint: foreign, ..ours }).is_err());
    }
}
