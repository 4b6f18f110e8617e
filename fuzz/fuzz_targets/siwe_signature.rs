//! The fuzz target `siwe_signature`; what it asserts stands in `countersign_fuzz::signatures::siwe`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::siwe(data));
