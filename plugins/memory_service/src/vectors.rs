//! A vector -> what databases keep of it and compare: its numbers, and one bit for each, which says whether the number is
//! above zero. The bits are quick to compare and tell the nearest hundreds; the numbers tell their order. Pure.

/// How vectors are kept and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// SQLite with sqlite-vec: the database compares.
    SqliteVec,
    /// PostgreSQL with pgvector: the database compares.
    Pgvector,
    /// PostgreSQL without it: the database finds the nearest by their bits, and we compare.
    Bytes,
}

impl Keeping {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SqliteVec => "sqlite-vec",
            Self::Pgvector => "pgvector",
            Self::Bytes => "bytes",
        }
    }
}

/// The numbers as bytes, as sqlite-vec reads them.
pub fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers that [`bytes`] made.
pub fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

/// The numbers as pgvector reads them.
pub fn text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// The bits as sqlite-vec reads them.
pub fn bits(vector: &[f32]) -> Vec<u8> {
    let byte = |numbers: &[f32]| {
        numbers.iter().enumerate().fold(0, |byte, (place, number)| byte | (u8::from(*number > 0.0) << place))
    };
    vector.chunks(8).map(byte).collect()
}

/// The bits as PostgreSQL reads them.
pub fn bits_text(vector: &[f32]) -> String {
    vector.iter().map(|number| if *number > 0.0 { '1' } else { '0' }).collect()
}

/// How far apart two vectors are: 0 for the same direction, 2 for opposite ones and for what cannot be compared.
pub fn distance(one: &[f32], other: &[f32]) -> f64 {
    const FARTHEST: f64 = 2.0;
    if one.len() != other.len() {
        return FARTHEST;
    }
    let product = |one: &[f32], other: &[f32]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let lengths = (product(one, one) * product(other, other)).sqrt();
    if lengths > 0.0 { 1.0 - product(one, other) / lengths } else { FARTHEST }
}

/// Whether it can be kept: a direction, in numbers.
pub fn is_good(vector: &[f32]) -> bool {
    !vector.is_empty() && vector.iter().all(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_as_bytes() {
        let vector = [0.0, -1.5, f32::MIN_POSITIVE, 3.25e8];
        assert_eq!(numbers(&bytes(&vector)), vector);
    }

    #[test]
    fn a_bit_for_each_number() {
        let vector = [1.0, -1.0, 0.0, 0.5, -2.0, 0.0, 0.0, 1.0, 0.25, -0.25];
        assert_eq!(bits(&vector), [0b1000_1001, 0b0000_0001]);
        assert_eq!(bits_text(&vector), "1001000110");
        assert_eq!(text(&[1.0, -0.5, 0.0]), "[1,-0.5,0]");
    }

    #[test]
    fn the_same_direction_is_near() {
        let near = |one: &[f32], other: &[f32], expected: f64| {
            let found = distance(one, other);
            assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
        };
        near(&[1.0, 0.0], &[3.0, 0.0], 0.0);
        near(&[1.0, 0.0], &[0.0, 2.0], 1.0);
        near(&[1.0, 0.0], &[-1.0, 0.0], 2.0);
        near(&[0.0, 0.0], &[1.0, 0.0], 2.0);
        near(&[1.0], &[1.0, 0.0], 2.0);
    }
}
