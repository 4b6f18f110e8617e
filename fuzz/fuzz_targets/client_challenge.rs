//! The fuzz target `client_challenge`; what it asserts stands in `countersign_fuzz::client::challenge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::client::challenge(data));
