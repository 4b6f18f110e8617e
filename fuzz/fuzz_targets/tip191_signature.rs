//! The fuzz target `tip191_signature`; what it asserts stands in `countersign_fuzz::signatures::tip191`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::tip191(data));
