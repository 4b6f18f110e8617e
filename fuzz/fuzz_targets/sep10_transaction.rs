//! The fuzz target `sep10_transaction`; what it asserts stands in `countersign_fuzz::issued::sep10`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::issued::sep10(data));
