//! The fuzz target `ton_signature`; what it asserts stands in `countersign_fuzz::chains::ton`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::chains::ton(data));
