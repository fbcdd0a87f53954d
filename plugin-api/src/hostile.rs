//! Input from a host, as bytes that nobody vouches for: each reader takes them, and none panics. The entry point of
//! fuzzers and the property tests below.

use plugin_abi::boundary::Frame;

use crate::{context, instance, protocol, stream};

/// Hands bytes to everything that reads what a host sends; the first one also stands for the kind of a frame.
pub fn from_host(bytes: &[u8]) {
    let _ = instance::read_request(bytes);
    let _ = instance::read_header(bytes);
    let _ = context::read_error(bytes);
    let _ = protocol::close_reason(bytes);
    if let Some((kind, data)) = bytes.split_first() {
        let frame = stream::from_wire(Frame { kind: *kind, data: data.to_vec().into() });
        assert!(frame.is_ok() || *kind != plugin_abi::boundary::FRAME_BINARY, "bytes are always a frame");
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Pieces of which our messages are made, and of which they are not.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"plugin\"",
            "\"operation\"",
            "\"instance\"",
            "\"settings\"",
            "\"log_level\"",
            "\"data_dir\"",
            "\"config_dir\"",
            "\"dependencies\"",
            "\"deadline_ms\"",
            "\"message\"",
            "\"error\"",
            "\"kind\"",
            "\"internal\"",
            "null",
            "true",
            "-1",
            "1e999",
            "\"\\ud800\"",
            "18446744073709551616",
            "\u{0}",
            "\u{1}",
        ]);
        vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn nothing_that_a_host_sends_makes_a_plugin_panic(bytes in prop_oneof![vec(any::<u8>(), 0..200), pieces()]) {
            from_host(&bytes);
        }
    }
}
