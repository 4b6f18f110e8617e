//! The fuzz target `account`; what it asserts stands in `countersign_fuzz::identifiers::account`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::identifiers::account(data));
