//! A form -> its parameters, strictly: what is not UTF-8 once decoded is refused instead of mended, so that no two forms
//! mean the same where one byte differs.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use plugin_api::error::OperationError;

use super::Params;

/// All parameters, in order.
pub fn decode(body: &[u8]) -> Result<Params, OperationError> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(equals);
            Ok((text(name)?, text(value.get(1..).unwrap_or_default())?))
        })
        .collect()
}

fn text(encoded: &[u8]) -> Result<String, OperationError> {
    let spaced: Cow<'_, [u8]> = if encoded.contains(&b'+') {
        encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>().into()
    } else {
        encoded.into()
    };
    let decoded = percent_decode(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| OperationError::denied("the form is not UTF-8, as Twilio's are"))
}
