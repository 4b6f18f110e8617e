//! The fuzz target `recap`; what it asserts stands in `countersign_fuzz::texts::recap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::texts::recap(data));
