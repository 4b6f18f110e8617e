//! The fuzz target `siws_signature`; what it asserts stands in `countersign_fuzz::signatures::siws`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::siws(data));
