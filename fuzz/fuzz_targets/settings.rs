#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| producer_fuzz::settings::run(input));
