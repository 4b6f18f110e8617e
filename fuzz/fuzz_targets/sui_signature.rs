//! The fuzz target `sui_signature`; what it asserts stands in `countersign_fuzz::chains::sui`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::chains::sui(data));
