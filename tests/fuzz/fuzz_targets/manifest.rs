//! Bytes become what `hostile::manifest` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::manifest(bytes));
