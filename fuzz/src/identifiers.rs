//! Accounts and target URIs: one spelling, or a normal form that stays as it is.

use countersign::wallet::registry;
use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::proof::target_uri::TargetUri;

use crate::cut::Cut;

/// CAIP-10 and `did:key`.
pub fn account(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(chain) = text.parse::<ChainId>() {
        assert_eq!(chain.to_string(), text);
    }
    let Ok(account) = text.parse::<Account>() else {
        return;
    };
    assert_eq!(account.to_string(), text);
    assert_eq!(account.to_string().parse(), Ok(account.clone()));
    assert!(account.to_did().starts_with("did:"));
    let Some(format) = registry::by_account(&account) else {
        return;
    };
    let Ok(canonical) = format.accounts().canonical_account(&account) else {
        return;
    };
    assert_eq!(format.accounts().canonical_account(&canonical), Ok(canonical.clone()));
    let spelling = format.accounts().spelling(&canonical).expect("its own account");
    assert!(!spelling.address.contains('\n'));
    let subject = format.accounts().subject_of(&canonical).expect("its own account");
    assert!(subject.starts_with("did:"));
}

/// `htu`: normalising twice changes nothing, and a target is named by itself.
pub fn target_uri(data: &[u8]) {
    let mut cut = Cut(data);
    let (uri, path) = (cut.text(), cut.text());
    let Ok(target) = TargetUri::parse(&uri) else {
        return;
    };
    assert!(target.is_named_by(&uri));
    check(&target);
    // What a server builds of its base and a request's path is what a client's proof is read as.
    if path.starts_with('/')
        && !path.contains(['?', '#'])
        && let Ok(joined) = TargetUri::at(&target, &path)
    {
        check(&joined);
    }
}

fn check(target: &TargetUri) {
    let text = target.as_str();
    assert!(target.is_named_by(text));
    assert!(text.starts_with("http://") || text.starts_with("https://"));
    assert!(!text.contains(['?', '#', '\\', ' ']), "{text}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
    // Percent-encoding may have made it longer than what is read.
    if text.len() <= 4096 {
        let again = TargetUri::parse(text).expect("a normal form is a URI");
        assert_eq!(again, *target, "normalising twice changes nothing");
    }
}
