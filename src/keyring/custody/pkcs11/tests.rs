//! The custody in a real module: SoftHSM, in a process of its own, since its folder is told by the environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_sdk::client::private_file;
use countersign_sdk::entropy::OsEntropy;
use cryptoki::object::AttributeInfo;

use super::super::contract::{entry, passes};
use super::token::{CALLS_FOR_FEED, MOST_CALLS};
use super::*;
use crate::keyring::slots::Purpose;

const PIN: &str = "1234";
const TOKEN: &str = "countersign";

/// Where distributions put the library.
fn module() -> Option<PathBuf> {
    let folders =
        ["/usr/lib/softhsm", "/usr/lib64/softhsm", "/usr/lib64/pkcs11", "/usr/local/lib/softhsm"];
    folders.iter().map(|folder| Path::new(folder).join("libsofthsm2.so")).find(|path| path.exists())
}

/// Runs the named test of this file where a new token is.
fn in_a_process_with_a_token(test: &str) {
    if std::env::var_os("COUNTERSIGN_WITHOUT_SOFTHSM").is_some() {
        return;
    }
    assert!(module().is_some(), "install softhsm2, or set COUNTERSIGN_WITHOUT_SOFTHSM");
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let conf = folder.path().join("softhsm2.conf");
    fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    for (name, pin) in [("pin", PIN), ("wrong", "9999")] {
        private_file::write_new(&folder.path().join(name), pin).unwrap();
    }
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "5678"])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let name = format!("keyring::custody::pkcs11::tests::inside::{test}");
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", &conf)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && told.contains("1 passed"), "{told}{done:?}");
}

#[test]
fn passes_the_contract() {
    in_a_process_with_a_token("passes_the_contract");
}

#[test]
fn the_private_half_never_leaves_the_module() {
    in_a_process_with_a_token("the_private_half_never_leaves_the_module");
}

#[test]
fn a_module_that_was_away_is_back_by_itself() {
    in_a_process_with_a_token("a_module_that_was_away_is_back_by_itself");
}

#[test]
fn more_signatures_than_places_are_all_made() {
    in_a_process_with_a_token("more_signatures_than_places_are_all_made");
}

#[test]
fn a_wrong_pin_is_tried_once() {
    in_a_process_with_a_token("a_wrong_pin_is_tried_once");
}

/// What runs beside a token, in the folder that has it.
mod inside {
    use super::*;

    fn custody(pin: &str) -> Pkcs11 {
        let pin_file = std::env::current_dir().unwrap().join(pin);
        let login = TokenLogin { token: TOKEN.to_owned(), pin_file };
        Pkcs11::load(&module().unwrap(), login).unwrap()
    }

    #[test]
    #[ignore = "is run by its namesake, in a process with a token"]
    fn passes_the_contract() {
        passes(&custody("pin"), true);
        let signer = InMemorySigner::generate(Curve::P256, &OsEntropy).unwrap();
        let imported = custody("pin").import(&signer, &OsEntropy);
        assert!(matches!(imported, Err(CustodyError::Unsupported(_))));
    }

    #[test]
    #[ignore = "is run by its namesake, in a process with a token"]
    fn the_private_half_never_leaves_the_module() {
        let custody = custody("pin");
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            let made = custody.generate(algorithm, &OsEntropy).unwrap();
            let id = hex::decode(&made.handle).unwrap();
            let told = custody.0.with(Work::Other, |open| {
                let key = Token::find(open, &id)?;
                let told = open.session.get_attribute_info(key, &[AttributeType::Value]).unwrap();
                Ok((told, open.session.get_attributes(key, &[AttributeType::Value])))
            });
            let (info, value) = told.unwrap();
            assert!(matches!(info[..], [AttributeInfo::Sensitive]), "{info:?}");
            assert!(!matches!(value, Ok(ref all) if !all.is_empty()), "{value:?}");
        }
    }

    #[test]
    #[ignore = "is run by its namesake, in a process with a token"]
    fn a_module_that_was_away_is_back_by_itself() {
        let custody = custody("pin");
        let made = custody.generate(Algorithm::EdDsa, &OsEntropy).unwrap();
        let key = custody.open(&entry(&made), &made.handle).unwrap();
        assert!(key.is_ready() && key.sign(b"one").is_ok());
        // What it refuses beside signatures says nothing of those.
        let refused = custody.0.with(Work::Other, |_| Err::<(), _>("not allowed".to_owned()));
        assert!(refused.is_err() && key.is_ready());
        // The login is gone, as after a restart of the device.
        custody
            .0
            .with(Work::Other, |open| open.session.logout().map_err(|error| error.to_string()))
            .unwrap();
        assert!(key.sign(b"two").is_ok(), "opened again at once");
        fs::rename("tokens", "away").unwrap();
        custody.0.idle().clear();
        assert!(key.sign(b"three").is_err());
        assert!(!key.is_ready());
        let opened = custody.open(&entry(&made), &made.handle).unwrap();
        assert!(!opened.is_proven() && opened.sign(b"four").is_err(), "a start meanwhile");
        fs::rename("away", "tokens").unwrap();
        key.warm_up();
        assert_eq!(key.sign(b"five").err(), None);
        assert!(key.is_ready());
        let opened = custody.open(&entry(&made), &made.handle).unwrap();
        assert!(opened.is_proven() && opened.sign(b"six").is_ok());
        // An entry that names what the token does not have is none that waits for the module.
        let forged = custody.open(&entry(&made), &hex::encode([7; 16]));
        assert!(matches!(forged, Err(CustodyError::Handle(_))), "{forged:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "is run by its namesake, in a process with a token"]
    async fn more_signatures_than_places_are_all_made() {
        let custody = custody("pin");
        let made = custody.generate(Algorithm::EdDsa, &OsEntropy).unwrap();
        let key = Arc::new(custody.open(&entry(&made), &made.handle).unwrap());
        // The feed has taken all that it may.
        let mut feed = Vec::new();
        for _ in 0..CALLS_FOR_FEED {
            feed.push(key.reserve(Purpose::Feed).await.unwrap());
        }
        let tokens: Vec<_> = (0..3 * MOST_CALLS)
            .map(|_| {
                let key = Arc::clone(&key);
                tokio::spawn(async move {
                    let _place = key.reserve(Purpose::Token).await?;
                    key.sign(b"one")
                })
            })
            .collect();
        for token in tokens {
            assert_eq!(token.await.unwrap().err(), None);
        }
        drop(feed);
        // One that no place was taken for waits for its turn as well.
        let calls: Vec<_> = (0..MOST_CALLS).map(|_| custody.0.calls.begin().unwrap()).collect();
        let signing = tokio::spawn(async move { key.sign(b"two") });
        drop(calls);
        assert_eq!(signing.await.unwrap().err(), None);
    }

    #[test]
    #[ignore = "is run by its namesake, in a process with a token"]
    fn a_wrong_pin_is_tried_once() {
        let custody = custody("wrong");
        let first = custody.generate(Algorithm::EdDsa, &OsEntropy).unwrap_err().to_string();
        assert!(!first.contains("9999"), "{first}");
        let second = custody.generate(Algorithm::EdDsa, &OsEntropy).unwrap_err().to_string();
        assert!(second.contains("is not tried again"), "{second}");
        let none = TokenLogin { token: "other".to_owned(), pin_file: PathBuf::from("pin") };
        let none = Pkcs11::load(&module().unwrap(), none).unwrap();
        let told = none.generate(Algorithm::EdDsa, &OsEntropy).unwrap_err().to_string();
        assert!(told.contains("there is no token other"), "{told}");
        let missing = TokenLogin { token: TOKEN.to_owned(), pin_file: PathBuf::from("missing") };
        assert!(Pkcs11::load(Path::new("/missing.so"), missing).is_err());
    }
}
