//! The fuzz target `refresh_token`; what it asserts stands in `countersign_fuzz::sessions::refresh_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::sessions::refresh_token(data));
