//! The fuzz target `did_key`; what it asserts stands in `countersign_fuzz::keys::did_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::keys::did_key(data));
