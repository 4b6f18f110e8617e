//! The fuzz target `bip137_signature`; what it asserts stands in `countersign_fuzz::signatures::bip137`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::bip137(data));
