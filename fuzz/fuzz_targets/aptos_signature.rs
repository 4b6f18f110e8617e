//! The fuzz target `aptos_signature`; what it asserts stands in `countersign_fuzz::chains::aptos`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::chains::aptos(data));
