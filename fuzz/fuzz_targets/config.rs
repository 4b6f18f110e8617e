//! The fuzz target `config`; what it asserts stands in `countersign_fuzz::requests::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::requests::config(data));
