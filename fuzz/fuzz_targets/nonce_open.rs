//! The fuzz target `nonce_open`; what it asserts stands in `countersign_fuzz::proofs::nonce`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::proofs::nonce(data));
