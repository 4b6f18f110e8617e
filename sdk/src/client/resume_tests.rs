//! Kept sessions: kept before they are handed out, and shared by two that renew in turns.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::super::double_issuer::{Fate, Issuer, LIFE};
use super::super::store::StoreLock;
use super::super::{ClientError, FileSessionStore, InMemoryWallet, Token};
use super::*;
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner};

fn key() -> InMemorySigner {
    InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap()
}

/// A place in memory that can fill up.
#[derive(Debug, Default)]
struct Shelf {
    kept: StdMutex<Option<KeptSession>>,
    full: AtomicBool,
}

impl Shelf {
    fn fill(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    fn token(&self) -> Token {
        self.kept.lock().unwrap().clone().unwrap().token
    }
}

#[async_trait]
impl SessionStore for Shelf {
    async fn lock(&self, _: &SessionName) -> Result<StoreLock, StoreError> {
        Ok(StoreLock::new(()))
    }

    async fn load(&self, _: &SessionName) -> Result<Option<KeptSession>, StoreError> {
        Ok(self.kept.lock().unwrap().clone())
    }

    async fn save(&self, _: &SessionName, session: &KeptSession) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Other("full".to_owned()));
        }
        *self.kept.lock().unwrap() = Some(session.clone());
        Ok(())
    }

    async fn remove(&self, _: &SessionName) -> Result<(), StoreError> {
        *self.kept.lock().unwrap() = None;
        Ok(())
    }
}

async fn signed_in(issuer: &Issuer, store: &Arc<dyn SessionStore>) -> Session {
    let wallet = Arc::new(InMemoryWallet::raw(key()).unwrap());
    let sign_in = issuer.sign_in().domain("app.example").label("laptop");
    sign_in.keep_in(Arc::clone(store), "demo").wallet(wallet).await.unwrap()
}

async fn resumed(issuer: &Issuer, store: &Arc<dyn SessionStore>) -> Session {
    let resuming = SignIn::resume_from(Arc::clone(store), "demo").await.unwrap();
    resuming.http(issuer.http()).session().unwrap()
}

async fn text(session: &Session) -> Result<String, ClientError> {
    session.access_token().await.map(|token| token.access_token.expose().to_owned())
}

#[tokio::test]
async fn a_token_is_kept_before_it_is_handed_out() {
    let issuer = Issuer::start().await;
    let shelf = Arc::new(Shelf::default());
    let store: Arc<dyn SessionStore> = Arc::clone(&shelf) as _;
    let session = signed_in(&issuer, &store).await;
    assert_eq!(shelf.token().access_token, session.current().access_token);
    shelf.fill(true);
    issuer.clock.advance(LIFE - 10);
    // Good to its end, and neither kept nor used is what cannot be kept.
    assert_eq!(text(&session).await.unwrap(), "token-1");
    issuer.clock.advance(30);
    for _ in 0..2 {
        assert!(matches!(text(&session).await, Err(ClientError::Store(_))));
        issuer.clock.advance(30);
    }
    assert_eq!(shelf.token().refresh_token.unwrap().expose(), "refresh-10");
    assert_eq!(session.current().access_token.expose(), "token-1");
    shelf.fill(false);
    let next = text(&session).await.unwrap();
    assert_eq!(shelf.token().access_token.expose(), next);
    assert_eq!(shelf.token().refresh_token.unwrap().expose(), "refresh-11");
    assert_eq!(issuer.presented(), [10, 10, 10, 10]);
}

#[tokio::test]
async fn a_session_that_cannot_be_kept_is_not_left_at_the_issuer() {
    let issuer = Issuer::start().await;
    let shelf = Arc::new(Shelf::default());
    let store: Arc<dyn SessionStore> = Arc::clone(&shelf) as _;
    let wallet = Arc::new(InMemoryWallet::raw(key()).unwrap());
    let sign_in = || issuer.sign_in().keep_in(Arc::clone(&store), "demo");
    shelf.fill(true);
    assert!(sign_in().wallet(Arc::clone(&wallet) as _).await.is_err());
    assert_eq!(issuer.books(|books| std::mem::take(&mut books.revoked)), ["refresh-10"]);
    // Nor one that a wallet opened by itself after another; a mere renewal is not given up.
    shelf.fill(false);
    let session = sign_in().wallet(wallet).await.unwrap();
    shelf.fill(true);
    let ended = Fate::Refused("invalid_grant", Some("session_ended"));
    issuer.books(|books| books.fates.extend([Fate::Whole, ended]));
    issuer.clock.advance(LIFE);
    assert!(matches!(text(&session).await, Err(ClientError::Store(_))));
    assert!(issuer.books(|books| books.revoked.is_empty()));
    issuer.clock.advance(30);
    assert!(matches!(text(&session).await, Err(ClientError::Store(_))));
    assert_eq!(issuer.books(|books| books.revoked.clone()), ["refresh-31"]);
    assert_eq!(shelf.token().refresh_token.unwrap().expose(), "refresh-20");
}

#[tokio::test]
async fn a_place_that_fails_is_told_of_before_anybody_signs() {
    #[derive(Debug)]
    struct Locked;

    #[async_trait]
    impl SessionStore for Locked {
        async fn lock(&self, name: &SessionName) -> Result<StoreLock, StoreError> {
            Err(StoreError::Busy(name.to_string()))
        }
        async fn load(&self, _: &SessionName) -> Result<Option<KeptSession>, StoreError> {
            Ok(None)
        }
        async fn save(&self, _: &SessionName, _: &KeptSession) -> Result<(), StoreError> {
            Ok(())
        }
        async fn remove(&self, _: &SessionName) -> Result<(), StoreError> {
            Ok(())
        }
    }
    let issuer = Issuer::start().await;
    for name in ["demo", "../demo"] {
        let sign_in = issuer.sign_in().keep_in(Arc::new(Locked), name);
        let refused = sign_in.agent(Arc::new(key())).await;
        assert!(matches!(refused, Err(ClientError::Store(_))), "{refused:?}");
    }
    assert_eq!(issuer.books(|books| books.opened), 0);
}

#[tokio::test]
async fn a_session_is_taken_up_where_it_was_left() {
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn SessionStore> = Arc::new(FileSessionStore::new(folder.path().join("s")));
    let first = signed_in(&issuer, &store).await;
    let second = resumed(&issuer, &store).await;
    assert_eq!(second.signer().public_key(), first.signer().public_key());
    assert_eq!(second.resource(), first.resource());
    issuer.clock.advance(LIFE);
    assert_eq!(text(&second).await.unwrap(), "token-2");
    let third = resumed(&issuer, &store).await;
    assert_eq!(text(&third).await.unwrap(), "token-2");
    let kept = SignIn::resume_from(store, "demo").await.unwrap().kept().clone();
    assert_eq!(kept.domain.as_deref(), Some("app.example"));
    assert_eq!(kept.label.as_deref(), Some("laptop"));
    assert_eq!(issuer.presented(), [10]);
}

/// Several sessions on one folder, as several processes would be: each has its own file handles.
#[tokio::test]
async fn those_who_share_a_place_never_present_an_old_token() {
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn SessionStore> = Arc::new(FileSessionStore::new(folder.path().join("s")));
    let mut sessions = vec![signed_in(&issuer, &store).await];
    for _ in 0..3 {
        sessions.push(resumed(&issuer, &store).await);
    }
    for round in 0..12 {
        issuer.clock.advance(LIFE + 40);
        // The line is bad now and then.
        let fate = if round % 3 == 1 { Fate::Lost } else { Fate::Whole };
        issuer.books(|books| books.fates.push_back(fate));
        // Some sleep through rounds, and wake up generations later.
        let awake = sessions.iter().enumerate().filter(|(n, _)| round % (n + 1) == 0);
        let calls: Vec<_> = awake
            .map(|(_, session)| {
                let session = session.clone();
                tokio::spawn(async move { text(&session).await })
            })
            .collect();
        for call in calls {
            let got = call.await.unwrap();
            assert!(!matches!(got, Err(ClientError::SignInRequired)), "{round}");
        }
    }
    assert!(!issuer.books(|books| books.ended));
    assert!(issuer.presented().is_sorted() && issuer.presented().len() >= 12);
    // One renewal for all who woke up at once: twelve rounds, and a lost answer's second try.
    assert!(issuer.presented().len() <= 16, "{:?}", issuer.presented());
}

#[tokio::test]
async fn what_was_removed_or_replaced_elsewhere_is_not_brought_back() {
    for replaced in [false, true] {
        let issuer = Issuer::start().await;
        let shelf = Arc::new(Shelf::default());
        let store: Arc<dyn SessionStore> = Arc::clone(&shelf) as _;
        let session = signed_in(&issuer, &store).await;
        *shelf.kept.lock().unwrap() = None;
        if replaced {
            signed_in(&issuer, &store).await;
        }
        issuer.clock.advance(LIFE);
        for _ in 0..2 {
            assert!(matches!(text(&session).await, Err(ClientError::SignInRequired)));
        }
        assert_eq!(shelf.kept.lock().unwrap().is_some(), replaced);
        assert!(issuer.presented().is_empty());
    }
}

#[tokio::test]
async fn an_end_is_kept_too_and_a_wallet_that_is_brought_signs_again() {
    for with_wallet in [false, true] {
        let issuer = Issuer::start().await;
        let shelf = Arc::new(Shelf::default());
        let store: Arc<dyn SessionStore> = Arc::clone(&shelf) as _;
        let wallet = Arc::new(InMemoryWallet::raw(key()).unwrap());
        let sign_in = issuer.sign_in().keep_in(Arc::clone(&store), "demo");
        sign_in.wallet(Arc::clone(&wallet) as _).await.unwrap();
        let mut resuming = SignIn::resume_from(store, "demo").await.unwrap().http(issuer.http());
        if with_wallet {
            resuming = resuming.wallet(wallet);
        }
        let session = resuming.session().unwrap();
        let ended = Fate::Refused("invalid_grant", Some("session_ended"));
        issuer.books(|books| books.fates.push_back(ended));
        issuer.clock.advance(LIFE);
        match text(&session).await {
            Ok(next) => assert!(with_wallet && shelf.token().access_token.expose() == next),
            Err(error) => {
                assert!(!with_wallet && matches!(error, ClientError::SignInRequired), "{error}");
                assert!(shelf.token().refresh_token.is_none());
            }
        }
        assert_eq!(shelf.token().refresh_token.is_some(), with_wallet);
    }
}

#[tokio::test]
async fn an_agent_brings_its_own_key_and_it_is_not_written() {
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file_store = FileSessionStore::new(folder.path().join("s"));
    let store: Arc<dyn SessionStore> = Arc::new(file_store.clone());
    let own = key();
    let again = || InMemorySigner::from_bytes(Curve::Ed25519, &own.secret_bytes()).unwrap();
    let sign_in = issuer.sign_in().keep_in(Arc::clone(&store), "demo").key_reference("/a.pem");
    sign_in.agent(Arc::new(again())).await.unwrap();
    let path = file_store.path_of(&SessionName::new("demo").unwrap());
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written.contains("/a.pem") && !written.contains("PRIVATE KEY"), "{written}");
    let resuming = || SignIn::resume_from(Arc::clone(&store), "demo");
    let KeptKey::Agent(place) = resuming().await.unwrap().kept().key.clone() else { panic!() };
    assert_eq!(place, "/a.pem");
    assert!(resuming().await.unwrap().session().is_err());
    let other = resuming().await.unwrap().with_key(Arc::new(key()));
    assert!(matches!(other, Err(ClientError::Request(_))));
    let session = resuming().await.unwrap().http(issuer.http()).with_key(Arc::new(again()));
    assert!(text(&session.unwrap()).await.is_ok());
    let absent = SignIn::resume_from(store, "nobody").await;
    assert!(matches!(absent, Err(ClientError::Store(StoreError::Absent(_)))));
}
