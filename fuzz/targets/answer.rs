#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jaco_fuzz::run("answer", data));
