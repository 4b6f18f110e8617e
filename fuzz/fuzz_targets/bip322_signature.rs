//! The fuzz target `bip322_signature`; what it asserts stands in `countersign_fuzz::signatures::bip322`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::bip322(data));
