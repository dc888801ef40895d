#![no_main]

libfuzzer_sys::fuzz_target!(
    // A panic of the producer is caught, and told like other failures; the last one, that of the
    // body, still ends the process. libFuzzer's own hook would end it with the first.
    init: drop(std::panic::take_hook()),
    |input: &[u8]| producer_fuzz::operations::run(input)
);
