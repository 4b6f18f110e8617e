//! The keys of the server as a whole: its name, its listeners, its lifetimes, its proofs and its log.

use super::super::settings::{LogFormat, SigningAlgorithm};
use super::super::shape::{
    Address, AddressOrOff, ChainName, Choice, Domain, Folder, IssuerUrl, ListOf, LogFilter, Switch,
    Whole,
};
use super::{Absent, Key, SECOND};

pub(crate) static ISSUER: Key<IssuerUrl> = Key {
    name: "issuer",
    shape: IssuerUrl,
    absent: Absent::Required,
    meaning: "The identifier of this server (RFC 8414), exactly as clients and resource servers know it. \
              It is the `iss` of every token and the URI of every challenge.",
};

pub(crate) static LISTEN: Key<Address> = Key {
    name: "listen",
    shape: Address,
    absent: Absent::Default("127.0.0.1:8700"),
    meaning: "The public listener. It speaks plain HTTP/1.1; TLS is the proxy's in front of it.",
};

pub(crate) static OPERATIONS_LISTEN: Key<AddressOrOff> = Key {
    name: "operations_listen",
    shape: AddressOrOff,
    absent: Absent::Default("127.0.0.1:8701"),
    meaning: "The listener for health checks, and for operators where there are any. Keep it out of the public's reach.",
};

pub(crate) static DOMAINS: Key<ListOf<Domain>> = Key {
    name: "domains",
    shape: ListOf { item: Domain, empty: None },
    absent: Absent::Means("the issuer's host alone"),
    meaning: "The wallet applications that may ask people to sign in, by the host that the wallet shows, with the \
              port unless it is the scheme's own. The issuer's host is always one of them.",
};

pub(crate) static CHAINS: Key<ListOf<ChainName>> = Key {
    name: "chains",
    shape: ListOf {
        item: ChainName,
        empty: Some("accepts no chain at all: leave it out to accept every one"),
    },
    absent: Absent::Means("every chain of every format that a resource takes"),
    meaning: "The chains that accounts may sign in for. Raw keys (`did:key`) belong to none and are not affected.",
};

pub(crate) static CHALLENGE_LIFETIME: Key<Whole<u64>> = Key {
    name: "challenge.lifetime",
    shape: Whole { min: 30, max: 900, unit: SECOND },
    absent: Absent::Default("300"),
    meaning: "Within what time a challenge must be signed and redeemed.",
};

pub(crate) static SESSION_LIFETIME: Key<Whole<u64>> = Key {
    name: "session.lifetime",
    shape: Whole { min: 300, max: 31_536_000, unit: SECOND },
    absent: Absent::Default("2592000"),
    meaning: "How long a signature with a session key opens: the `Expiration Time` that the person signs. 2592000 is \
              30 days. With `ton`, `nostr`, `sep10` and `lnurl`, whose wallets do not show the text, a day at most.",
};

pub(crate) static SIGNING_ALGORITHM: Key<Choice<SigningAlgorithm>> = Key {
    name: "signing.algorithm",
    shape: Choice(&[("EdDSA", SigningAlgorithm::EdDsa), ("ES256", SigningAlgorithm::Es256)]),
    absent: Absent::Default("EdDSA"),
    meaning: "The algorithm of access tokens. ES256 is for resource servers whose library knows no EdDSA.",
};

pub(crate) static STELLAR_SIGNING_KEY_FILE: Key<Folder> = Key {
    name: "stellar.signing_key_file",
    shape: Folder,
    absent: Absent::Means("a new key at each start"),
    meaning: "A file of the server's own user that nobody else can read, with the seed (`S…`, SEP-23) of the key that \
              signs the transactions of format `sep10`, and of nothing else: never the `SIGNING_KEY` of a running \
              anchor. Its account is `SIGNING_KEY` in the `stellar.toml` of the domains (SEP-1).",
};

pub(crate) static DPOP_REQUIRE_NONCE: Key<Switch> = Key {
    name: "dpop.require_nonce",
    shape: Switch,
    absent: Absent::Default("false"),
    meaning: "Whether every proof must carry a nonce of this server (RFC 9449 §8), at the price of a round trip.",
};

pub(crate) static DPOP_MAX_AGE: Key<Whole<u64>> = Key {
    name: "dpop.max_age",
    shape: Whole { min: 10, max: 300, unit: SECOND },
    absent: Absent::Default("60"),
    meaning: "How old a proof may be.",
};

pub(crate) static DPOP_MAX_FUTURE_SKEW: Key<Whole<u64>> = Key {
    name: "dpop.max_future_skew",
    shape: Whole { min: 0, max: 60, unit: SECOND },
    absent: Absent::Default("5"),
    meaning: "How far ahead of this server's clock a proof may be.",
};

pub(crate) static LOG_FORMAT: Key<Choice<LogFormat>> = Key {
    name: "log.format",
    shape: Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]),
    absent: Absent::Default("text"),
    meaning: "Lines for people, or one JSON object a line.",
};

pub(crate) static LOG_LEVEL: Key<LogFilter> = Key {
    name: "log.level",
    shape: LogFilter,
    absent: Absent::Default("info"),
    meaning: "What is logged.",
};
