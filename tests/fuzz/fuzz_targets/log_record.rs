//! Bytes become what `hostile::log_record` holds against the rest of the host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchboard::hostile::log_record(bytes));
