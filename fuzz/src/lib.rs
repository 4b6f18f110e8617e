//! What each fuzz target asserts about bytes from outside, as plain functions.
//!
//! They stand here and not in `fuzz_targets/` so that the seeds and every input that once broke
//! something can be replayed by `cargo test`, on any toolchain and without a fuzzer. A target is a
//! name and a function of bytes; it panics when the library does, or when an assertion of its own
//! does not hold. docs/FUZZING.md says what each one is for.

pub mod chains;
pub mod client;
pub mod cut;
pub mod http;
pub mod identifiers;
pub mod issued;
pub mod keys;
pub mod material;
pub mod nodes;
pub mod proofs;
pub mod records;
pub mod requests;
pub mod resource;
pub mod revocations;
pub mod sessions;
pub mod signatures;
pub mod texts;
pub mod tokens;

/// A fuzz target: its name, which is also the name of its binary and its seed folder, and what it
/// does with one input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, in the order of docs/FUZZING.md.
pub const TARGETS: &[Target] = &[
    ("caip122", texts::caip122),
    ("recap", texts::recap),
    ("siwe_signature", signatures::siwe),
    ("siws_signature", signatures::siws),
    ("key_signature", signatures::key),
    ("bip322_signature", signatures::bip322),
    ("bip137_signature", signatures::bip137),
    ("sui_signature", chains::sui),
    ("aptos_signature", chains::aptos),
    ("nep413_signature", chains::nep413),
    ("sep53_signature", chains::sep53),
    ("sep10_transaction", issued::sep10),
    ("lnurl_answer", issued::lnurl),
    ("ssh_signature", chains::ssh),
    ("ton_signature", chains::ton),
    ("ton_state_init", chains::ton_state_init),
    ("tip191_signature", signatures::tip191),
    ("adr36_signature", signatures::adr36),
    ("nostr_signature", signatures::nostr),
    ("sha256_signature", signatures::sha256),
    ("contract_signature", nodes::contract_signature),
    ("rpc_answer", nodes::answer),
    ("jws_dpop", proofs::dpop),
    ("jwt_assertion", proofs::assertion),
    ("nonce_open", proofs::nonce),
    ("access_token", tokens::access_token),
    ("jwks", tokens::jwks),
    ("jwk", keys::jwk),
    ("did_key", keys::did_key),
    ("ed25519_strict", keys::ed25519),
    ("secp256k1_differential", keys::secp256k1),
    ("account", identifiers::account),
    ("target_uri", identifiers::target_uri),
    ("client_challenge", client::challenge),
    ("refresh_token", sessions::refresh_token),
    ("feed_cursor", sessions::feed_cursor),
    ("form", requests::form),
    ("basic_auth", requests::basic_auth),
    ("config", requests::config),
    ("challenge_json", http::challenge_json),
    ("token_form", http::token),
    ("introspect_form", http::introspect),
    ("http_router", http::router),
    ("resource_layer", resource::layer),
    ("revocation_feed", revocations::feed),
    ("store_record", records::store_record),
    ("audit_record", records::audit_record),
    ("audit_proof", records::audit_proof),
];
