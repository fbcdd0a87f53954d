//! PostgreSQL's `numeric` from its binary form into the text that `psql` shows.

/// Four decimal digits each.
const DIGITS: usize = 4;

/// Reads it; `None` if these bytes are no `numeric`.
pub fn text(bytes: &[u8]) -> Option<String> {
    let mut words = bytes.chunks_exact(2).map(|word| i16::from_be_bytes([word[0], word[1]]));
    let (count, weight) = (words.next()?, words.next()?);
    let (sign, scale) = (words.next()?, words.next()?);
    match sign.cast_unsigned() {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let groups: Vec<i16> = words.collect();
    if groups.len() != usize::try_from(count).ok()? {
        return None;
    }
    let sign = if sign.cast_unsigned() == 0x4000 { "-" } else { "" };
    Some(format!(
        "{sign}{}{}",
        whole(&groups, weight.into()),
        fraction(&groups, weight.into(), scale.try_into().ok()?)
    ))
}

/// The group that stands for `10000^power`; the first one stands for `10000^weight`.
fn group(groups: &[i16], weight: i32, power: i32) -> i16 {
    usize::try_from(weight - power).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0)
}

fn whole(groups: &[i16], weight: i32) -> String {
    let digits: String =
        (0..=weight).rev().map(|power| format!("{:04}", group(groups, weight, power))).collect();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
}

fn fraction(groups: &[i16], weight: i32, scale: usize) -> String {
    if scale == 0 {
        return String::new();
    }
    let needed = i32::try_from(scale.div_ceil(DIGITS)).unwrap_or(i32::MAX);
    let digits: String = (1..=needed).map(|place| format!("{:04}", group(groups, weight, -place))).collect();
    format!(".{}", digits.get(..scale).unwrap_or(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[i16], expected: &str) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(text(&bytes).as_deref(), Some(expected));
    }

    #[test]
    fn reads_what_psql_shows() {
        check(&[0, 0, 0, 0], "0");
        check(&[0, 0, 0, 2], "0.00");
        check(&[2, 0, 0, 2, 12, 3400], "12.34");
        check(&[1, 1, 0x4000, 0, 5], "-50000");
        check(&[1, -2, 0, 8, 7], "0.00000007");
        check(&[2, 1, 0, 0, 1, 2], "10002");
    }

    #[test]
    fn refuses_what_is_cut_off() {
        assert_eq!(text(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 1]), None);
        assert_eq!(text(&[0]), None);
    }
}
