//! The fuzz target `audit_record`; what it asserts stands in `countersign_fuzz::records::audit_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::records::audit_record(data));
