//! Which state of which view a client has: weak entity tags, and whether a client has the current one.

use axum::http::{HeaderMap, HeaderValue, header};

/// `W/"<boot>-<revision>-<view>"`. `view` tells apart what is asked for, and what of it the reader may see.
pub(super) fn etag(boot_id: &str, revision: u64, view: &str) -> HeaderValue {
    let tag = format!("W/\"{boot_id}-{revision}-{:016x}\"", fnv(view));
    // A boot id that no header can hold costs the 304, not the answer.
    HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("W/\"unknown\""))
}

/// Whether `If-None-Match` names this tag, by weak comparison.
pub(super) fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let mut tags = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        value == etag || tags.any(|tag| tag == b"*" || opaque(tag) == opaque(etag.as_bytes()))
    })
}

/// The tag without its mark of weakness.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// FNV-1a: the same in every build, as entity tags outlive a process behind a load balancer.
pub(super) fn fnv(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(if_none_match: &[&'static str], expected: bool) {
        let etag = HeaderValue::from_static("W/\"boot-7-abc\"");
        let mut headers = HeaderMap::new();
        for value in if_none_match {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(value));
        }
        assert_eq!(is_known(&headers, &etag), expected, "{if_none_match:?}");
    }

    #[test]
    fn weak_comparison_of_lists() {
        check(&[], false);
        check(&["W/\"boot-7-abc\""], true);
        check(&["\"boot-7-abc\""], true);
        check(&["*"], true);
        check(&["\"other\", W/\"boot-7-abc\""], true);
        check(&["\"other\"", "\"boot-7-abc\""], true);
        check(&["W/\"boot-8-abc\"", ""], false);
        check(&["boot-7-abc"], false);
    }

    #[test]
    fn views_and_revisions_differ() {
        let tags = [etag("b", 1, "/a"), etag("b", 1, "/a?strict=1"), etag("b", 2, "/a"), etag("c", 1, "/a")];
        assert_eq!(tags[0], "W/\"b-1-07d66707b49cd92d\"");
        for (number, tag) in tags.iter().enumerate() {
            assert!(!tags[..number].contains(tag));
        }
    }
}
