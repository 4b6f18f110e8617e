//! The keys of the bounds that keep a server standing.

use super::super::shape::{ListOf, Network, Whole, WholeOrOff};
use super::{Absent, Key, SECOND};

pub(crate) static LIMITS_MAX_BODY_BYTES: Key<Whole<usize>> = Key {
    name: "limits.max_body_bytes",
    shape: Whole {
        // The largest message in form encoding, threefold, and what stands beside it.
        min: 36_864,
        max: 1_048_576,
        unit: "bytes",
    },
    absent: Absent::Default("49152"),
    meaning: "The largest request body; a larger one is refused with 413.",
};

pub(crate) static LIMITS_REQUESTS_PER_MINUTE: Key<WholeOrOff<u32>> = Key {
    name: "limits.requests_per_minute",
    shape: WholeOrOff(Whole { min: 1, max: 1_000_000, unit: "requests" }),
    absent: Absent::Default("600"),
    meaning: "The lasting rate of one client address; beyond it requests get 429 with `Retry-After`. Metadata, keys \
              and `/revocations` are counted apart. Off in development mode.",
};

pub(crate) static LIMITS_BURST: Key<Whole<u32>> = Key {
    name: "limits.burst",
    shape: Whole { min: 1, max: 100_000, unit: "requests" },
    absent: Absent::Default("60"),
    meaning: "How many requests of one address may come at once before that rate applies.",
};

pub(crate) static LIMITS_MAX_CONNECTIONS: Key<Whole<usize>> = Key {
    name: "limits.max_connections",
    shape: Whole { min: 1, max: 1_000_000, unit: "connections" },
    absent: Absent::Default("10000"),
    meaning: "How many connections may be open at the same time.",
};

pub(crate) static LIMITS_CONNECTIONS_PER_ADDRESS: Key<Whole<usize>> = Key {
    name: "limits.connections_per_address",
    shape: Whole { min: 1, max: 1_000_000, unit: "connections" },
    absent: Absent::Default("1000"),
    meaning: "How many of them one address may hold (one /64 for IPv6); trusted proxies may hold all.",
};

pub(crate) static LIMITS_HEADER_TIMEOUT: Key<Whole<u64>> = Key {
    name: "limits.header_timeout",
    shape: Whole { min: 1, max: 120, unit: SECOND },
    absent: Absent::Default("10"),
    meaning: "Within what time a request's head must have arrived.",
};

pub(crate) static LIMITS_BODY_TIMEOUT: Key<Whole<u64>> = Key {
    name: "limits.body_timeout",
    shape: Whole { min: 1, max: 120, unit: SECOND },
    absent: Absent::Default("10"),
    meaning: "Within what time its body must have arrived, and how long an answer waits for a client that does not read.",
};

pub(crate) static LIMITS_SPENT_NONCES: Key<Whole<usize>> = Key {
    name: "limits.spent_nonces",
    shape: Whole { min: 1000, max: 1_000_000_000, unit: "nonces" },
    absent: Absent::Default("10000000"),
    meaning: "How many spent nonces the memory store holds. None is dropped before its time: at the bound, sign-ins \
              are answered 503.",
};

pub(crate) static LIMITS_PROOFS: Key<Whole<usize>> = Key {
    name: "limits.proofs",
    shape: Whole { min: 1000, max: 1_000_000_000, unit: "proofs" },
    absent: Absent::Default("10000000"),
    meaning: "How many used proofs the memory store holds. None is dropped before its time: at the bound, requests \
              with a proof are answered 503.",
};

pub(crate) static LIMITS_ANSWERS: Key<Whole<usize>> = Key {
    name: "limits.answers",
    shape: Whole { min: 100, max: 1_000_000, unit: "answers" },
    absent: Absent::Default("100000"),
    meaning: "How many answers of Lightning wallets (format `lnurl`) wait to be fetched; 100000 take 19 MB. None \
              is dropped before its time: at the bound, wallets are answered 503.",
};

pub(crate) static LIMITS_SESSIONS: Key<Whole<usize>> = Key {
    name: "limits.sessions",
    shape: Whole { min: 10, max: 1_000_000_000, unit: "sessions" },
    absent: Absent::Default("10000000"),
    meaning: "How many sessions the store holds. None is dropped before its time: at the bound, \
              sign-ins that would open another are answered 503.",
};

pub(crate) static LIMITS_SESSIONS_PER_SUBJECT: Key<Whole<usize>> = Key {
    name: "limits.sessions_per_subject",
    shape: Whole { min: 1, max: 10_000, unit: "sessions" },
    absent: Absent::Default("100"),
    meaning: "How many sessions one account may have. Whoever opens one more ends the one that was used longest ago.",
};

pub(crate) static LIMITS_REVOCATIONS: Key<Whole<usize>> = Key {
    name: "limits.revocations",
    shape: Whole { min: 10, max: 100_000_000, unit: "revocations" },
    absent: Absent::Default("800000"),
    meaning: "How many revocations are remembered, each for 17 minutes, of a token that was dated ahead for longer. At \
              the bound, further ones are answered 503 until there is room, and end sessions all the same. APIs must hold as many and a fifth more; the SDK's layer does so by default.",
};

pub(crate) static LIMITS_FEED_WAITERS: Key<Whole<usize>> = Key {
    name: "limits.feed_waiters",
    shape: Whole { min: 0, max: 1_000_000, unit: "requests" },
    absent: Absent::Default("1000"),
    meaning: "How many readers of `/revocations` may wait for news at the same time, an eighth of them of one address. \
              Whoever comes beyond that is answered at once with what there is.",
};

pub(crate) static LIMITS_SHUTDOWN_GRACE: Key<Whole<u64>> = Key {
    name: "limits.shutdown_grace",
    shape: Whole { min: 0, max: 600, unit: SECOND },
    absent: Absent::Default("20"),
    meaning: "How long open requests may take to finish once the server is told to stop.",
};

pub(crate) static LIMITS_TRUSTED_PROXIES: Key<ListOf<Network>> = Key {
    name: "limits.trusted_proxies",
    shape: ListOf { item: Network, empty: None },
    absent: Absent::Default("127.0.0.0/8,::1/128"),
    meaning: "The proxies whose `X-Forwarded-For` is believed when client addresses are counted; \
              the default is a proxy on this machine.",
};
