//! The fuzz target `introspect_form`; what it asserts stands in `countersign_fuzz::http::introspect`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::http::introspect(data));
