//! The fuzz target `contract_signature`; what it asserts stands in `countersign_fuzz::nodes::contract_signature`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::nodes::contract_signature(data));
