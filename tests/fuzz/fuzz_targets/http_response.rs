//! Bytes become what `hostile::http_response` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::http_response(bytes));
