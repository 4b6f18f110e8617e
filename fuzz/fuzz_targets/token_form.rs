//! The fuzz target `token_form`; what it asserts stands in `countersign_fuzz::http::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::http::token(data));
