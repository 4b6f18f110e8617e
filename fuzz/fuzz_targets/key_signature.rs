//! The fuzz target `key_signature`; what it asserts stands in `countersign_fuzz::signatures::key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::key(data));
