//! The fuzz target `access_token`; what it asserts stands in `countersign_fuzz::tokens::access_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::tokens::access_token(data));
