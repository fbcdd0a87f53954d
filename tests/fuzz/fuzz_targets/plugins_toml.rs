//! Bytes become what `hostile::plugins_toml` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::plugins_toml(bytes));
