//! Two things measured alternately become two medians.

/// The median of ours, and of the reference.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub ours: f64,
    pub reference: f64,
}

impl Pair {
    /// Ours by the reference.
    pub fn ratio(self) -> f64 {
        self.ours / self.reference
    }
}

/// Measures both in each round; who goes first changes with every round. The first measurement of each is thrown away.
pub fn by_turns(rounds: usize, mut ours: impl FnMut() -> f64, mut reference: impl FnMut() -> f64) -> Pair {
    ours();
    reference();
    let (mut our_values, mut reference_values) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            our_values.push(ours());
            reference_values.push(reference());
        } else {
            reference_values.push(reference());
            our_values.push(ours());
        }
    }
    Pair { ours: median(our_values), reference: median(reference_values) }
}

/// The middle value.
pub fn median(values: Vec<f64>) -> f64 {
    percentile(values, 0.5)
}

/// The value that this share of all values does not exceed.
pub fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = ((values.len() - 1) as f64 * share).round() as usize;
    values[place]
}
