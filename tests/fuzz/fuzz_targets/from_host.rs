//! Bytes become what `hostile::from_host` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::from_host(bytes));
