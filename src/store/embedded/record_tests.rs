//! Records come back as they were written, and nothing else is read as one.

use proptest::prelude::*;

use super::*;

fn moment() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_unix)
}

fn thumbprint() -> impl Strategy<Value = Option<Thumbprint>> {
    any::<Option<[u8; 32]>>().prop_map(|bytes| bytes.map(Thumbprint::from_bytes))
}

prop_compose! {
    fn sessions()(
        id in any::<[u8; 16]>(),
        (account, in_subject) in (".{0,60}", any::<bool>()),
        (client_id, method, resource, scope) in (".{0,40}", "[a-z]{1,5}", ".{0,40}", ".{0,90}"),
        (proven, bound_to) in (thumbprint(), thumbprint()),
        (proven_did, label) in (any::<Option<String>>(), any::<Option<String>>()),
        (created_at, ends_at, last_used_at, rotated_at) in (moment(), moment(), moment(), moment()),
        generation in any::<u32>(),
        contract in any::<Option<([u8; 32], Vec<u8>)>>(),
    ) -> Session {
        let subject = match in_subject {
            true => format!("{PKH}{account}"),
            false => "did:key:z6Mk".to_owned(),
        };
        let contract = contract.map(|(digest, signature)| ContractProof { digest, signature });
        Session {
            id: SessionId::from_bytes(id), subject, account, client_id, method, proven, proven_did, contract, bound_to,
            resource, scope, label, created_at, ends_at,
            usage: Usage { generation, rotated_at, last_used_at },
        }
    }
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        any::<String>().prop_map(Target::Token),
        any::<String>().prop_map(Target::Subject),
        any::<[u8; 16]>().prop_map(|id| Target::Session(SessionId::from_bytes(id))),
        any::<[u8; 32]>().prop_map(|jkt| Target::Key(Thumbprint::from_bytes(jkt))),
        Just(Target::Everything),
    ]
}

proptest! {
    #[test]
    fn a_session_comes_back(written in sessions()) {
        let record = of_session(&written);
        prop_assert_eq!(usage(&record), Ok(written.usage));
        prop_assert_eq!(session(written.id, &record), Ok(written));
    }

    #[test]
    fn a_revocation_comes_back(
        target in targets(),
        not_before in proptest::option::of((1..u64::MAX).prop_map(Timestamp::from_unix)),
        until in moment(),
    ) {
        let written = Entry { target, not_before, until };
        prop_assert_eq!(entry(&of_entry(&written)), Ok(written));
    }

    /// What is read at all is written as the same bytes: there is one record for each value.
    #[test]
    fn bytes_are_read_as_what_they_are_or_not_at_all(
        written in sessions(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut record = of_session(&written);
        prop_assert_eq!(session(written.id, &record[..cut.index(record.len())]), Err(Unreadable));
        let longer = [&record[..], &[byte]].concat();
        prop_assert_eq!(session(written.id, &longer), Err(Unreadable));
        let at = at.index(record.len());
        record[at] = byte;
        if let Ok(read) = session(written.id, &record) {
            prop_assert_eq!(of_session(&read), record);
        }
    }
}

#[test]
fn a_later_version_and_an_oversized_record_are_unreadable() {
    let written =
        Entry { target: Target::Everything, not_before: None, until: Timestamp::from_unix(1) };
    let mut record = of_entry(&written);
    record[0] = VERSION + 1;
    assert_eq!(entry(&record), Err(Unreadable));
    let long = Entry { target: Target::Subject("a".repeat(LONGEST)), ..written };
    assert_eq!(entry(&of_entry(&long)), Err(Unreadable));
}
