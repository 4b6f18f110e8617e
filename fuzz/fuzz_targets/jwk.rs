//! The fuzz target `jwk`; what it asserts stands in `countersign_fuzz::keys::jwk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::keys::jwk(data));
