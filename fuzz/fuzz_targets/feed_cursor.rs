//! The fuzz target `feed_cursor`; what it asserts stands in `countersign_fuzz::sessions::feed_cursor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::sessions::feed_cursor(data));
