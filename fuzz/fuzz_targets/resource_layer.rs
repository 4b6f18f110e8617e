//! The fuzz target `resource_layer`; what it asserts stands in `countersign_fuzz::resource::layer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_fuzz::resource::layer(data));
