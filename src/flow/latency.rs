//! How long things take, told by percentiles: a histogram of fixed size that many threads may write without waiting.
//!
//! The scale is log-linear, as in HdrHistogram (Gil Tene): the first microseconds have a bucket each, and after that
//! every doubling is cut into 64 equal buckets.
//! ```text
//!  µs      0 … 127        128 … 255    256 … 511
//!  bucket  one for each   one for 2    one for 4   …
//! ```
//! A percentile is the middle of its bucket, so it is off by [`RELATIVE_ERROR`] at most, and by half a microsecond where
//! that is more. The longest time is kept as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// log2 of [`FINE`].
const FINE_BITS: u32 = 6;
/// Buckets of one doubling.
const FINE: u64 = 1 << FINE_BITS;
/// Longer times count as this: 2^32 µs are 71 minutes.
const MOST_BITS: u32 = 32;
/// 27 × 64 counters: 14 KiB.
const BUCKETS: usize = ((MOST_BITS - FINE_BITS + 1) as usize) << FINE_BITS;

/// How far a percentile of [`Times`] may lie from the true one, as a share of it: half a bucket.
pub const RELATIVE_ERROR: f64 = 0.5 / FINE as f64;

/// A way that takes time, such as that from a frame's capture to its result. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Way(Arc<Histogram>);

#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    longest_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], longest_us: AtomicU64::new(0) }
    }
}

/// What is known of the times that a [`Way`] took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Times {
    /// How often it was gone.
    pub count: u64,
    /// Half of the times are at most this.
    pub p50_ms: f64,
    /// 95 of 100 are at most this.
    pub p95_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// A way's name with its times.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct WayTimes {
    /// "from → to", as of edges.
    pub way: String,
    /// What it took.
    #[serde(flatten)]
    pub times: Times,
}

impl Way {
    /// The way was gone once more, and took `time`. Two atomic operations; waits for nobody, allocates nothing.
    pub fn took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.buckets[bucket_of(us)].fetch_add(1, Ordering::Relaxed);
        self.0.longest_us.fetch_max(us, Ordering::Relaxed);
    }

    /// The times so far.
    pub fn times(&self) -> Times {
        let counts = || self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let count: u64 = counts().sum();
        let longest_us = self.0.longest_us.load(Ordering::Relaxed) as f64;
        // The nearest rank: the least time that so many of a hundred do not exceed.
        let percentile_ms = |percent: u64| {
            let rank = (count * percent).div_ceil(100);
            let mut seen = 0;
            let bucket = counts().position(|in_bucket| {
                seen += in_bucket;
                seen >= rank
            });
            // A middle may lie beyond the longest, which shares its bucket.
            bucket.filter(|_| count > 0).map_or(0.0, |bucket| middle_us(bucket).min(longest_us) / 1e3)
        };
        let [p50_ms, p95_ms, p99_ms] = [50, 95, 99].map(percentile_ms);
        Times { count, p50_ms, p95_ms, p99_ms, max_ms: longest_us / 1e3 }
    }
}

fn bucket_of(us: u64) -> usize {
    let us = us.min((1 << MOST_BITS) - 1);
    // Below two times `FINE` nothing is cut off, and a bucket's number is its time.
    let cut_bits = (us | FINE).ilog2() - FINE_BITS;
    ((u64::from(cut_bits) << FINE_BITS) + (us >> cut_bits)) as usize
}

/// The middle of the times that fall into `bucket`.
fn middle_us(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    let cut_bits = (bucket >> FINE_BITS).saturating_sub(1);
    let first = (bucket - (cut_bits << FINE_BITS)) << cut_bits;
    first as f64 + ((1u64 << cut_bits) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_way_never_gone_has_no_times() {
        assert_eq!(Way::default().times(), Times::default());
    }

    #[test]
    fn every_time_has_a_bucket_and_buckets_follow_each_other() {
        let ends = (1..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u64::MAX]);
        let buckets: Vec<usize> = ends.map(bucket_of).collect();
        assert!(buckets.is_sorted() && buckets.last() == Some(&(BUCKETS - 1)), "{buckets:?}");
        for us in 0..100_000 {
            let (bucket, middle) = (bucket_of(us), middle_us(bucket_of(us)));
            assert!((middle - us as f64).abs() <= (us as f64 * RELATIVE_ERROR).max(0.5), "{us} µs: {middle}");
            assert!(bucket_of(us + 1) - bucket <= 1, "{us} µs");
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_times(mut times in prop::collection::vec(0u64..100_000_000, 1..500)) {
            let way = Way::default();
            times.iter().for_each(|us| way.took(Duration::from_micros(*us)));
            times.sort_unstable();
            let told = way.times();
            for (percent, told_ms) in [(50, told.p50_ms), (95, told.p95_ms), (99, told.p99_ms)] {
                let true_us = times[(times.len() * percent).div_ceil(100) - 1] as f64;
                let off_us = (told_ms * 1e3 - true_us).abs();
                prop_assert!(off_us <= (true_us * RELATIVE_ERROR).max(0.5) + 1e-6, "p{percent}: {told_ms} ms, {true_us} µs");
            }
            prop_assert_eq!((told.count, told.max_ms), (times.len() as u64, times[times.len() - 1] as f64 / 1e3));
        }
    }

    #[test]
    fn threads_that_write_at_once_lose_nothing() {
        let way = Way::default();
        std::thread::scope(|scope| {
            (0..4).for_each(|_| {
                scope.spawn(|| (0..10_000).for_each(|us| way.took(Duration::from_micros(us))));
            });
        });
        assert_eq!(way.times().count, 40_000);
    }
}
