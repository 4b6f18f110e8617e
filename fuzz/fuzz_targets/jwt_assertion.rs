//! The fuzz target `jwt_assertion`; what it asserts stands in `countersign_fuzz::proofs::assertion`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::proofs::assertion(data));
