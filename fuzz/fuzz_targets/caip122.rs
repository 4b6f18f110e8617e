//! The fuzz target `caip122`; what it asserts stands in `countersign_fuzz::texts::caip122`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::texts::caip122(data));
