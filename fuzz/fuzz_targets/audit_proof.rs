//! The fuzz target `audit_proof`; what it asserts stands in `countersign_fuzz::records::audit_proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::records::audit_proof(data));
