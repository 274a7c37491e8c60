//! libFuzzer's way to [`fuzz::append_queue`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::append_queue(data));
