//! The fuzz target `lnurl_answer`; what it asserts stands in `countersign_fuzz::issued::lnurl`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::issued::lnurl(data));
