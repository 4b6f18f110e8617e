//! The fuzz target `revocation_feed`; what it asserts stands in `countersign_fuzz::revocations::feed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::revocations::feed(data));
