//! Sign-in texts and ReCaps: what is read is one thing, and is written again as it was.

use countersign::wallet::caip122::{self, Fields, Order, PROFILES, Profile, UnverifiedMessage};
use countersign::wallet::recap::Grant;
use countersign::wallet::registry::{self, FORMATS};

use crate::cut::Cut;

/// Reads any text as each profile and as each format.
///
/// With a first byte below 32 the text gets the header of one of the profiles put before it, so
/// that mutations reach the lines below the first.
pub fn caip122(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let headed;
    let text = match text.as_bytes().first() {
        Some(first @ 0..=31) if *first != b'\n' => {
            let profile = PROFILES[usize::from(*first) % PROFILES.len()];
            headed = format!("app.example{}\n{}", profile.header, &text[1..]);
            headed.as_str()
        }
        _ => text,
    };
    let mut readings = 0;
    for profile in PROFILES {
        if let Ok(message) = caip122::parse(profile, text) {
            readings += 1;
            check_reading(profile, text, &message);
        }
    }
    // The profiles' first lines differ, so no text is of two namespaces.
    assert!(readings <= 1, "a text was read as two formats");
    for format in FORMATS {
        if let Ok(message) = format.read(text) {
            let by_text = registry::by_text(text).expect("a known first line");
            assert!(std::ptr::eq(by_text.profile(), format.profile()));
            check_account(*format, &message);
        }
    }
}

fn check_reading(profile: &'static Profile, text: &str, message: &UnverifiedMessage<'_>) {
    assert_eq!(message.text(), text);
    assert!(message.is_of(profile));
    assert!(text.len() <= caip122::MAX_MESSAGE);
    assert!(message.resources().len() <= caip122::MAX_RESOURCES);
    let fields = message.fields();
    match (message.around_nonce(), fields.nonce) {
        (Some((before, after)), Some(nonce)) => {
            assert_eq!(format!("{before}{nonce}{after}"), text);
            assert!(before.ends_with("\nNonce: "));
            assert!(after.is_empty() || after.starts_with('\n'));
            assert!(nonce.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
        (None, None) => {}
        (around, nonce) => panic!("{nonce:?} and {around:?}"),
    }
    for resource in message.resources() {
        assert!(caip122::is_uri(resource));
        let _ = Grant::from_uri(resource);
    }
    for field in profile.required {
        assert!(text.contains(&format!("\n{}", field.tag())), "{field:?}");
    }
    check_rewriting(profile, text, fields);
}

/// The values written again read the same; where order is fixed, they give the very text.
fn check_rewriting(profile: &'static Profile, text: &str, fields: &Fields<'_>) {
    let written = caip122::render(profile, fields).expect("what was read can be written");
    let again = caip122::parse(profile, &written).expect("what was written can be read");
    assert_eq!(again.fields(), fields);
    match profile.order {
        Order::Listed => assert_eq!(written, text),
        // The lines are the same ones.
        Order::Any => {
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
                lines.sort_unstable();
                lines
            };
            assert_eq!(sorted(&written), sorted(text));
        }
    }
}

fn check_account(
    format: &dyn countersign::wallet::format::WalletFormat,
    message: &UnverifiedMessage<'_>,
) {
    let Ok(account) = format.accounts().account_of(message) else {
        return;
    };
    // A named account is not yet a provable one: a Solana address may be no point of the curve.
    if let Ok(canonical) = format.accounts().canonical_account(&account) {
        assert_eq!(canonical, account, "a text named an account in two spellings");
    }
    assert!(format.accounts().namespaces().contains(&account.namespace()));
    let subject = format.accounts().subject_of(&account).expect("its own account");
    assert!(subject.starts_with("did:"));
    let spelling = format.accounts().spelling(&account).expect("its own account");
    assert_eq!(spelling.address, message.fields().address);
}

/// Reads any ReCap, as it stands or as the JSON within; and scopes into one.
pub fn recap(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(Ok(grant)) = Grant::from_uri(text) {
        check_grant(text, &grant);
    }
    let wrapped = format!("urn:recap:{}", encode(text));
    if let Some(Ok(grant)) = Grant::from_uri(&wrapped) {
        check_grant(&wrapped, &grant);
        // An independent reading of the same JSON says the same.
        let json: serde_json::Value = serde_json::from_str(text).expect("a ReCap is JSON");
        let abilities = json["att"][grant.resource()].as_object().expect("one resource");
        assert_eq!(json["att"].as_object().map(serde_json::Map::len), Some(1));
        assert_eq!(abilities.len(), grant.scopes().iter().count());
    }
    let mut cut = Cut(data);
    let (resource, scopes, statement) = (cut.text(), cut.text(), cut.text());
    let Ok(scopes) = scopes.parse() else {
        return;
    };
    if let Ok(grant) = Grant::new(&resource, &scopes) {
        check_grant(&grant.to_uri(), &grant);
        if grant.is_stated_by(&statement) {
            assert!(statement.ends_with(&grant.sentence()));
        }
    }
}

fn check_grant(uri: &str, grant: &Grant) {
    assert_eq!(grant.to_uri(), uri, "a ReCap has one spelling");
    assert_eq!(Grant::from_uri(uri), Some(Ok(grant.clone())));
    let sentence = grant.sentence();
    assert!(grant.is_stated_by(&sentence));
    assert!(grant.is_stated_by(&format!("Hello. {sentence}")));
    assert!(!grant.is_stated_by(&format!("{sentence} {sentence}")));
    assert!(!sentence.contains('\n'));
}

fn encode(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}
