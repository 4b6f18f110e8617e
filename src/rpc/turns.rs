//! A message may be refused by its account's chain three times, and has it asked a few times more where it was not refused.
//!
//! Whoever holds a challenge of ours may send wrong signatures with it, and for a contract's account each
//! is a question to every node. So questions are counted by the message, for as long as it
//! could be used. A silence does not count as a refusal, nor does a yes: what comes after one can still
//! fail here, as when the store is away. So owners need not sign again for a fault that is not theirs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use countersign_sdk::proof::replay::ReplayKey;
use countersign_sdk::time::Timestamp;

/// How often a chain may refuse one message.
const REFUSALS: u8 = 3;

/// How often it may stay silent, or say yes to what is then not used up.
const OTHERS: u8 = 9;

/// How many messages are counted at once for a chain; beyond, no new one is asked about.
const MOST: usize = 65_536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turns {
    refusals: u8,
    others: u8,
    until: Timestamp,
}

/// How often each message had the nodes of a chain asked.
#[derive(Debug, Default)]
pub(super) struct Counted(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    messages: HashMap<ReplayKey, Turns>,
    /// When it was last looked through for what has ended.
    swept: Timestamp,
}

/// Why a question is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// The message had its questions.
    Spent,
    /// Too many messages are counted.
    Full,
}

impl Counted {
    /// Takes a turn of the message, which is forgotten after `until`. It counts as a refusal until more is known.
    pub(super) fn take(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), NoTurn> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { messages, swept } = &mut *table;
        if messages.len() >= MOST && !messages.contains_key(&key) {
            // Nothing ends within a second, and all of them are looked at.
            if *swept != now {
                *swept = now;
                messages.retain(|_, turns| turns.until > now);
            }
            if messages.len() >= MOST {
                return Err(NoTurn::Full);
            }
        }
        let turns = messages.entry(key).or_insert(Turns { refusals: 0, others: 0, until });
        if turns.refusals >= REFUSALS || turns.others >= OTHERS {
            return Err(NoTurn::Spent);
        }
        turns.refusals += 1;
        Ok(())
    }

    /// Counts the last turn as a silence or a yes.
    pub(super) fn was_no_refusal(&self, key: ReplayKey) {
        self.take_back(key, 1);
    }

    /// Gives the last turn back: no node was asked.
    pub(super) fn was_not_asked(&self, key: ReplayKey) {
        self.take_back(key, 0);
    }

    fn take_back(&self, key: ReplayKey, others: u8) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = table.messages.get_mut(&key) {
            turns.refusals = turns.refusals.saturating_sub(1);
            turns.others = turns.others.saturating_add(others);
            if (turns.refusals, turns.others) == (0, 0) {
                table.messages.remove(&key);
            }
        }
    }

    /// How many messages are counted.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).messages.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix(second)
    }

    fn key(name: u32) -> ReplayKey {
        ReplayKey::of_bytes("turns", &name.to_be_bytes())
    }

    #[test]
    fn three_refusals_or_nine_times_anything_else() {
        let counted = Counted::default();
        for _ in 0..3 {
            assert_eq!(counted.take(key(1), at(300), at(1)), Ok(()));
        }
        assert_eq!(counted.take(key(1), at(300), at(1)), Err(NoTurn::Spent));
        for _ in 0..9 {
            assert_eq!(counted.take(key(2), at(300), at(1)), Ok(()));
            counted.was_no_refusal(key(2));
        }
        assert_eq!(counted.take(key(2), at(300), at(1)), Err(NoTurn::Spent));
    }

    #[test]
    fn a_message_about_which_nobody_was_asked_is_not_counted() {
        let counted = Counted::default();
        for (name, asked) in [(1, false), (2, true), (3, false)] {
            assert_eq!(counted.take(key(name), at(300), at(1)), Ok(()));
            assert_eq!(counted.take(key(name), at(300), at(1)), Ok(()));
            counted.was_not_asked(key(name));
            if !asked {
                counted.was_not_asked(key(name));
            }
        }
        assert_eq!(counted.len(), 1);
        assert_eq!(counted.take(key(2), at(300), at(1)), Ok(()));
        assert_eq!(counted.take(key(2), at(300), at(1)), Ok(()));
        assert_eq!(counted.take(key(2), at(300), at(1)), Err(NoTurn::Spent));
    }

    #[test]
    fn what_has_ended_makes_room_and_what_has_not_is_not_forgotten() {
        let counted = Counted::default();
        for name in 0..MOST as u32 {
            assert_eq!(counted.take(key(name), at(300), at(1)), Ok(()));
        }
        assert_eq!(counted.take(key(u32::MAX), at(300), at(2)), Err(NoTurn::Full));
        assert_eq!(counted.take(key(7), at(300), at(2)), Ok(()), "one that is counted already");
        assert_eq!(counted.take(key(u32::MAX), at(600), at(300)), Ok(()));
        assert_eq!(counted.len(), 1);
    }
}
