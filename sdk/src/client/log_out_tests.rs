//! The end of a session: confirmed by the issuer first, and nothing comes after.

use std::sync::Arc;

use super::super::double_issuer::{Issuer, LIFE, field};
use super::super::{FileSessionStore, InMemoryWallet, SessionName, SessionStore, SignIn};
use super::*;
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner};

fn key() -> Arc<InMemorySigner> {
    Arc::new(InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap())
}

struct Desk {
    issuer: Issuer,
    store: FileSessionStore,
    session: Session,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn start() -> Self {
        let issuer = Issuer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let store = FileSessionStore::new(folder.path().join("s"));
        let key = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
        let wallet = Arc::new(InMemoryWallet::raw(key).unwrap());
        let sign_in = issuer.sign_in().keep_in(Arc::new(store.clone()), "demo");
        let session = sign_in.wallet(wallet).await.unwrap();
        Self { issuer, store, session, _folder: folder }
    }

    fn is_kept(&self) -> bool {
        self.store.path_of(&SessionName::new("demo").unwrap()).exists()
    }

    fn revoked(&self) -> Vec<String> {
        self.issuer.books(|books| books.revoked.clone())
    }

    /// Whether there is a token now, and once this one has ended.
    async fn is_open(&self) -> bool {
        let now = self.session.access_token().await;
        let later = self.is_renewed().await;
        assert_eq!(now.is_ok(), later);
        later
    }

    async fn is_renewed(&self) -> bool {
        self.issuer.clock.advance(LIFE);
        match self.session.access_token().await {
            Ok(_) => true,
            Err(error) => {
                assert!(matches!(error, ClientError::SignInRequired), "{error}");
                false
            }
        }
    }
}

#[tokio::test]
async fn the_issuer_is_told_first() {
    let desk = Desk::start().await;
    desk.issuer.books(|books| books.out_of_order = true);
    for _ in 0..2 {
        assert!(desk.session.log_out().await.is_err());
        assert!(desk.is_kept() && desk.is_open().await);
    }
    desk.issuer.books(|books| books.out_of_order = false);
    desk.session.log_out().await.unwrap();
    assert_eq!(desk.revoked(), ["refresh-12"]);
    let hint =
        field(desk.issuer.double.received("POST /revoke").last().unwrap(), "token_type_hint");
    assert_eq!(hint, "refresh_token");
    assert!(!desk.is_kept() && !desk.is_open().await);
    assert_eq!(desk.issuer.books(|books| books.opened), 1);
    // Once is enough.
    desk.session.log_out().await.unwrap();
    assert_eq!(desk.revoked().len(), 1);
}

#[tokio::test]
async fn forgetting_is_local() {
    let desk = Desk::start().await;
    desk.issuer.books(|books| books.out_of_order = true);
    desk.session.forget().await.unwrap();
    assert!(!desk.is_kept() && !desk.is_open().await);
    assert!(desk.issuer.double.received("POST /revoke").is_empty());
}

#[tokio::test]
async fn the_newest_token_is_given_up_and_only_ones_own_is_removed() {
    let desk = Desk::start().await;
    let store: Arc<dyn SessionStore> = Arc::new(desk.store.clone());
    // Somebody else renewed it.
    let resuming = SignIn::resume_from(Arc::clone(&store), "demo").await.unwrap();
    let other = resuming.http(desk.issuer.http()).session().unwrap();
    desk.issuer.clock.advance(LIFE);
    other.access_token().await.unwrap();
    desk.session.log_out().await.unwrap();
    assert_eq!((desk.revoked(), desk.is_kept()), (vec!["refresh-11".to_owned()], false));
    // Somebody signed in anew under the name.
    desk.issuer.sign_in().keep_in(store, "demo").agent(key()).await.unwrap();
    other.log_out().await.unwrap();
    assert_eq!((desk.revoked().len(), desk.is_kept()), (2, true));
}

#[tokio::test]
async fn a_kept_session_is_logged_out_without_its_key() {
    let desk = Desk::start().await;
    let store: Arc<dyn SessionStore> = Arc::new(desk.store.clone());
    let resuming = || SignIn::resume_from(Arc::clone(&store), "demo");
    desk.issuer.books(|books| books.out_of_order = true);
    assert!(resuming().await.unwrap().log_out().await.is_err());
    assert!(desk.is_kept());
    desk.issuer.books(|books| books.out_of_order = false);
    resuming().await.unwrap().log_out().await.unwrap();
    assert_eq!((desk.revoked(), desk.is_kept()), (vec!["refresh-10".to_owned()], false));
    // The session that was taken up before learns of it when it renews.
    assert!(!desk.is_renewed().await);
}

#[tokio::test]
async fn an_agent_does_not_come_back_by_itself() {
    let issuer = Issuer::start().await;
    let double_token = issuer.first_token();
    let token = Token { refresh_token: None, session_id: None, ..double_token };
    let session = issuer.sign_in().resume_agent(token, key()).unwrap();
    session.log_out().await.unwrap();
    assert_eq!(issuer.books(|books| books.revoked.clone()), ["token-0"]);
    assert!(matches!(session.access_token().await, Err(ClientError::SignInRequired)));
    assert_eq!(issuer.books(|books| books.opened), 0);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let desk = Desk::start().await;
    let sessions = desk.session.sessions().await.unwrap();
    assert_eq!(sessions.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["s0", "s9"]);
    assert_eq!(sessions[0].label.as_deref(), Some("my laptop"));
    assert_eq!(sessions[0].last_used_at.since(sessions[0].created_at), 1);
    desk.session.end_session("s9").await.unwrap();
    assert!(desk.is_kept() && desk.is_open().await);
    let unknown = desk.session.end_session("s8").await.unwrap_err();
    assert!(unknown.to_string().contains("session_unknown"), "{unknown}");
    for id in ["", "..", "a/b", "s9?x"] {
        assert!(matches!(desk.session.end_session(id).await, Err(ClientError::Request(_))));
    }
    desk.issuer.books(|books| books.out_of_order = true);
    assert!(matches!(desk.session.sessions().await, Err(ClientError::Protocol { .. })));
}

#[tokio::test]
async fn whoever_ends_its_own_session_is_logged_out() {
    for all in [true, false] {
        let desk = Desk::start().await;
        let session = &desk.session;
        if all {
            session.end_all().await.unwrap();
        } else {
            let token = Token { session_id: Some("s0".to_owned()), ..(*session.current()).clone() };
            session.0.put(token);
            session.end_session("s0").await.unwrap();
        }
        assert!(!desk.is_kept() && !desk.is_open().await);
        assert_eq!(desk.issuer.double.received("DELETE /sessions").len(), 1);
    }
}
