#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| producer_fuzz::operations::run(input));
