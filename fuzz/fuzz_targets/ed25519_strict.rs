//! The fuzz target `ed25519_strict`; what it asserts stands in `countersign_fuzz::keys::ed25519`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::keys::ed25519(data));
