//! The fuzz target `jwks`; what it asserts stands in `countersign_fuzz::tokens::jwks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::tokens::jwks(data));
