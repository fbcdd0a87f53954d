//! Bytes become what `hostile::call_header` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::call_header(bytes));
