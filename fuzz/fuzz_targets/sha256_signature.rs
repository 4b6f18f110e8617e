//! The fuzz target `sha256_signature`; what it asserts stands in `countersign_fuzz::signatures::sha256`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::sha256(data));
