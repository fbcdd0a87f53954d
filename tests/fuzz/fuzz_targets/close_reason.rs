//! Bytes become what `hostile::close_reason` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::close_reason(bytes));
