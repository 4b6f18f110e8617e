//! The fuzz target `challenge_json`; what it asserts stands in `countersign_fuzz::http::challenge_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::http::challenge_json(data));
