//! The fuzz target `adr36_signature`; what it asserts stands in `countersign_fuzz::signatures::adr36`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::adr36(data));
