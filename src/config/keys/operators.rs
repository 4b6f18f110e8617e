//! The keys of operators: who they are, where they call, and how careful they have to be.

use super::super::shape::{AccountName, Choice, ListOf, OperationsUrl, Whole};
use super::{Absent, Key, SECOND};
use crate::model::operator::AdminScope;

pub(crate) static OPERATIONS_URL: Key<OperationsUrl> = Key {
    name: "operations_url",
    shape: OperationsUrl,
    absent: Absent::Means(
        "`http://` and the address of `operations_listen`, where that is loopback",
    ),
    meaning: "The URL under which operators reach the operations listener, as their proofs name it.",
};

pub(crate) static OPERATOR_ACCOUNT: Key<AccountName> = Key {
    name: "account",
    shape: AccountName,
    absent: Absent::Required,
    meaning: "The account that signs in.",
};

pub(crate) static OPERATOR_SCOPES: Key<ListOf<Choice<AdminScope>>> = Key {
    name: "scopes",
    shape: ListOf {
        item: Choice(&[
            (AdminScope::Read.name(), AdminScope::Read),
            (AdminScope::Keys.name(), AdminScope::Keys),
            (AdminScope::Sessions.name(), AdminScope::Sessions),
            (AdminScope::Audit.name(), AdminScope::Audit),
        ]),
        empty: Some("leaves an operator who may do nothing: leave the operator out"),
    },
    absent: Absent::Required,
    meaning: "What it may do: see keys, sessions and revocations; rotate, retire and revoke signing keys, and approve \
              that; end sessions and tokens; read the audit log.",
};

pub(crate) static ADMIN_APPROVALS: Key<Whole<usize>> = Key {
    name: "admin.approvals",
    shape: Whole { min: 1, max: 100, unit: "operators" },
    absent: Absent::Default("1"),
    meaning: "How many operators a key operation takes, or a revocation that can put operators out, the one who asks for it \
              among them.",
};

pub(crate) static ADMIN_APPROVAL_WINDOW: Key<Whole<u64>> = Key {
    name: "admin.approval_window",
    shape: Whole { min: 60, max: 900, unit: SECOND },
    absent: Absent::Default("600"),
    meaning: "Within what time the others have to approve: less than a revocation is remembered.",
};

pub(crate) static ADMIN_STEP_UP: Key<Whole<u64>> = Key {
    name: "admin.step_up",
    shape: Whole { min: 30, max: 3600, unit: SECOND },
    absent: Absent::Default("300"),
    meaning: "How old the sign-in behind a key operation, such a revocation or an approval may be.",
};
