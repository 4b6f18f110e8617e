//! The fuzz target `jws_dpop`; what it asserts stands in `countersign_fuzz::proofs::dpop`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::proofs::dpop(data));
