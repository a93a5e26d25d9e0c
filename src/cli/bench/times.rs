//! How long one thing took, run after run.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Fewer runs have no spread. On a slow machine they may take longer than they were given.
pub(super) const FEWEST_RUNS: usize = 3;

/// The time of every run.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Duration>);

impl Runs {
    /// Times one run of `work`, and returns what that returns.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.0.push(start.elapsed());
        done
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What is reported of them; zeros where there are none.
    pub fn times(&self) -> Times {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        // The nearest rank: a time that was seen, not one between two.
        let rank = |share: f64| (share * sorted.len() as f64).ceil() as usize;
        let at = |share: f64| sorted.get(rank(share).max(1) - 1).copied().unwrap_or_default();
        Times { median_ms: milliseconds(at(0.5)), p95_ms: milliseconds(at(0.95)), runs: sorted.len() }
    }
}

/// What is reported of a part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Times {
    /// Half of the runs took no longer, in milliseconds.
    pub median_ms: f64,
    /// 95 % of the runs took no longer, in milliseconds.
    pub p95_ms: f64,
    /// How many runs there were.
    pub runs: usize,
}

/// To the microsecond: finer times are the clock's noise.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_p95_are_the_nearest_ranks() {
        let times = |micros: &[u64]| Runs(micros.iter().copied().map(Duration::from_micros).collect()).times();
        let hundred: Vec<u64> = (1..=100).rev().map(|n| n * 1000).collect();
        assert_eq!(times(&hundred), Times { median_ms: 50.0, p95_ms: 95.0, runs: 100 });
        assert_eq!(times(&[7, 1, 4]), Times { median_ms: 0.004, p95_ms: 0.007, runs: 3 });
        assert_eq!(times(&[]), Times { median_ms: 0.0, p95_ms: 0.0, runs: 0 });
    }

    #[test]
    fn a_run_takes_as_long_as_its_work() {
        let mut runs = Runs::default();
        let start = Instant::now();
        let answer = runs.time(|| {
            while start.elapsed() < Duration::from_millis(2) {}
            42
        });
        let most = start.elapsed().as_secs_f64() * 1e3 + 0.001;
        assert!(answer == 42 && runs.len() == 1);
        assert!((2.0..=most).contains(&runs.times().median_ms), "{:?} of {most}", runs.times());
    }
}
