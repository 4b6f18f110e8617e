//! Operators in whole configurations: who is taken for one, and who cannot be.

use super::*;
use crate::model::operator::AdminScope;

const OPERATOR: &str = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";

fn operator(account: &str, scopes: &str) -> String {
    format!("[[operators]]\naccount = \"{account}\"\nscopes = [{scopes}]\n")
}

#[test]
fn operators_are_read_with_their_care() {
    let more = operator(OPERATOR, "\"admin:read\", \"admin:keys\"")
        + &operator("eip155:137:0x83ED1217E2047918Cfc85810e165B6133612987b", "\"admin:keys\"")
        + "[admin]\napprovals = 2\nstep_up = 60\n";
    let settings = loaded(&format!("{LEAST}{more}"), &[], Flags::default()).unwrap();
    assert_eq!(settings.care, Care { approvals: 2, approval_window: 600, step_up: 60 });
    let subjects: Vec<&str> = settings.operators.iter().map(|one| &*one.subject).collect();
    let wallet = "did:pkh:eip155:1:0x83ED1217E2047918Cfc85810e165B6133612987b";
    assert_eq!(subjects, [OPERATOR, wallet]);
    assert_eq!(settings.operators[0].scopes, [AdminScope::Read, AdminScope::Keys]);
}

#[test]
fn operators_who_are_nobody_or_nowhere_are_refused() {
    let one = operator(OPERATOR, "\"admin:keys\"");
    let fault = |more: &str, flags: Flags| {
        loaded(&format!("{LEAST}{more}"), &[], flags).map(|_| ()).unwrap_err().join("\n")
    };
    for (more, problem) in [
        (one.clone() + &one, "operators[1].account = \"did:key:z6Mkha"),
        (operator(OPERATOR, ""), "leaves an operator who may do nothing"),
        (operator(OPERATOR, "\"admin:*\""), "is not one of the choices"),
        (operator("alice", "\"admin:keys\""), "operators[0].account = \"alice\": is no account"),
        ("[[operators]]\n".to_owned(), "operators[0].account: is required"),
        (one.clone() + "password = \"x\"\n", "operators[0].password: is not a known key"),
        (one.clone() + "[admin]\napprovals = 2\n", "can never be met: 1 operators have admin:keys"),
        (operator("near:mainnet:alice.near", "\"admin:keys\""), "it is a name, whose keys"),
        (
            one.clone()
                + "[[resources]]\nuri = \"https://auth.example/\"\nscopes = [\"admin:keys\"]\n",
            "is the issuer itself, whose tokens are for its operators",
        ),
    ] {
        let faults = fault(&more, Flags::default());
        assert!(faults.contains(problem), "{problem}: {faults}");
    }
    let text = format!("operators = 1\n{LEAST}");
    let faults = loaded(&text, &[], Flags::default()).unwrap_err().join("\n");
    assert!(faults.contains("must be a list of tables, each written [[operators]]"), "{faults}");
    let off = Flags { operations_listen: Some("off".to_owned()), ..Flags::default() };
    assert!(fault(&one, off).contains("is off, and [[operators]] call there"));
    let wide = || Flags { operations_listen: Some("0.0.0.0:8701".to_owned()), ..Flags::default() };
    assert!(fault(&one, wide()).contains("operations_url: is required"));
    let named = format!("operations_url = \"https://ops.example\"\n{LEAST}{one}");
    let settings = loaded(&named, &[], wide()).unwrap();
    assert_eq!(settings.operations_url.as_deref(), Some("https://ops.example"));
    let variable = [("COUNTERSIGN_OPERATORS", "did:key:z")];
    let faults = loaded(LEAST, &variable, Flags::default()).unwrap_err();
    assert!(faults[0].ends_with("operators are written in the configuration file"), "{faults:?}");
}

/// One key under two names would be two persons where two are asked for.
#[test]
fn one_key_is_one_operator() {
    use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
    let key = InMemorySigner::generate(Curve::Secp256k1, &countersign_sdk::entropy::OsEntropy);
    let key = key.unwrap().public_key().clone();
    let did = key.to_did_key().unwrap();
    let mut names = crate::wallet::registry::subjects_of_key(&key);
    let wallet = names.find(|name| name.starts_with("did:pkh:eip155:")).unwrap();
    let wallet = wallet.strip_prefix("did:pkh:").unwrap();
    for (first, second) in [(&*did, wallet), (wallet, &*did)] {
        let more = operator(first, "\"admin:keys\"") + &operator(second, "\"admin:keys\"");
        let faults = loaded(&format!("{LEAST}{more}"), &[], Flags::default()).unwrap_err();
        assert!(faults[0].contains("is the same key as operators["), "{faults:?}");
    }
}
