//! The keys of the audit log: how long it is kept, who gets a copy, and what happens when it cannot be written.

use super::super::shape::{Choice, LinesTarget, Whole, WholeOrOff};
use super::{Absent, Key, SECOND};
use crate::audit::OnFailure;

pub(crate) static AUDIT_ON_FAILURE: Key<Choice<OnFailure>> = Key {
    name: "audit.on_failure",
    shape: Choice(&[("refuse", OnFailure::Refuse), ("continue", OnFailure::Continue)]),
    absent: Absent::Default("refuse"),
    meaning: "What becomes of sign-ins, refreshes and key operations while the audit log cannot be written: they are \
              answered 503, or they go on without a record, which the server's log says each time.",
};

pub(crate) static AUDIT_RETENTION_DAYS: Key<WholeOrOff<u64>> = Key {
    name: "audit.retention_days",
    shape: WholeOrOff(Whole { min: 1, max: 36_500, unit: "days" }),
    absent: Absent::Default("off"),
    meaning: "How long records are kept at least; older files of the log are removed, and a record says so. Off: for \
              ever.",
};

pub(crate) static AUDIT_MAX_BYTES: Key<WholeOrOff<u64>> = Key {
    name: "audit.max_bytes",
    shape: WholeOrOff(Whole { min: 134_217_728, max: 1_099_511_627_776, unit: "bytes" }),
    absent: Absent::Default("off"),
    meaning: "How large the log may become; needs `audit.retention_days`, and removes nothing that is younger. A log \
              that is as large and has nothing older is one that cannot be written: see `audit.on_failure`. Off: as \
              large as the disk.",
};

pub(crate) static AUDIT_STREAM: Key<LinesTarget> = Key {
    name: "audit.stream",
    shape: LinesTarget,
    absent: Absent::Default("off"),
    meaning: "Where every record goes besides, as a line of JSON for a collector.",
};

pub(crate) static AUDIT_CHECKPOINT_RECORDS: Key<Whole<u64>> = Key {
    name: "audit.checkpoint_records",
    shape: Whole { min: 10, max: 100_000, unit: "records" },
    absent: Absent::Default("1000"),
    meaning: "After so many records the log is signed.",
};

pub(crate) static AUDIT_CHECKPOINT_SECONDS: Key<Whole<u64>> = Key {
    name: "audit.checkpoint_seconds",
    shape: Whole { min: 1, max: 86_400, unit: SECOND },
    absent: Absent::Default("60"),
    meaning: "After so long the log is signed, if there are new records. A sign-in can be proven to others from then on.",
};
