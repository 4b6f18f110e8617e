//! Sessions of the SDK's client against this server: renewed, kept, lost on the way, and ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use countersign_sdk::account::Account;
use countersign_sdk::client::{
    ClientError, FileSessionStore, Http, InMemoryWallet, KeptKey, Session, SessionName,
    SessionStore, SignIn, Token, Wallet,
};
use countersign_sdk::key::{Curve, InMemorySigner, SignerError};
use countersign_sdk::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::lossy::LossyProxy;
use crate::support::{RESOURCE, Server, key, part};

/// A wallet whose person signs once and is then away.
#[derive(Debug)]
struct Once(InMemoryWallet, AtomicBool);

#[async_trait]
impl Wallet for Once {
    fn account(&self) -> &Account {
        self.0.account()
    }

    fn format(&self) -> &str {
        self.0.format()
    }

    async fn sign_message(&self, message: &str) -> Result<String, SignerError> {
        assert!(!self.1.swap(true, Ordering::SeqCst), "asked to sign again");
        self.0.sign_message(message).await
    }
}

fn wallet() -> Arc<Once> {
    let wallet = InMemoryWallet::ethereum(key(Curve::Secp256k1), 1).unwrap();
    Arc::new(Once(wallet, AtomicBool::new(false)))
}

/// The same token, ended: so that time need not pass.
fn aged(token: &Token) -> Token {
    let long_ago = Timestamp::from_unix(1);
    Token { issued_at: long_ago, expires_at: long_ago, ..token.clone() }
}

/// The session as a program takes it up whose token has ended.
fn later(issuer: &str, resource: &str, session: &Session) -> Session {
    let sign_in = SignIn::new(issuer).resource(resource);
    sign_in.resume(aged(&session.current()), Arc::clone(session.signer())).unwrap()
}

fn refresh_token(session: &Session) -> String {
    session.current().refresh_token.as_ref().unwrap().expose().to_owned()
}

#[tokio::test]
async fn a_wallets_session_goes_on_without_its_wallet() {
    let server = Server::with_system_clock().await;
    for curve in [None, Some(Curve::P256), Some(Curve::Secp256k1)] {
        let mut sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read escrow:read");
        if let Some(curve) = curve {
            sign_in = sign_in.session_key(Arc::new(key(curve)));
        }
        let mut session = sign_in.wallet(wallet()).await.unwrap();
        let first = session.current();
        for _ in 0..3 {
            let before = refresh_token(&session);
            session = later(&server.issuer, RESOURCE, &session);
            let token = session.access_token().await.unwrap();
            assert_ne!(before, refresh_token(&session));
            assert_eq!((&token.sub, &token.scope), (&first.sub, &first.scope));
            assert_eq!(token.session_id, first.session_id);
            let claims = part(token.access_token.expose(), 1);
            assert_eq!(claims["sid"].as_str(), token.session_id.as_deref());
        }
    }
}

#[tokio::test]
async fn agents_have_no_session_and_prove_themselves_again() {
    let server = Server::with_system_clock().await;
    let agent = Arc::new(key(Curve::Ed25519));
    let sign_in = || SignIn::new(&server.issuer).resource(RESOURCE).scope("read");
    let session = sign_in().agent(Arc::clone(&agent) as _).await.unwrap();
    let token = session.current();
    assert!(token.refresh_token.is_none() && token.session_id.is_none());
    let session = sign_in().resume_agent(aged(&token), agent).unwrap();
    let renewed = session.access_token().await.unwrap();
    assert_ne!(renewed.access_token, token.access_token);
    assert_eq!(renewed.sub, token.sub);
}

#[tokio::test]
async fn an_old_copy_ends_the_session_and_both_are_told() {
    let server = Server::with_system_clock().await;
    let sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read");
    let copied = sign_in.wallet(wallet()).await.unwrap();
    let mut session = later(&server.issuer, RESOURCE, &copied);
    for _ in 0..2 {
        session.access_token().await.unwrap();
        session = later(&server.issuer, RESOURCE, &session);
    }
    for stale in [later(&server.issuer, RESOURCE, &copied), session] {
        let ended = stale.access_token().await.unwrap_err();
        assert!(matches!(ended, ClientError::SignInRequired), "{ended}");
        assert!(stale.current().refresh_token.is_none());
    }
}

/// Each round is a program that starts anew with what the last one had, three callers at once.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_again_behind_a_lossy_proxy() {
    const SESSIONS: usize = 100;
    const ROUNDS: usize = 4;
    let (listener, url) = LossyProxy::listener().await;
    let resource = "https://escrow.example";
    let server = Server::configured_by_the_system_clock(&format!(
        "issuer = \"{url}\"\n[limits]\nrequests_per_minute = \"off\"\n\
         [[resources]]\nuri = \"{resource}\"\nscopes = [\"read\"]\ndefault_scopes = [\"read\"]\n"
    ))
    .await;
    let proxy = LossyProxy::run(listener, server.base().to_owned(), 7);
    let http = Http::new().unwrap();
    let mut signing_in = JoinSet::new();
    for _ in 0..SESSIONS {
        let sign_in = SignIn::new(&url).resource(resource).http(http.clone());
        signing_in.spawn(async move { sign_in.wallet(wallet()).await.unwrap() });
    }
    let sessions = signing_in.join_all().await;
    proxy.lose(20);
    let places = Arc::new(Semaphore::new(20));
    let mut renewing = JoinSet::new();
    for mut session in sessions {
        let (url, http, places) = (url.clone(), http.clone(), Arc::clone(&places));
        renewing.spawn(async move {
            let _place = places.acquire().await.unwrap();
            for _ in 0..ROUNDS {
                session = renewed(&url, resource, &http, session).await;
            }
            session
        });
    }
    let sessions = renewing.join_all().await;
    proxy.lose(0);
    assert!(proxy.toll.lost.load(Ordering::Relaxed) > SESSIONS / 2, "{:?}", proxy.toll);
    // The newest is the live one, and it still is.
    for session in sessions {
        later(&url, resource, &session).access_token().await.unwrap();
    }
}

async fn renewed(url: &str, resource: &str, http: &Http, session: Session) -> Session {
    let before = refresh_token(&session);
    loop {
        let sign_in = SignIn::new(url).resource(resource).http(http.clone());
        let next = sign_in.resume(aged(&session.current()), Arc::clone(session.signer())).unwrap();
        let (a, b, c) = tokio::join!(next.access_token(), next.access_token(), next.access_token());
        for got in [&a, &b, &c] {
            assert!(!matches!(got, Err(ClientError::SignInRequired)), "forced to sign in again");
        }
        if a.is_ok() {
            assert_ne!(refresh_token(&next), before);
            return next;
        }
    }
}

#[tokio::test]
async fn a_kept_session_is_shared_and_taken_up() {
    let server = Server::with_system_clock().await;
    let folder = tempfile::tempdir().unwrap();
    let store = FileSessionStore::new(folder.path().join("sessions"));
    let store: Arc<dyn SessionStore> = Arc::new(store);
    let name = SessionName::new("demo").unwrap();
    let sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read");
    sign_in.keep_in(Arc::clone(&store), "demo").wallet(wallet()).await.unwrap();
    for round in 0..4 {
        let mut kept = store.load(&name).await.unwrap().unwrap();
        assert!(matches!(kept.key, KeptKey::Session(_)));
        kept.token = aged(&kept.token);
        let before = kept.token.refresh_token.clone();
        store.save(&name, &kept).await.unwrap();
        let mut users = Vec::new();
        for _ in 0..4 {
            let resuming = SignIn::resume_from(Arc::clone(&store), "demo").await.unwrap();
            users.push(resuming.session().unwrap());
        }
        let mut asking = JoinSet::new();
        for user in users {
            asking.spawn(async move { user.access_token().await.unwrap().access_token.clone() });
        }
        let tokens = asking.join_all().await;
        let kept = store.load(&name).await.unwrap().unwrap().token;
        // One renewed, and the others took what it kept.
        assert!(tokens.iter().all(|token| *token == kept.access_token), "round {round}");
        assert_ne!(kept.refresh_token, before);
    }
}

#[tokio::test]
async fn a_log_out_ends_the_session_at_the_issuer() {
    let server = Server::with_system_clock().await;
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn SessionStore> = Arc::new(FileSessionStore::new(folder.path().join("s")));
    let sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read");
    let session = sign_in.keep_in(Arc::clone(&store), "demo").wallet(wallet()).await.unwrap();
    let copy = later(&server.issuer, RESOURCE, &session);
    session.log_out().await.unwrap();
    assert!(store.load(&SessionName::new("demo").unwrap()).await.unwrap().is_none());
    for ended in [session, copy] {
        let told = ended.access_token().await.unwrap_err();
        assert!(matches!(told, ClientError::SignInRequired), "{told}");
    }
}

#[tokio::test]
async fn a_subject_lists_and_ends_its_sessions() {
    let server = Server::with_system_clock().await;
    let bytes = key(Curve::Secp256k1).secret_bytes();
    let sign_in = async |label: &str| {
        let key = InMemorySigner::from_bytes(Curve::Secp256k1, &bytes).unwrap();
        let wallet = Arc::new(InMemoryWallet::ethereum(key, 1).unwrap());
        let sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read").label(label);
        sign_in.wallet(wallet).await.unwrap()
    };
    let (laptop, phone) = (sign_in("laptop").await, sign_in("my phone").await);
    // Somebody else's is nobody's business.
    let stranger = SignIn::new(&server.issuer).resource(RESOURCE).wallet(wallet()).await.unwrap();
    let sessions = laptop.sessions().await.unwrap();
    let mut labels: Vec<_> =
        sessions.iter().map(|one| (one.label.as_deref(), one.current)).collect();
    labels.sort_unstable();
    assert_eq!(labels, [(Some("laptop"), true), (Some("my phone"), false)]);
    for one in &sessions {
        assert_eq!((one.resource.as_str(), one.scope.as_str()), (RESOURCE, "read"));
        assert!(
            one.bound && one.expires_at > one.created_at && one.account.starts_with("eip155:1:")
        );
    }
    let strangers = stranger.current().session_id.clone().unwrap();
    let refused = laptop.end_session(&strangers).await.unwrap_err();
    assert!(refused.to_string().contains("session_unknown"), "{refused}");
    let phones = phone.current().session_id.clone().unwrap();
    laptop.end_session(&phones).await.unwrap();
    assert_eq!(laptop.sessions().await.unwrap().len(), 1);
    let ended = later(&server.issuer, RESOURCE, &phone).access_token().await.unwrap_err();
    assert!(matches!(ended, ClientError::SignInRequired), "{ended}");

    let phone = sign_in("my phone").await;
    phone.end_all().await.unwrap();
    for ended in [&laptop, &phone] {
        let ended = later(&server.issuer, RESOURCE, ended).access_token().await.unwrap_err();
        assert!(matches!(ended, ClientError::SignInRequired), "{ended}");
    }
    assert!(phone.access_token().await.is_err());
    assert_eq!(stranger.sessions().await.unwrap().len(), 1);
}

/// An agent has no session of its own, and its token still shows those of its subject.
#[tokio::test]
async fn an_agent_gives_up_its_token_and_stays_away() {
    let server = Server::with_system_clock().await;
    let sign_in = SignIn::new(&server.issuer).resource(RESOURCE).scope("read");
    let session = sign_in.agent(Arc::new(key(Curve::Ed25519))).await.unwrap();
    assert!(session.sessions().await.unwrap().is_empty());
    let token = (*session.current()).clone();
    let copy = SignIn::new(&server.issuer).resource(RESOURCE);
    let copy = copy.resume(token, Arc::clone(session.signer())).unwrap();
    session.log_out().await.unwrap();
    assert!(matches!(session.access_token().await, Err(ClientError::SignInRequired)));
    // The issuer itself takes it no longer.
    assert!(matches!(copy.sessions().await, Err(ClientError::Refused(_))));
}
