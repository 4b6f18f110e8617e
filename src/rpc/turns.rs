//! A message has its account's chain asked three times at most, and a few times more where the chain stays silent.
//!
//! Whoever holds a challenge of ours may send wrong signatures with it, and for a contract's account each
//! is a question to every node. So questions are counted by the message, for as long as it
//! could be used. A silence does not count as an answer, so that owners who took a day to sign need not
//! sign again for a node that was away.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use countersign_sdk::proof::replay::ReplayKey;
use countersign_sdk::time::Timestamp;

/// How often a chain may answer for one message.
const ANSWERS: u8 = 3;

/// How often it may stay silent.
const SILENCES: u8 = 9;

/// How many messages are counted at once for a chain; beyond, no new one is asked about.
const MOST: usize = 65_536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turns {
    answers: u8,
    silences: u8,
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
    /// Takes a turn of the message, which is forgotten after `until`.
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
        let turns = messages.entry(key).or_insert(Turns { answers: 0, silences: 0, until });
        if turns.answers >= ANSWERS || turns.silences >= SILENCES {
            return Err(NoTurn::Spent);
        }
        turns.answers += 1;
        Ok(())
    }

    /// Counts the last turn as a silence.
    pub(super) fn was_silent(&self, key: ReplayKey) {
        self.take_back(key, 1);
    }

    /// Gives the last turn back: no node was asked.
    pub(super) fn was_not_asked(&self, key: ReplayKey) {
        self.take_back(key, 0);
    }

    fn take_back(&self, key: ReplayKey, silences: u8) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = table.messages.get_mut(&key) {
            turns.answers = turns.answers.saturating_sub(1);
            turns.silences = turns.silences.saturating_add(silences);
            if (turns.answers, turns.silences) == (0, 0) {
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
    fn three_answers_or_nine_silences() {
        let counted = Counted::default();
        for _ in 0..3 {
            assert_eq!(counted.take(key(1), at(300), at(1)), Ok(()));
        }
        assert_eq!(counted.take(key(1), at(300), at(1)), Err(NoTurn::Spent));
        for _ in 0..9 {
            assert_eq!(counted.take(key(2), at(300), at(1)), Ok(()));
            counted.was_silent(key(2));
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
