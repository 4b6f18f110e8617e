//! What is written of keys that were revoked, and of keys whose clock was wrong.

use super::ring::State;
use super::ring_tests::{BEFORE, DAY, POLICY, START, change, open, sound};
use super::*;

#[test]
fn only_what_the_feed_was_told_counts_as_told() {
    let keyring = open(START, POLICY);
    let now = START.plus(DAY);
    let first = keyring.active(now).kid().to_owned();
    change(&keyring, Operation::Revoke(first.clone()), now).unwrap();
    // Revoked while the feed is being told of the first.
    let second = keyring.active(now.plus(1)).kid().to_owned();
    change(&keyring, Operation::Revoke(second.clone()), now.plus(1)).unwrap();
    change(&keyring, Operation::Told(vec![first.clone()]), now.plus(1)).unwrap();
    let ring = keyring.ring();
    assert!(ring.find(&first).unwrap().is_told);
    assert!(!ring.find(&second).unwrap().is_told);
}

#[test]
fn a_key_that_was_withdrawn_long_ago_takes_nobodys_token_with_it() {
    let keyring = open(START, POLICY);
    let first = keyring.active(START).kid().to_owned();
    let now = START.plus(60 * DAY);
    change(&keyring, Operation::Tend, now).unwrap();
    assert!(keyring.ring().find(&first).unwrap().withdrawn_at.is_some());
    change(&keyring, Operation::Revoke(first.clone()), now).unwrap();
    let ring = keyring.ring();
    assert_eq!(ring.state(ring.find(&first).unwrap(), now), State::Revoked);
    assert!(ring.find(&first).unwrap().is_told, "there is nothing left to void");
}

#[test]
fn a_clock_that_was_ahead_for_a_moment_stops_no_rotation() {
    let keyring = open(START, POLICY);
    change(&keyring, Operation::Tend, START.plus(400 * DAY)).unwrap();
    // Back to the right time.
    let now = START.plus(60);
    change(&keyring, Operation::Tend, now).unwrap();
    sound(&keyring, now);
    let ring = keyring.ring();
    assert!(ring.entries.iter().all(|entry| entry.is_over() || entry.published_at <= now));
    let leaked = keyring.active(now).kid().to_owned();
    // On demand as soon as every cache knows the key, and by itself when its time has come.
    let (_, next) = change(&keyring, Operation::Rotate, now).unwrap();
    let soon = now.plus(BEFORE);
    assert_eq!(keyring.active(soon).kid(), next.unwrap());
    change(&keyring, Operation::Tend, soon).unwrap();
    sound(&keyring, soon);
    let ring = keyring.ring();
    assert_eq!(ring.state(ring.find(&leaked).unwrap(), soon), State::Retiring);
    let later = soon.plus(31 * DAY);
    let old_time = START.plus(31 * DAY);
    assert_ne!(keyring.active(old_time).kid(), leaked, "it does not come back as its time comes");
    assert_ne!(keyring.active(later).kid(), keyring.active(soon).kid());
    // What signed meanwhile is void when its key is revoked, whatever its times say.
    change(&keyring, Operation::Revoke(leaked.clone()), soon).unwrap();
    assert!(!keyring.ring().find(&leaked).unwrap().is_told);
}
