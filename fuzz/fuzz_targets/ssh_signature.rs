//! The fuzz target `ssh_signature`; what it asserts stands in `countersign_fuzz::chains::ssh`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::chains::ssh(data));
