//! The keys of what outlives the process.

use super::super::shape::{Choice, Folder};
use super::{Absent, Key};

/// Where sessions and revocations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// In a file.
    Embedded,
    /// In memory.
    Memory,
}

pub(crate) static STORE_ENGINE: Key<Choice<Engine>> = Key {
    name: "store.engine",
    shape: Choice(&[("embedded", Engine::Embedded), ("memory", Engine::Memory)]),
    absent: Absent::Default("embedded"),
    meaning: "Where sessions and revocations are kept: in a file of this machine, which outlives the process, or in \
              memory, where all of them end with it.",
};

pub(crate) static STORE_DIRECTORY: Key<Folder> = Key {
    name: "store.directory",
    shape: Folder,
    absent: Absent::Means(
        "required by the engine `embedded`; without a file, the store is in memory",
    ),
    meaning: "The folder of the embedded store, which this server has for itself; also `--data-dir`. It is made where \
              there is none. See [STORAGE.md](STORAGE.md).",
};
