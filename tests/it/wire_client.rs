//! A client that keeps what it was told and knows whether it was told: for servers that end in the middle.

use std::sync::Arc;

use countersign_sdk::key::{Curve, InMemorySigner};
use countersign_sdk::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::support::{Answer, EvmWallet, JWT_BEARER, RESOURCE, SIGNED_MESSAGE};
use crate::support::{did, dpop, jkt, jws, key, rand_bytes};

/// A form and the proof beside it, as they were sent.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) form: Vec<(&'static str, String)>,
    pub(crate) proof: String,
    /// Who made the proof.
    pub(crate) key: Arc<InMemorySigner>,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Alive,
    /// Its end was asked for, and no answer came.
    Unknown,
    /// Its end was answered.
    Ended,
}

/// A session as the client has it.
pub(crate) struct Kept {
    pub(crate) key: Arc<InMemorySigner>,
    /// Every refresh token that was received, the newest last.
    pub(crate) tokens: Vec<String>,
    /// Whether a refresh was asked for after the newest, and no answer came.
    pub(crate) in_flight: bool,
    pub(crate) fate: Fate,
}

/// Speaks to one issuer.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) issuer: String,
}

impl Client {
    pub(crate) fn new(issuer: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, issuer: issuer.to_owned() }
    }

    pub(crate) fn proof(&self, key: &InMemorySigner, nonce: Option<&str>) -> String {
        let extra = nonce.map_or_else(|| json!({}), |nonce| json!({ "nonce": nonce }));
        dpop(key, &format!("{}/token", self.issuer), SystemClock.now().as_unix(), extra)
    }

    /// Sends it as it is; `None` when no answer came.
    pub(crate) async fn send(&self, path: &str, sent: &Sent) -> Option<Answer> {
        let request = self.http.post(format!("{}{path}", self.issuer)).form(&sent.form);
        let response = request.header("DPoP", &sent.proof).send().await.ok()?;
        Answer::try_read(response).await
    }

    /// Sends a form with a fresh proof by `key`, and once more with the nonce that the server asks
    /// for; gives what was sent last.
    pub(crate) async fn with_proof(
        &self,
        form: Vec<(&'static str, String)>,
        key: &Arc<InMemorySigner>,
    ) -> (Sent, Option<Answer>) {
        let first = Sent { proof: self.proof(key, None), form, key: Arc::clone(key) };
        let answer = self.send("/token", &first).await;
        let asked = answer.as_ref().filter(|answer| answer.body["error"] == "use_dpop_nonce");
        match asked.and_then(|answer| answer.header("dpop-nonce")) {
            Some(nonce) => {
                let again = Sent { proof: self.proof(key, Some(nonce)), ..first };
                let answer = self.send("/token", &again).await;
                (again, answer)
            }
            None => (first, answer),
        }
    }

    /// A challenge, signed; `None` when no answer came.
    pub(crate) async fn signed_message(
        &self,
        wallet: &EvmWallet,
        key: &InMemorySigner,
    ) -> Option<Vec<(&'static str, String)>> {
        let body =
            json!({ "account": wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(key) });
        let request = self.http.post(format!("{}/challenge", self.issuer)).json(&body);
        let answer = Answer::try_read(request.send().await.ok()?).await?;
        let message = answer.text("message").to_owned();
        let signature = wallet.sign(&message);
        let grant = SIGNED_MESSAGE.to_owned();
        Some(vec![("grant_type", grant), ("message", message), ("signature", signature)])
    }

    pub(crate) async fn refresh(&self, kept: &Kept, token: &str) -> (Sent, Option<Answer>) {
        let form =
            vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())];
        self.with_proof(form, &kept.key).await
    }

    pub(crate) async fn revoke(&self, token: &str) -> Option<Answer> {
        let form = [("token", token)];
        let request = self.http.post(format!("{}/revoke", self.issuer)).form(&form);
        Answer::try_read(request.send().await.ok()?).await
    }

    /// An agent's assertion with its form; it is used up by the first who sends it.
    pub(crate) fn assertion(&self) -> (Arc<InMemorySigner>, Vec<(&'static str, String)>) {
        let (agent, now) = (Arc::new(key(Curve::Ed25519)), SystemClock.now().as_unix());
        let payload: Value = json!({
            "iss": did(&agent), "sub": did(&agent), "aud": self.issuer, "iat": now, "exp": now + 50,
            "jti": hex::encode(rand_bytes()),
        });
        let assertion = jws(&agent, &json!({ "alg": "EdDSA" }), &payload);
        let grant = JWT_BEARER.to_owned();
        let form =
            [("grant_type", grant), ("assertion", assertion), ("resource", RESOURCE.to_owned())];
        (agent, form.to_vec())
    }
}
