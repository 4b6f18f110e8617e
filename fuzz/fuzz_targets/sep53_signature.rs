//! The fuzz target `sep53_signature`; what it asserts stands in `countersign_fuzz::chains::sep53`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::chains::sep53(data));
