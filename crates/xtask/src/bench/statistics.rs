//! Medians, and the ratio of two contenders with its 95 % interval.
//!
//! The machines that this runs on are noisy from one minute to the next, so figures are compared round by round: each
//! round gives one ratio. The interval is Student's t on the logarithms of the ratios, which is honest for the five
//! rounds that a run has by default; a bootstrap of so few covers too little. One round has no interval.

/// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond these the normal one is close enough.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The same quantile of the normal distribution.
const NORMAL: f64 = 1.960;

/// The value in the middle; the mean of the two in the middle when their number is even; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The largest value; NaN of none.
pub(crate) fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// How one contender compares with another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    /// Median of the rounds' ratios.
    pub(crate) median: f64,
    /// The bounds of the 95 % interval of the (geometric) mean; `None` with fewer than two rounds.
    pub(crate) interval: Option<(f64, f64)>,
}

impl Ratio {
    /// Compares `ours` with `theirs`, round by round. Both are positive and have a value for each round.
    pub(crate) fn of(ours: &[f64], theirs: &[f64]) -> Self {
        assert_eq!(ours.len(), theirs.len(), "every round measures both");
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        Self { median: median(&ratios), interval: interval(&ratios) }
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing replicated depends on these logarithms")]
fn interval(ratios: &[f64]) -> Option<(f64, f64)> {
    let free = ratios.len().checked_sub(1).filter(|&free| free > 0)?;
    let logarithms: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    let count = to_f64(ratios.len());
    let mean = logarithms.iter().sum::<f64>() / count;
    let squares: f64 = logarithms.iter().map(|logarithm| (logarithm - mean).powi(2)).sum();
    let error = (squares / to_f64(free) / count).sqrt();
    let reach = STUDENT.get(free - 1).copied().unwrap_or(NORMAL) * error;
    Some(((mean - reach).exp(), (mean + reach).exp()))
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("rounds are few"))
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2}", self.median)?;
        match self.interval {
            Some((low, high)) => write!(f, " ({low:.2}–{high:.2})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(worst(&[0.3, 0.9, 0.2]), 0.9);
    }

    #[test]
    fn equal_rounds_leave_no_doubt() {
        let ratio = Ratio::of(&[2.0, 4.0, 6.0], &[4.0, 8.0, 12.0]);
        let (low, high) = ratio.interval.unwrap();
        assert_eq!(ratio.median, 0.5);
        assert!((low - 0.5).abs() < 1e-9 && (high - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_interval_is_students() {
        // Logarithms -ln 2, 0, ln 2: mean 0, deviation ln 2, so the reach is 4.303 * ln 2 / sqrt 3 = 1.7220.
        let (low, high) = Ratio::of(&[1.0, 1.0, 1.0], &[2.0, 1.0, 0.5]).interval.unwrap();
        assert!((high - 5.596).abs() < 0.01, "{high}");
        assert!((low * high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_round_has_no_interval() {
        let ratio = Ratio::of(&[1.0], &[4.0]);
        assert_eq!(ratio.interval, None);
        assert_eq!(ratio.to_string(), "0.25");
    }

    #[test]
    fn many_rounds_use_the_normal_quantile() {
        assert!(Ratio::of(&[1.5; 40], &[1.0; 40]).interval.is_some());
    }
}
