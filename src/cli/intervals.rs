//! How much a number can be off by chance, and where the bulk of some numbers lies.

use serde::Serialize;

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// What a limit is exceeded with: 2.5 % below and 2.5 % above leave 95 % between.
const TAIL: f64 = 0.025;
/// Halvings of an interval until its ends are neighbours as far as anybody reads them.
const HALVINGS: usize = 60;

/// Where the true value lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(into = "[f64; 2]")]
pub(super) struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.low, interval.high]
    }
}

impl Interval {
    /// The interval of a rate, from that of a count over so many units.
    pub fn per(self, units: f64) -> Self {
        Self { low: self.low / units, high: self.high / units }
    }
}

/// The share behind `part` of `whole` things, 0…1: Wilson's score interval, which is honest for few things and for shares
/// near 0 and 1 (Brown, Cai and DasGupta, "Interval Estimation for a Binomial Proportion", 2001). `None` if there are none.
pub(super) fn share_95(part: usize, whole: usize) -> Option<Interval> {
    if whole == 0 {
        return None;
    }
    let (n, p) = (whole as f64, part as f64 / whole as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let reach = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / (1.0 + Z * Z / n);
    Some(Interval { low: (centre - reach).max(0.0), high: (centre + reach).min(1.0) })
}

/// The expectation behind a count of rare things: the exact limits of a Poisson distribution (Garwood, 1936).
///
/// Nothing counted has no lower limit to guard, so that all 5 % lie above: 3.0, the "rule of three".
pub(super) fn count_95(count: usize) -> Interval {
    if count == 0 {
        return Interval { low: 0.0, high: -(2.0 * TAIL).ln() };
    }
    let (n, log_factorial) = (count as f64, (1..=count).map(|k| (k as f64).ln()).sum::<f64>());
    let probability = |mean: f64| (n * mean.ln() - mean - log_factorial).exp();
    // The limits lie on either side of the count, and there the terms that follow on its own fall from the first on.
    let at_most = |mean: f64| probability(mean) * sum(|k| (n - k) / mean);
    let at_least = |mean: f64| probability(mean) * sum(|k| mean / (n + k + 1.0));
    Interval {
        low: root(0.0, n, |mean| at_least(mean) > TAIL),
        high: root(n, n + 4.0 * (n + 1.0).sqrt() + 4.0, |mean| at_most(mean) < TAIL),
    }
}

/// 1 + r(0) + r(0)·r(1) + …, until nothing is added any more.
fn sum(ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut total, mut term, mut k) = (1.0, 1.0, 0.0);
    while term > total * f64::EPSILON {
        term *= ratio(k);
        total += term;
        k += 1.0;
    }
    total
}

/// Where `is_beyond` turns from false to true.
fn root(mut low: f64, mut high: f64, is_beyond: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if is_beyond(middle) { high = middle } else { low = middle }
    }
    (low + high) / 2.0
}

/// The value below which a share of `sorted` lies, interpolated between neighbours as NumPy does; `None` of no values.
pub(super) fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(found: Interval, low: f64, high: f64) {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
        assert!(close(found.low, low) && close(found.high, high), "{found:?} instead of {low} … {high}");
    }

    #[test]
    fn counts_have_the_limits_that_scipy_computes() {
        // chi2.ppf(0.025, 2 * n) / 2 and chi2.ppf(0.975, 2 * n + 2) / 2 of SciPy 1.16.
        check(count_95(1), 0.025317807984289876, 5.571643390938898);
        check(count_95(2), 0.24220927854396496, 7.22468766772396);
        check(count_95(5), 1.6234863901184207, 11.66833207932267);
        check(count_95(37), 26.05141456710603, 50.999626141930825);
        check(count_95(1000), 938.9730184076952, 1063.952136016302);
        check(count_95(20000), 19723.767600607054, 20279.133627926407);
    }

    #[test]
    fn nothing_counted_is_bounded_by_the_rule_of_three() {
        check(count_95(0), 0.0, 2.995_732_273_553_991);
        let six_hours = count_95(0).per(6.0);
        assert!((six_hours.high - 0.5).abs() < 0.001, "{six_hours:?}");
    }

    #[test]
    fn shares_have_the_limits_that_scipy_computes() {
        // binomtest(k, n).proportion_ci(method="wilson") of SciPy 1.16.
        check(share_95(0, 10).expect("some"), 0.0, 0.27753279986288926);
        check(share_95(3, 10).expect("some"), 0.10779126740630102, 0.6032218525388546);
        check(share_95(97, 100).expect("some"), 0.9154806357094724, 0.9897454759759611);
        check(share_95(1602, 1658).expect("some"), 0.9563945667188373, 0.9738987484431884);
        check(share_95(5, 5).expect("some"), 0.5655175352168251, 1.0);
        assert_eq!(share_95(0, 0), None);
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        let values = [0.1, 0.2, 0.4, 0.8, 1.6];
        let found = [0.1, 0.5, 0.9].map(|share| percentile(&values, share).expect("values"));
        let expected = [0.14, 0.4, 1.28];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert_eq!((percentile(&[], 0.5), percentile(&[3.0], 0.9)), (None, Some(3.0)));
    }

    proptest! {
        #[test]
        fn a_count_lies_within_its_limits_and_more_has_higher_ones(count in 0usize..50_000) {
            let (this, next) = (count_95(count), count_95(count + 1));
            prop_assert!(this.low <= count as f64 && count as f64 <= this.high);
            prop_assert!(this.low < next.low && this.high < next.high);
        }
    }
}
