//! The fuzz target `ton_state_init`; what it asserts stands in `countersign_fuzz::chains::ton_state_init`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::chains::ton_state_init(data));
