//! The fuzz target `store_record`; what it asserts stands in `countersign_fuzz::records::store_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::records::store_record(data));
