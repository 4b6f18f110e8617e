//! The fuzz target `rpc_answer`; what it asserts stands in `countersign_fuzz::nodes::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::nodes::answer(data));
