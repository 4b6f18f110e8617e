//! The rules of the ring, at every second of long lives: one active key, published in time, withdrawn in time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use countersign_sdk::entropy::{Entropy, OsEntropy};
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner, Signer as _};
use countersign_sdk::time::Timestamp;
use proptest::prelude::*;

use super::plan::{Policy, plan};
use super::ring::{LINGER, State};
use super::*;

pub(super) const START: Timestamp = Timestamp::from_unix(1_800_000_000);
pub(super) const DAY: u64 = 86_400;
pub(super) const BEFORE: u64 = 900;

pub(super) const POLICY: Policy =
    Policy { algorithm: Algorithm::EdDsa, rotate_every: 30 * DAY, publish_before: BEFORE };

pub(super) fn open(now: Timestamp, policy: Policy) -> Arc<Keyring> {
    Keyring::in_memory(policy, now, &OsEntropy).unwrap()
}

pub(super) fn change(
    keyring: &Arc<Keyring>,
    operation: Operation,
    now: Timestamp,
) -> Result<(Vec<Happening>, Option<String>), KeyringError> {
    let (draft, _spares) = drafted(keyring, &operation, now)?;
    let happened = draft.events().iter().map(|event| event.happening).collect();
    Ok((happened, draft.commit()?.subject))
}

/// A change with what it needs, as the server drafts it.
pub(super) fn drafted(
    keyring: &Arc<Keyring>,
    operation: &Operation,
    now: Timestamp,
) -> Result<(Draft, Spares), KeyringError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut spares = Spares::of(keyring);
    loop {
        let turn = runtime.block_on(keyring.turn());
        match Draft::of(keyring, turn, operation, now, &OsEntropy, &spares) {
            Err(KeyringError::NoSpare) => spares.make(operation, &OsEntropy)?,
            draft => return Ok((draft?, spares)),
        }
    }
}

fn states(keyring: &Keyring, now: Timestamp) -> Vec<State> {
    let ring = keyring.ring();
    ring.entries.iter().map(|entry| ring.state(entry, now)).collect()
}

/// What must hold at every second, whatever was done.
#[track_caller]
pub(super) fn sound(keyring: &Keyring, now: Timestamp) {
    let ring = keyring.ring();
    let active: Vec<_> =
        ring.entries.iter().filter(|e| ring.state(e, now) == State::Active).collect();
    assert_eq!(active.len(), 1, "at {now}: {:?}", states(keyring, now));
    let view = keyring.view(now);
    assert_eq!(view.active().kid(), active[0].kid);
    assert!(view.kids().contains(&active[0].kid), "what signs is published");
    for entry in &ring.entries {
        let shown = view.kids().contains(&entry.kid);
        assert_eq!(shown, ring.published(now).any(|one| one.kid == entry.kid), "at {now}");
        assert!(!shown || entry.revoked_at.is_none(), "a revoked key is not published");
    }
}

#[test]
fn a_new_ring_has_one_that_signs_and_one_that_stands_by() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let keyring = open(START, Policy { algorithm, ..POLICY });
        assert_eq!(states(&keyring, START), [State::Active, State::Next]);
        assert!(keyring.is_new());
        let ring = keyring.ring();
        let next = ring.entries[1].signs_from.since(START);
        assert!((27 * DAY..=30 * DAY).contains(&next), "{next}");
        assert!(ring.entries.iter().all(|entry| entry.algorithm() == algorithm));
        assert_eq!(plan(&ring, START, keyring.policy()), None);
    }
}

#[test]
fn time_alone_rotates_and_every_token_outlives_its_key() {
    let keyring = open(START, POLICY);
    let first = keyring.active(START).kid().to_owned();
    let change_at = keyring.ring().entries[1].signs_from;
    // Nobody tends it: the change comes all the same, at its second.
    assert_eq!(keyring.active(change_at.minus(1)).kid(), first);
    let second = keyring.active(change_at).kid().to_owned();
    assert_ne!(first, second);
    assert_eq!(states(&keyring, change_at), [State::Retiring, State::Active]);
    let until = change_at.plus(LINGER);
    assert_eq!(states(&keyring, until.minus(1)), [State::Retiring, State::Active]);
    assert_eq!(states(&keyring, until), [State::Retired, State::Active]);
    assert!(!keyring.view(until).kids().contains(&first));
    assert!(keyring.view(until.minus(1)).kids().contains(&first));
    // And back, as a clock that is set back goes.
    assert_eq!(keyring.active(START).kid(), first);
    assert_eq!(keyring.active(START.minus(DAY)).kid(), first, "before anybody's time");
}

#[test]
fn a_year_tended_by_the_minute() {
    let keyring = open(START, Policy { rotate_every: DAY, ..POLICY });
    let (mut signed, mut published): (HashMap<String, (u64, u64)>, HashMap<String, u64>) =
        (HashMap::new(), HashMap::new());
    let mut gone = HashSet::new();
    for minute in 0..60 * 24 * 20 {
        let now = START.plus(minute * 60);
        change(&keyring, Operation::Tend, now).unwrap();
        sound(&keyring, now);
        let view = keyring.view(now);
        for kid in view.kids() {
            published.entry(kid.clone()).or_insert(now.as_unix());
            assert!(!gone.contains(kid), "what is withdrawn does not come back");
        }
        let active = view.active().kid().to_owned();
        let span = signed.entry(active).or_insert((now.as_unix(), 0));
        span.1 = now.as_unix();
        for (kid, (_, last)) in &signed {
            if !view.kids().contains(kid) {
                assert!(now.as_unix() >= last + 900 + 120, "withdrawn before its last token ended");
                gone.insert(kid.clone());
            }
        }
        let nexts = keyring.ring().nexts(now).len();
        assert!((1..=2).contains(&nexts), "{nexts} stand by");
    }
    assert!((20..=23).contains(&signed.len()), "{} keys in 20 days", signed.len());
    for (kid, (first, _)) in &signed {
        let since = first - published[kid];
        assert!(since >= BEFORE || *first == START.as_unix(), "{kid} signed after {since} s");
    }
    let handles = keyring.ring().entries.iter().filter(|entry| entry.handle.is_some()).count();
    assert!(handles <= 4, "keys that are over are let go: {handles}");
}

#[test]
fn a_rotation_on_demand_waits_until_every_cache_knows_the_key() {
    let keyring = open(START, POLICY);
    let (before, now) = (keyring.active(START).kid().to_owned(), START.plus(10));
    let (happened, kid) = change(&keyring, Operation::Rotate, now).unwrap();
    assert_eq!(happened, [Happening::Created], "its successor");
    let next = kid.unwrap();
    assert_eq!(keyring.ring().find(&next).unwrap().signs_from, START.plus(BEFORE));
    assert_eq!(keyring.active(START.plus(BEFORE - 1)).kid(), before);
    assert_eq!(keyring.active(START.plus(BEFORE)).kid(), next);
    // Asked again meanwhile, nothing more happens.
    let again = change(&keyring, Operation::Rotate, now.plus(5)).unwrap();
    assert_eq!(again, (vec![], Some(next.clone())));
    // The one after it has been known for long when it is asked for.
    let later = START.plus(2 * BEFORE);
    let (happened, third) = change(&keyring, Operation::Rotate, later).unwrap();
    let third = third.unwrap();
    assert_eq!(keyring.active(later).kid(), third);
    assert_ne!(third, next);
    assert!(happened.contains(&Happening::Activated) && happened.contains(&Happening::Retired));
    sound(&keyring, later);
}

/// A key that was brought in later than its successor, began to sign and was revoked, all in one second.
#[test]
fn who_follows_a_key_of_one_second_stays_for_its_last_token() {
    let keyring = open(START, POLICY);
    let imported = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
    let (_, kid) = change(&keyring, Operation::Import(Box::new(imported)), START).unwrap();
    let (kid, now) = (kid.unwrap(), START.plus(BEFORE));
    change(&keyring, Operation::Rotate, now).unwrap();
    assert_eq!(keyring.active(now).kid(), kid);
    change(&keyring, Operation::Revoke(kid), now).unwrap();
    let successor = keyring.active(now).kid().to_owned();
    let (_, next) = change(&keyring, Operation::Rotate, now).unwrap();
    let at = keyring.ring().find(&next.unwrap()).unwrap().signs_from;
    assert_eq!(keyring.active(at.minus(1)).kid(), successor);
    let last = at.plus(LINGER).minus(1);
    assert!(keyring.view(last).kids().contains(&successor));
    assert!(!keyring.view(last.plus(1)).kids().contains(&successor));
}

#[test]
fn a_revoked_key_is_gone_and_its_successor_is_known_already() {
    let keyring = open(START, POLICY);
    let now = START.plus(DAY);
    let active = keyring.active(now).kid().to_owned();
    let standby = keyring.ring().nexts(now)[0].kid.clone();
    let changes = keyring.withdrawals();
    let (happened, _) = change(&keyring, Operation::Revoke(active.clone()), now).unwrap();
    assert_eq!(happened[0], Happening::Revoked);
    assert_eq!(keyring.active(now).kid(), standby);
    assert!(!keyring.view(now).kids().contains(&active));
    assert!(changes.has_changed().unwrap());
    let ring = keyring.ring();
    let entry = ring.find(&active).unwrap();
    assert!(entry.handle.is_none() && !entry.is_told);
    assert_eq!(ring.nexts(now).len(), 0, "nobody waited for another");
    sound(&keyring, now);
    assert_eq!(change(&keyring, Operation::Tend, now).unwrap().0, [Happening::Created]);
    assert_eq!(keyring.ring().nexts(now).len(), 1, "another stands by");
    // Not even a clock that is set back brings it back.
    assert_eq!(keyring.active(START).kid(), standby);
    change(&keyring, Operation::Told(vec![active.clone()]), now).unwrap();
    assert!(keyring.ring().find(&active).unwrap().is_told);
    // Again: no harm, and nothing happens.
    assert_eq!(change(&keyring, Operation::Revoke(active.clone()), now).unwrap().0, []);
    let refused = change(&keyring, Operation::Retire(active), now).unwrap_err();
    assert!(matches!(refused, KeyringError::Revoked));
    let unknown = change(&keyring, Operation::Revoke("x".to_owned()), now).unwrap_err();
    assert!(matches!(unknown, KeyringError::Unknown));
}

#[test]
fn all_of_them_revoked_leaves_a_new_one_that_was_in_no_file() {
    let keyring = open(START, POLICY);
    let now = START.plus(DAY);
    let old: HashSet<String> =
        keyring.ring().entries.iter().map(|entry| entry.kid.clone()).collect();
    change(&keyring, Operation::RevokeAll, now).unwrap();
    let kids = keyring.view(now).kids().to_vec();
    assert_eq!(kids.len(), 1);
    assert!(kids.iter().all(|kid| !old.contains(kid)));
    sound(&keyring, now);
}

#[test]
fn a_key_that_stands_by_is_retired_at_once_and_replaced() {
    let keyring = open(START, POLICY);
    let now = START.plus(5);
    let next = keyring.ring().nexts(now)[0].kid.clone();
    let (happened, _) = change(&keyring, Operation::Retire(next.clone()), now).unwrap();
    assert_eq!(happened, [Happening::Withdrawn, Happening::Created]);
    assert!(!keyring.view(now).kids().contains(&next));
    assert_eq!(states(&keyring, now), [State::Active, State::Retired, State::Next]);
    // A year later it is still one that never signed.
    let ring = keyring.ring();
    assert_eq!(ring.signs_until(&ring.entries[0]), Some(ring.entries[2].signs_from));
    sound(&keyring, now);
}

#[test]
fn another_algorithm_takes_over_as_soon_as_its_key_is_known() {
    let entries = open(START, POLICY).ring().entries.clone();
    // The same ring under a configuration that has changed.
    let policy = Policy { algorithm: Algorithm::Es256, ..POLICY };
    let now = START.plus(DAY);
    let due = plan(&Ring { entries }, now, &policy);
    assert_eq!(due, Some(plan::Due::Next { signs_from: now.plus(BEFORE), jitter: 0 }));
}

#[test]
fn a_key_from_elsewhere_becomes_the_next() {
    let keyring = open(START, POLICY);
    let now = START.plus(DAY);
    let standby = keyring.ring().nexts(now)[0].kid.clone();
    let own = || InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
    let key = own();
    let kid = key.public_key().thumbprint().to_string();
    let copy = || {
        let key = InMemorySigner::from_bytes(Curve::Ed25519, &key.secret_bytes()).unwrap();
        Operation::Import(Box::new(key))
    };
    let (happened, subject) = change(&keyring, copy(), now).unwrap();
    assert_eq!((happened, subject), (vec![Happening::Imported], Some(kid.clone())));
    let order: Vec<String> =
        keyring.ring().nexts(now).iter().map(|entry| entry.kid.clone()).collect();
    assert_eq!(order, [kid.clone(), standby]);
    let known = change(&keyring, copy(), now).unwrap_err();
    assert!(matches!(known, KeyringError::Known));
    let other = InMemorySigner::generate(Curve::P256, &OsEntropy).unwrap();
    let other = change(&keyring, Operation::Import(Box::new(other)), now).unwrap_err();
    assert!(matches!(other, KeyringError::Algorithm { .. }));
    for _ in 0..2 {
        change(&keyring, Operation::Import(Box::new(own())), now).unwrap();
    }
    let full = change(&keyring, Operation::Import(Box::new(own())), now).unwrap_err();
    assert!(matches!(full, KeyringError::TooMany));
    sound(&keyring, now);
}

#[test]
fn a_shorter_life_in_the_configuration_moves_the_next_time_closer() {
    let ring = open(START, Policy { rotate_every: 365 * DAY, ..POLICY }).ring();
    let due = plan(&ring, START.plus(DAY), &POLICY);
    let expected = START.plus(30 * DAY);
    let kid = ring.entries[1].kid.clone();
    assert_eq!(due, Some(plan::Due::Reschedule { kid, signs_from: expected }));
}

/// Gives no randomness.
#[derive(Debug)]
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), countersign_sdk::entropy::EntropyError> {
        Err(countersign_sdk::entropy::EntropyError)
    }
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let keyring = open(START, POLICY);
    let before = keyring.ring();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let turn = runtime.block_on(keyring.turn());
    let (mut spares, later) = (Spares::of(&keyring), START.plus(DAY));
    let failed = Draft::of(&keyring, turn, &Operation::Generate, later, &Dry, &spares);
    assert!(matches!(failed, Err(KeyringError::NoSpare)));
    let failed = spares.make(&Operation::Generate, &Dry);
    assert!(matches!(failed, Err(KeyringError::Custody(_))));
    assert_eq!(keyring.ring().entries, before.entries);
    sound(&keyring, START.plus(DAY));
}

#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    Tend,
    Rotate,
    Retire(usize),
    Revoke(usize),
    RevokeAll,
    Import,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1u64..4_000).prop_map(Act::Wait),
        1 => (1u64..90 * DAY).prop_map(Act::Wait),
        6 => Just(Act::Tend),
        3 => Just(Act::Rotate),
        1 => (0usize..6).prop_map(Act::Retire),
        1 => (0usize..6).prop_map(Act::Revoke),
        1 => Just(Act::RevokeAll),
        1 => Just(Act::Import),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is done in whatever order: one active key at every second, none that signs before every
    /// cache knows it unless the one before was revoked, and none gone before its last token.
    #[test]
    fn nothing_that_anybody_does_breaks_the_rules(acts in prop::collection::vec(act(), 1..40)) {
        let keyring = open(START, Policy { rotate_every: 2 * DAY, ..POLICY });
        let mut now = START;
        let mut last_signed: HashMap<String, Timestamp> = HashMap::new();
        let mut excused: HashSet<String> =
            HashSet::from([keyring.active(now).kid().to_owned()]);
        for act in acts {
            let kid = |place: usize| {
                let entries = &keyring.ring().entries;
                entries[entries.len().saturating_sub(1 + place % entries.len())].kid.clone()
            };
            let revokes = matches!(act, Act::Revoke(_) | Act::RevokeAll);
            let done = match act {
                Act::Wait(seconds) => {
                    // Second by second around every change, so that none is stepped over.
                    let to = now.plus(seconds);
                    while let Some(change) = keyring.ring().next_change(now).filter(|c| *c <= to) {
                        sound(&keyring, change.minus(1));
                        last_signed.insert(
                            keyring.active(change.minus(1)).kid().to_owned(), change.minus(1));
                        now = change;
                        sound(&keyring, now);
                        last_signed.insert(keyring.active(now).kid().to_owned(), now);
                        for (kid, last) in &last_signed {
                            let shown = keyring.view(now).kids().contains(kid);
                            let revoked = keyring.ring().find(kid).is_some_and(|e| e.revoked_at.is_some());
                            prop_assert!(shown || revoked || now.since(*last) >= 1020, "{kid} went early");
                        }
                    }
                    now = to;
                    Ok(())
                }
                Act::Tend => change(&keyring, Operation::Tend, now).map(drop),
                Act::Rotate => change(&keyring, Operation::Rotate, now).map(drop),
                Act::Retire(place) => change(&keyring, Operation::Retire(kid(place)), now).map(drop),
                Act::Revoke(place) => change(&keyring, Operation::Revoke(kid(place)), now).map(drop),
                Act::RevokeAll => change(&keyring, Operation::RevokeAll, now).map(drop),
                Act::Import => {
                    let key = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
                    change(&keyring, Operation::Import(Box::new(key)), now).map(drop)
                }
            };
            let expected = matches!(
                done,
                Ok(()) | Err(KeyringError::Revoked | KeyringError::TooMany | KeyringError::Unknown)
            );
            prop_assert!(expected, "{done:?}");
            sound(&keyring, now);
            let active = keyring.active(now).kid().to_owned();
            if revokes {
                excused.insert(active.clone());
            }
            let ring = keyring.ring();
            let entry = ring.find(&active).unwrap();
            let known_for = entry.signs_from.since(entry.published_at);
            prop_assert!(known_for >= BEFORE || excused.contains(&active), "known for {known_for} s");
            last_signed.insert(active, now);
        }
    }
}
