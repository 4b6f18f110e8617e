//! Every published case, accept and reject, through the same functions that the server runs on.

use std::path::PathBuf;

use countersign::vectors::{Report, judge};

fn judge_folder(folder: &str) -> std::io::Result<Report> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    judge(&[root.join(folder)])
}

/// The counts are exact, so that neither a lost case nor one that is passed over goes unnoticed.
#[test]
fn published_cases_are_answered_as_they_expect() {
    for (folder, passed, skipped) in [
        ("bip137-acken2", 44, 0),
        // Skipped: a script that several keys sign.
        ("bip322-bips", 16, 1),
        ("bip340-bips", 19, 0),
        ("caip122", 3, 0),
        ("didkey-w3c-ccg", 22, 0),
        ("ed25519-cctv", 914, 0),
        // Skipped: RSA, P-384 and their like, of which we have none.
        ("generated", 262, 7),
        // Skipped: TON's `signData`, which is not served.
        ("intents-near", 3, 2),
        // Skipped: RSA, MACs, P-521 and encryption.
        ("jose-wycheproof", 63, 447),
        ("lnurl-luds", 1, 0),
        // Skipped: RSA and MACs.
        ("rfc", 20, 4),
        ("sep53-stellar", 4, 0),
        ("siwe-spruceid", 68, 0),
        ("siwe-supabase", 38, 0),
        ("siws-supabase", 35, 0),
        ("siws-wallet-standard", 6, 0),
    ] {
        let report = judge_folder(folder).unwrap();
        assert!(report.failed.is_empty(), "{report}");
        assert!(report.skipped_files.is_empty(), "{report}");
        assert_eq!((report.passed, report.skipped), (passed, skipped), "{folder}");
    }
}

/// A runner that answers `accept` or `reject` to everything would pass the half of any table.
#[test]
fn turned_expectations_are_noticed() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/generated");
    for (file, judged) in [
        ("siwe.json", 21),
        ("siws.json", 17),
        ("did-key.json", 18),
        ("dpop.json", 33),
        ("bip322.json", 15),
        ("bip137.json", 13),
        ("bip340.json", 9),
        ("sui.json", 16),
        ("aptos.json", 18),
        ("nep413.json", 12),
        ("sep53.json", 8),
        ("sep10.json", 6),
        ("lnurl-auth.json", 10),
        ("ton-proof.json", 14),
        ("adr36.json", 10),
        ("tron.json", 7),
        ("nostr.json", 13),
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let turned = text
            .replace("\"expect\": \"accept\"", "\"expect\": \"turned\"")
            .replace("\"expect\": \"reject\"", "\"expect\": \"accept\"")
            .replace("\"expect\": \"turned\"", "\"expect\": \"reject\"");
        assert_ne!(text, turned);
        let mut report = Report::default();
        countersign::vectors::judge_document(file, turned.as_bytes(), &mut report);
        assert_eq!((report.passed, report.failed.len()), (0, judged), "{report}");
    }
}

#[test]
fn what_is_of_no_format_is_skipped_by_its_file() {
    let mut report = Report::default();
    let judge = countersign::vectors::judge_document;
    judge("a", b"not json", &mut report);
    judge(
        "b",
        br#"{"format": "BIP-9999", "cases": [{"id": "x", "message": "m"}, {}]}"#,
        &mut report,
    );
    judge("c", br#"{"cases": []}"#, &mut report);
    judge("d", br"{}", &mut report);
    assert_eq!(report.skipped_files, ["a", "b", "c", "d"]);
    assert!(report.to_string().ends_with("\n0 passed, 0 failed, 4 skipped"));
}

/// The layout of Wycheproof for the curves, for which no file stands here.
#[test]
fn wycheproof_groups_of_our_curves_are_judged() {
    let ed25519 = r#"{"type": "EddsaVerify", "publicKey": {"pk": "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
        "tests": [
        {"tcId": 1, "msg": "72", "result": "valid", "sig": "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"tcId": 2, "msg": "73", "result": "invalid", "sig": "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"tcId": 3, "msg": "72", "result": "acceptable", "sig": ""}]}"#;
    let mut groups = vec![ed25519.to_owned()];
    let key = "04389bcaf1209569b0ff75156b625f19ef2430702edf7317f674a124d554277e53df47454f8c406657bb7291815a54f502040e0b5c106db0837f540d8ec93b9544";
    let message = hex::encode("countersign raw key challenge A 8c14df5d58df41f7");
    let r = "ee21d92e82f262a8a5a3fae354863084b3f985d25ef943fd04b7a5cfa70d30e5";
    let low = "22f7ba9f2f51cc368d80d03f3c1b6a862a97842a3aba90852caf9308a65ef0a9";
    let high = "dd084560d0ae33c9727f2fc0c3e49578901758bc748e0fb69322cb8429d75098";
    let der_low = format!("3045022100{r}0220{low}");
    let der_high = format!("3046022100{r}022100{high}");
    for (kind, low, high, of_high) in [
        ("EcdsaP1363Verify", format!("{r}{low}"), format!("{r}{high}"), "valid"),
        ("EcdsaVerify", der_low.clone(), der_high.clone(), "valid"),
        ("EcdsaBitcoinVerify", der_low, der_high, "invalid"),
    ] {
        let test = |id, signature, result| {
            format!(r#"{{"tcId":{id},"msg":"{message}","sig":"{signature}","result":"{result}"}}"#)
        };
        let tests = [test(1, low.as_str(), "valid"), test(2, &high, of_high)];
        groups.push(format!(
            r#"{{"type":"{kind}","sha":"SHA-256","publicKey":{{"curve":"secp256k1","uncompressed":"{key}"}},"tests":[{}]}}"#,
            tests.join(",")
        ));
    }
    groups.push(r#"{"type":"EcdsaVerify","sha":"SHA-512","publicKey":{"curve":"secp256k1"},"tests":[{"tcId":1}]}"#.to_owned());
    let document = format!(r#"{{"testGroups": [{}]}}"#, groups.join(","));
    let mut report = Report::default();
    countersign::vectors::judge_document("w", document.as_bytes(), &mut report);
    let counts = (report.passed, report.failed.len(), report.skipped);
    assert_eq!(counts, (9, 0, 1), "{report}");
}
