//! Which way of running a model is the fastest here: with how many threads, and with whose kernels.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use super::threads::{at_work, own_number, processor_times};
use super::times::{FEWEST_RUNS, Runs, Times};
use crate::media::RgbView;
use crate::model::{Bundle, Delegate};
use crate::vision::{DetectorError, ObjectFinder, ObjectsConfig};

/// Up to here each number of threads is tried; beyond it, only the doublings and the number of cores.
const EACH_UP_TO: usize = 4;
/// Medians nearer to each other than this are the same: it is what they differ by from one measuring to the next.
const NOISE: f64 = 0.03;

/// A way of running a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Way {
    /// Threads that are asked for.
    pub threads: usize,
    /// Whether XNNPACK's kernels are asked for.
    pub accelerate: bool,
}

/// What became of a way.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Tried {
    #[serde(flatten)]
    pub way: Way,
    /// Whose kernels ran.
    pub delegate: Delegate,
    /// How many threads really worked; `None` where the system does not tell.
    pub threads_at_work: Option<usize>,
    #[serde(flatten)]
    pub inference: Times,
}

impl Way {
    /// The ways that there are on `cores` cores, or with `threads` threads alone; XNNPACK's first, where it can be had.
    pub fn all(threads: Option<usize>, cores: usize, has_xnnpack: bool) -> Vec<Self> {
        let doublings = std::iter::successors(Some(2 * EACH_UP_TO), |threads| threads.checked_mul(2));
        let counts: Vec<usize> = match threads {
            Some(threads) => vec![threads],
            None => (1..=cores.min(EACH_UP_TO))
                .chain(doublings.take_while(|threads| *threads < cores))
                .chain((cores > EACH_UP_TO).then_some(cores))
                .collect(),
        };
        let kernels: &[bool] = if has_xnnpack { &[true, false] } else { &[false] };
        kernels.iter().flat_map(|&accelerate| counts.iter().map(move |&threads| Self { threads, accelerate })).collect()
    }

    /// A finder that runs its model this way.
    pub fn finder(self, bundle: &Bundle) -> Result<ObjectFinder, DetectorError> {
        let Self { threads, accelerate } = self;
        ObjectFinder::new(&ObjectsConfig { threads: Some(threads), accelerate, ..ObjectsConfig::default() }, bundle)
    }
}

/// Tries `ways` on `picture` for `time` in all, each twice, there and back: so a machine that slows down as it gets warm
/// does not favour the first. One step of `progress` a try.
///
/// Other threads may be at work: those that there are already are not counted.
///
/// # Errors
/// As of [`ObjectFinder`].
pub(super) fn try_all(
    ways: &[Way],
    bundle: &Bundle,
    picture: RgbView<'_>,
    time: Duration,
    progress: &ProgressBar,
) -> Result<Vec<Tried>, DetectorError> {
    let own = own_number();
    let others: Vec<u32> = processor_times().into_keys().filter(|thread| Some(*thread) != own).collect();
    let share = time / (2 * ways.len().max(1)) as u32;
    let mut runs: Vec<(Runs, Delegate, Option<usize>)> =
        ways.iter().map(|_| (Runs::default(), Delegate::None, None)).collect();
    for index in (0..ways.len()).chain((0..ways.len()).rev()) {
        let start = Instant::now();
        let (runs, delegate, threads) = &mut runs[index];
        let mut finder = ways[index].finder(bundle)?;
        *delegate = finder.delegate();
        // The first run prepares weights and starts threads.
        finder.prepare(picture)?;
        finder.infer()?;
        let enough = runs.len() + FEWEST_RUNS.div_ceil(2);
        let before = processor_times();
        while runs.len() < enough || start.elapsed() < share {
            // The input's memory is also the model's scratch space: it is filled anew, or numbers no picture has slow it.
            finder.prepare(picture)?;
            runs.time(|| finder.infer())?;
        }
        *threads = (*threads).max(at_work(&before, &processor_times(), &others));
        progress.inc(1);
    }
    let tried = |(&way, (runs, delegate, threads_at_work)): (&Way, (Runs, Delegate, Option<usize>))| Tried {
        way,
        delegate,
        threads_at_work,
        inference: runs.times(),
    };
    Ok(ways.iter().zip(runs).map(tried).collect())
}

/// The way with the least median; among those that are as fast, the one with the fewest threads.
pub(super) fn fastest(tried: &[Tried]) -> Option<&Tried> {
    let least = tried.iter().map(|tried| tried.inference.median_ms).min_by(f64::total_cmp)?;
    tried
        .iter()
        .filter(|tried| tried.inference.median_ms <= least * (1.0 + NOISE))
        .min_by_key(|tried| tried.way.threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_threads_are_all_tried_and_many_are_doubled() {
        let threads = |cores| -> Vec<usize> { Way::all(None, cores, false).iter().map(|way| way.threads).collect() };
        assert_eq!(threads(1), [1]);
        assert_eq!(threads(4), [1, 2, 3, 4]);
        assert_eq!(threads(6), [1, 2, 3, 4, 6]);
        assert_eq!(threads(8), [1, 2, 3, 4, 8]);
        assert_eq!(threads(40), [1, 2, 3, 4, 8, 16, 32, 40]);
        let way = |threads, accelerate| Way { threads, accelerate };
        assert_eq!(Way::all(Some(3), 8, true), [way(3, true), way(3, false)]);
        assert_eq!(Way::all(None, 2, true), [way(1, true), way(2, true), way(1, false), way(2, false)]);
    }

    #[test]
    fn the_fastest_has_no_thread_more_than_it_needs() {
        let tried = |medians: &[f64]| -> Vec<Tried> {
            let tried = |(index, &median_ms): (usize, &f64)| Tried {
                way: Way { threads: index + 1, accelerate: true },
                delegate: Delegate::Xnnpack,
                threads_at_work: None,
                inference: Times { median_ms, p95_ms: 2.0 * median_ms, runs: 9 },
            };
            medians.iter().enumerate().map(tried).collect()
        };
        let threads = |medians: &[f64]| fastest(&tried(medians)).map(|tried| tried.way.threads);
        assert_eq!(threads(&[20.0, 11.0, 8.0, 7.9]), Some(3));
        assert_eq!(threads(&[20.0, 11.0, 8.0, 7.0]), Some(4));
        assert_eq!(threads(&[5.0, 11.0]), Some(1));
        assert_eq!(threads(&[]), None);
    }
}
