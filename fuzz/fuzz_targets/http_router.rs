//! The fuzz target `http_router`; what it asserts stands in `countersign_fuzz::http::router`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::http::router(data));
