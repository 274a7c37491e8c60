//! libFuzzer's way to [`fuzz::idempotency_key`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::idempotency_key(data));
