//! The fuzz target `form`; what it asserts stands in `countersign_fuzz::requests::form`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::requests::form(data));
