//! The fuzz target `nep413_signature`; what it asserts stands in `countersign_fuzz::chains::nep413`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::chains::nep413(data));
