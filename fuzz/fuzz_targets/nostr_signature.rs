//! The fuzz target `nostr_signature`; what it asserts stands in `countersign_fuzz::signatures::nostr`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::signatures::nostr(data));
