//! The fuzz target `challenge_json`; what it asserts stands in `countersign_fuzz::http::challenge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::http::challenge(data));
