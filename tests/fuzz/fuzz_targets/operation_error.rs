//! Bytes become what `hostile::operation_error` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::operation_error(bytes));
