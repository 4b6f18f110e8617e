//! The fuzz target `basic_auth`; what it asserts stands in `countersign_fuzz::requests::basic_auth`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::requests::basic_auth(data));
