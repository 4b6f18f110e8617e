//! The keys of one resource.

use super::super::settings::Binding;
use super::super::shape::{
    AccountName, Choice, FormatName, ListOf, RawKeyName, ResourceUri, ScopeName, SecretHashText,
    Switch, Whole,
};
use super::{Absent, Key, SECOND};

pub(crate) static RESOURCE_URI: Key<ResourceUri> = Key {
    name: "uri",
    shape: ResourceUri,
    absent: Absent::Required,
    meaning: "The identifier of the API (RFC 8707): the `resource` that clients ask for and the `aud` of the token, \
              compared byte by byte.",
};

pub(crate) static RESOURCE_SCOPES: Key<ListOf<ScopeName>> = Key {
    name: "scopes",
    shape: ListOf {
        item: ScopeName,
        empty: Some("leaves nothing to ask for: name at least one scope"),
    },
    absent: Absent::Required,
    meaning: "The scopes that exist there.",
};

pub(crate) static RESOURCE_DEFAULT_SCOPES: Key<ListOf<ScopeName>> = Key {
    name: "default_scopes",
    shape: ListOf { item: ScopeName, empty: None },
    absent: Absent::Default(""),
    meaning: "The scopes of a sign-in that asks for none, and all that a message without a ReCap can get. Each must \
              be one of `scopes`; without any, such a sign-in is refused.",
};

pub(crate) static RESOURCE_TOKEN_TTL: Key<Whole<u64>> = Key {
    name: "token_ttl",
    shape: Whole { min: 30, max: 900, unit: SECOND },
    absent: Absent::Default("300"),
    meaning: "The lifetime of an access token.",
};

pub(crate) static RESOURCE_BINDING: Key<Choice<Binding>> = Key {
    name: "binding",
    shape: Choice(&[("required", Binding::Required), ("optional", Binding::Optional)]),
    absent: Absent::Default("required"),
    meaning: "Whether every token must be bound to a key. With `optional`, a client that sends no proof gets a \
              bearer token, which whoever steals it can use.",
};

pub(crate) static RESOURCE_BEARER_SESSIONS: Key<Switch> = Key {
    name: "bearer_sessions",
    shape: Switch,
    absent: Absent::Default("false"),
    meaning: "Whether a message opens a session for a client that sends no proof, with a refresh token that whoever \
              steals it can use. Goes with `binding = \"optional\"`.",
};

pub(crate) static RESOURCE_FORMATS: Key<ListOf<FormatName>> = Key {
    name: "formats",
    shape: ListOf {
        item: FormatName,
        empty: Some("accepts no format at all: leave it out to accept every one"),
    },
    absent: Absent::Means(
        "every registered format but `ton`, `nostr`, `sep10` and `lnurl`, whose wallets do not show the text",
    ),
    meaning: "The message formats that open this resource, such as `siwe` for Ethereum wallets, `siws` for Solana \
              wallets, `key` for raw keys of agents; docs/FORMATS.md describes each.",
};

pub(crate) static RESOURCE_ALLOW: Key<ListOf<AccountName>> = Key {
    name: "allow",
    shape: ListOf {
        item: AccountName,
        empty: Some("would let nobody in: leave it out to let everyone in"),
    },
    absent: Absent::Means("everyone"),
    meaning: "The only accounts that may sign in.",
};

pub(crate) static RESOURCE_DENY: Key<ListOf<AccountName>> = Key {
    name: "deny",
    shape: ListOf { item: AccountName, empty: None },
    absent: Absent::Default(""),
    meaning: "Accounts that may not sign in, even where everyone may.",
};

pub(crate) static RESOURCE_CONTRACT_ACCOUNTS: Key<Switch> = Key {
    name: "contract_accounts",
    shape: Switch,
    absent: Absent::Default("true"),
    meaning: "Whether accounts may sign in that their chain is asked about: contracts and NEAR names, of the chains that \
              have an `[[rpc]]` table. A contract in `allow` is meant on the chain that it is written with.",
};

pub(crate) static RESOURCE_INTROSPECTION_KEYS: Key<ListOf<RawKeyName>> = Key {
    name: "introspection_keys",
    shape: ListOf { item: RawKeyName, empty: None },
    absent: Absent::Default(""),
    meaning: "The keys by which this API signs in at `/introspect` (`private_key_jwt`) to ask about its own tokens.",
};

pub(crate) static RESOURCE_INTROSPECTION_SECRET: Key<SecretHashText> = Key {
    name: "introspection_secret",
    shape: SecretHashText,
    absent: Absent::Means("no secret is taken"),
    meaning: "The hash of a secret by which it does so (`client_secret_basic`, with `uri` as the user), for libraries \
              that sign nothing. `countersign secret` makes both.",
};
