//! Requests that wait: who counts, once, within its time, and no more of them than may.

use std::sync::Arc;

use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_000_000);
const WINDOW: u64 = 600;

fn key() -> Option<Thumbprint> {
    let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
    Some(signer.public_key().thumbprint())
}

fn voice(name: &str) -> Voice {
    Voice::for_tests(name, [key(), key()], NOW)
}

fn asked(
    approvals: &Approvals,
    operation: Operation,
    by: &Voice,
    takes: usize,
    now: Timestamp,
) -> Result<Waiting, Refusal> {
    let id = approvals.reserve(&operation, by, (takes, WINDOW), now, &OsEntropy)?;
    approvals.confirm(id, by, now)
}

fn ask(approvals: &Approvals, by: &Voice, takes: usize, now: Timestamp) -> ApprovalId {
    let operation = Operation::Revoke(key().unwrap());
    asked(approvals, operation, by, takes, now).unwrap().id.parse().unwrap()
}

fn reason<T: fmt::Debug>(result: Result<T, Refusal>) -> Reason {
    result.unwrap_err().reason()
}

/// A session that ended otherwise than by a revocation is noted for as long as a token of it could live.
#[test]
fn nothing_waits_longer_than_it_is_known_who_counts() {
    let (approvals, operation) = (Approvals::default(), Operation::Rotate);
    let old = Voice::for_tests("alice", [key(), key()], NOW.minus(299));
    let id = approvals.reserve(&operation, &old, (3, 900), NOW, &OsEntropy).unwrap();
    let waiting = approvals.confirm(id, &old, NOW).unwrap();
    assert_eq!(waiting.expires_at, NOW.minus(299).plus(1020).to_string());
    let older = Voice::for_tests("bob", [key(), key()], NOW.minus(600));
    let Ok(Approved::StillWaits(waiting)) = approvals.approve(id, &older, NOW) else { panic!() };
    assert_eq!(waiting.expires_at, NOW.plus(420).to_string());
    assert_eq!(approvals.list(NOW.plus(420)).len(), 0);
}

#[test]
fn it_takes_as_many_as_it_takes_and_runs_what_was_asked_for() {
    let approvals = Approvals::default();
    let (alice, bob, carol) = (voice("alice"), voice("bob"), voice("carol"));
    let kid = key().unwrap();
    let asked = asked(&approvals, Operation::Revoke(kid), &alice, 3, NOW).unwrap();
    assert_eq!((asked.needed, asked.operation.kid.clone()), (2, Some(kid.to_string())));
    let id: ApprovalId = asked.id.parse().unwrap();
    let Ok(Approved::StillWaits(waiting)) = approvals.approve(id, &bob, NOW) else { panic!() };
    assert_eq!((waiting.needed, waiting.approved_by), (1, vec!["bob".to_owned()]));
    assert_eq!(reason(approvals.approve(id, &bob, NOW)), Reason::ApprovalNotDistinct);
    let Ok(Approved::Complete(operation, voices)) = approvals.approve(id, &carol, NOW) else {
        panic!()
    };
    assert_eq!((operation, voices.len()), (Operation::Revoke(kid), 3));
    assert_eq!(reason(approvals.approve(id, &voice("dave"), NOW)), Reason::ApprovalUnknown);
    assert!(approvals.list(NOW).is_empty());
}

#[test]
fn one_person_is_one_voice_under_whatever_account_and_key() {
    let approvals = Approvals::default();
    let (session, proven) = (key(), key());
    let alice = Voice::for_tests("alice", [session, proven], NOW);
    let id = ask(&approvals, &alice, 2, NOW);
    for (name, keys) in [
        ("alice", [session, proven]),
        ("alice", [key(), key()]),
        ("bob", [key(), proven]),
        ("bob", [session, key()]),
        // The key that signed requests for one was proven for the other, and the other way round.
        ("bob", [proven, None]),
        ("bob", [key(), session]),
    ] {
        let twin = Voice::for_tests(name, keys, NOW);
        assert_eq!(reason(approvals.look(id, &twin, NOW)), Reason::ApprovalNotDistinct, "{name}");
        assert_eq!(reason(approvals.approve(id, &twin, NOW)), Reason::ApprovalNotDistinct);
    }
    // Accounts without a key of their own have none in common.
    let contract = Voice::for_tests("contract", [key(), None], NOW);
    assert!(contract.is_distinct_from(&Voice::for_tests("other", [key(), None], NOW)));
    assert_eq!(approvals.list(NOW)[0].needed, 1);
    assert!(matches!(approvals.approve(id, &contract, NOW), Ok(Approved::Complete(..))));
}

#[test]
fn what_is_not_on_record_has_a_place_and_is_not_there() {
    let approvals = Approvals::default();
    let (alice, bob) = (voice("alice"), voice("bob"));
    let reserve = |by: &Voice| {
        approvals.reserve(&Operation::Rotate, by, (2, WINDOW), NOW, &OsEntropy).unwrap()
    };
    let id = reserve(&alice);
    // Whoever asks for the same at the same time gets the same name.
    assert_eq!(reserve(&alice), id);
    assert!(approvals.list(NOW).is_empty());
    assert_eq!(reason(approvals.look(id, &bob, NOW)), Reason::ApprovalUnknown);
    assert_eq!(reason(approvals.approve(id, &bob, NOW)), Reason::ApprovalUnknown);
    approvals.give_back(id, NOW);
    assert_eq!(reason(approvals.confirm(id, &alice, NOW)), Reason::ApprovalUnknown);
    let id = reserve(&alice);
    approvals.confirm(id, &alice, NOW).unwrap();
    approvals.give_back(id, NOW);
    assert_eq!(approvals.list(NOW).len(), 1, "what is on record stays");
}

#[test]
fn its_time_passes() {
    let approvals = Approvals::default();
    let id = ask(&approvals, &voice("alice"), 2, NOW);
    assert!(approvals.look(id, &voice("bob"), NOW.plus(WINDOW - 1)).is_ok());
    let late = approvals.approve(id, &voice("bob"), NOW.plus(WINDOW));
    assert_eq!(reason(late), Reason::ApprovalUnknown);
    let id = ask(&approvals, &voice("alice"), 2, NOW);
    assert!(approvals.withdraw(id, NOW).is_ok());
    assert_eq!(reason(approvals.withdraw(id, NOW)), Reason::ApprovalUnknown);
    assert_eq!(reason(approvals.approve(id, &voice("bob"), NOW)), Reason::ApprovalUnknown);
}

#[test]
fn asking_again_is_the_same_request_and_others_are_bounded() {
    let approvals = Approvals::default();
    let rotate =
        |by: &Voice| asked(&approvals, Operation::Rotate, by, 2, NOW).map(|asked| asked.id);
    let alice = voice("alice");
    assert_eq!(rotate(&alice).unwrap(), rotate(&alice).unwrap());
    assert_ne!(rotate(&alice).unwrap(), rotate(&voice("bob")).unwrap());
    for _ in 1..MOST_OF_ONE {
        ask(&approvals, &alice, 2, NOW);
    }
    let one_more = asked(&approvals, Operation::Retire(key().unwrap()), &alice, 2, NOW);
    assert_eq!(reason(one_more), Reason::ApprovalsFull);
    let others = MOST - approvals.list(NOW).len();
    for number in 0..others {
        ask(&approvals, &voice(&format!("operator {number}")), 2, NOW);
    }
    assert_eq!(reason(rotate(&voice("last"))), Reason::ApprovalsFull);
    assert!(rotate(&alice).is_ok(), "what waits is found again");
    // Time makes room.
    ask(&approvals, &voice("last"), 2, NOW.plus(WINDOW));
}

#[test]
fn of_many_approvals_at_once_one_runs_it() {
    for _ in 0..20 {
        let approvals = Arc::new(Approvals::default());
        let id = ask(&approvals, &voice("alice"), 2, NOW);
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let approvals = Arc::clone(&approvals);
                std::thread::spawn(move || {
                    let by = voice(&format!("operator {number}"));
                    matches!(approvals.approve(id, &by, NOW), Ok(Approved::Complete(..)))
                })
            })
            .collect();
        let ran = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(ran.filter(|ran| *ran).count(), 1);
    }
}
