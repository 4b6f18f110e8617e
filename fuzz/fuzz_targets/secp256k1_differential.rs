//! The fuzz target `secp256k1_differential`; what it asserts stands in `countersign_fuzz::keys::secp256k1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::keys::secp256k1(data));
