//! The fuzz target `target_uri`; what it asserts stands in `countersign_fuzz::identifiers::target_uri`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::identifiers::target_uri(data));
