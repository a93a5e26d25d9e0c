//! What other thresholds would have done: the decisions are made again on scores that were kept.

use serde::Serialize;

use super::confusion::share;
use super::judge::{Reported, Script, Tally};
use super::on_threads::{on_threads, thread_count};
use crate::cli::intervals::{Interval, count_95, share_95};
use crate::media::MediaTime;
use crate::speech::{Decider, DecisionSettings};

/// The thresholds that are tried, in thousandths: sure models say much above 0.9, so that steps are finer there.
fn tried() -> impl Iterator<Item = u16> {
    (300..900).step_by(10).chain(900..=995)
}

/// A rate is claimed only where none at all would bound it by 95 %: the "rule of three" (see [`count_95`]).
const HOURS_FOR_ONE_AN_HOUR: f64 = 3.0;

/// The scores of every look at a stream.
#[derive(Debug, Default)]
pub(super) struct Looks {
    times: Vec<MediaTime>,
    /// One score a label for each.
    scores: Vec<f32>,
}

impl Looks {
    /// Keeps a look.
    pub fn push(&mut self, time: MediaTime, scores: &[f32]) {
        self.times.push(time);
        self.scores.extend_from_slice(scores);
    }

    /// What a decider of these settings reports.
    pub fn reported(&self, settings: DecisionSettings) -> Vec<Reported> {
        let labels = settings.thresholds.len();
        let mut decider = Decider::new(settings);
        let looks = self.times.iter().zip(self.scores.chunks(labels.max(1)));
        let report = |(time, scores): (&MediaTime, &[f32])| {
            let decided = decider.decide(*time, scores)?;
            Some(Reported { decided_s: time.as_secs(), label: decided.label, score: decided.score })
        };
        looks.filter_map(report).collect()
    }
}

/// How well commands are found. Shares are 0…1, and `null` where there is nothing to measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Performance {
    pub hits: usize,
    pub misses: usize,
    pub miss_rate: Option<f64>,
    pub miss_rate_95: Option<Interval>,
    pub wrong_words: usize,
    pub repeats: usize,
    pub false_accepts: usize,
    pub false_accepts_an_hour: Option<f64>,
    pub false_accepts_an_hour_95: Option<Interval>,
}

impl Performance {
    /// The rates behind a tally over so many hours without commands.
    pub fn new(tally: &Tally, hours: f64) -> Self {
        let an_hour = |value: f64| (hours > 0.0).then_some(value / hours);
        Self {
            hits: tally.hits,
            misses: tally.misses(),
            miss_rate: share(tally.misses(), tally.spoken),
            miss_rate_95: share_95(tally.misses(), tally.spoken),
            wrong_words: tally.wrong_words,
            repeats: tally.repeats,
            false_accepts: tally.false_accepts,
            false_accepts_an_hour: an_hour(tally.false_accepts as f64),
            false_accepts_an_hour_95: (hours > 0.0).then(|| count_95(tally.false_accepts).per(hours)),
        }
    }
}

/// How well they are found with other thresholds than the bundle's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Point {
    /// About what the thresholds lie: each is as far from it, in log odds, as the bundle has it from its own mean.
    pub threshold: f32,
    #[serde(flatten)]
    pub performance: Performance,
}

/// Tries every threshold on all streams; the lowest comes first.
pub(super) fn sweep(
    streams: &[(&Script, &Looks)],
    settings: &DecisionSettings,
    hours: f64,
) -> anyhow::Result<Vec<Point>> {
    let thresholds: Vec<f32> = tried().map(|thousandths| f32::from(thousandths) / 1000.0).collect();
    let apart = distances(&settings.thresholds);
    let threads = thread_count(None, thresholds.len());
    on_threads(
        threads,
        &thresholds,
        || Ok(()),
        |(), threshold| {
            let thresholds =
                apart.iter().map(|distance| distance.map(|distance| moved(*threshold, distance))).collect();
            let settings = DecisionSettings { thresholds, ..settings.clone() };
            let mut tally = Tally::default();
            for (script, looks) in streams {
                tally.add(script, &script.judge(&looks.reported(settings.clone())));
            }
            Ok(Point { threshold: *threshold, performance: Performance::new(&tally, hours) })
        },
    )
}

/// How far each threshold lies from the mean of all, in log odds.
fn distances(thresholds: &[Option<f32>]) -> Vec<Option<f64>> {
    let own: Vec<f64> = thresholds.iter().flatten().map(|threshold| log_odds(*threshold)).collect();
    let mean = own.iter().sum::<f64>() / own.len().max(1) as f64;
    thresholds.iter().map(|threshold| threshold.map(|threshold| log_odds(threshold) - mean)).collect()
}

/// The threshold that lies so far from another in log odds.
fn moved(threshold: f32, distance: f64) -> f32 {
    // Where the bundle has one threshold for all words, those that are tried are exactly those that are told.
    if distance.abs() < 1e-9 {
        return threshold;
    }
    (1.0 / (1.0 + (-log_odds(threshold) - distance).exp())) as f32
}

fn log_odds(threshold: f32) -> f64 {
    let threshold = f64::from(threshold).clamp(1e-3, 1.0 - 1e-3);
    (threshold / (1.0 - threshold)).ln()
}

/// The miss rate at a rate of false accepts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct AtRate {
    /// The rate that may not be passed.
    pub false_accepts_an_hour_at_most: f64,
    /// How many hours without commands it takes to tell so low a rate from none.
    pub needs_hours: f64,
    /// The threshold with the fewest misses, and what it does; `null` if there are too few hours, or no command was
    /// spoken, or no threshold keeps the rate.
    pub best: Option<Point>,
}

/// The fewest misses at a rate of at most `an_hour`, over so many hours without commands.
///
/// The threshold is chosen on the streams that it is measured on, so that the figure flatters a little: take other
/// streams to choose thresholds than to report them.
pub(super) fn at_rate(an_hour: f64, points: &[Point], hours: f64) -> AtRate {
    let needs_hours = HOURS_FOR_ONE_AN_HOUR / an_hour;
    let keeps = |point: &&Point| {
        let Performance { miss_rate, false_accepts_an_hour, .. } = point.performance;
        hours >= needs_hours && miss_rate.is_some() && false_accepts_an_hour.is_some_and(|rate| rate <= an_hour)
    };
    let best =
        points.iter().filter(keeps).min_by_key(|point| (point.performance.misses, point.performance.false_accepts));
    AtRate { false_accepts_an_hour_at_most: an_hour, needs_hours, best: best.cloned() }
}

#[cfg(test)]
mod tests {
    use super::super::judge::Spoken;
    use super::*;
    use std::time::Duration;

    /// A look every 100 ms from 1 s on, at scores of "yes"; the other label is silence.
    fn looks(yes: &[f32]) -> Looks {
        let mut looks = Looks::default();
        for (score, tenths) in yes.iter().zip(10i64..) {
            looks.push(MediaTime::from_nanos(tenths * 100_000_000), &[1.0 - score, *score]);
        }
        looks
    }

    fn settings() -> DecisionSettings {
        DecisionSettings { smoothing: 1, thresholds: vec![None, Some(0.5)], renewed_after: Duration::from_secs(1) }
    }

    #[test]
    fn a_higher_threshold_misses_more_and_accepts_less() {
        // A word at 1 s with a peak of 0.8; much later something like it with one of 0.6.
        let mut yes = vec![0.0; 100];
        (yes[5], yes[80]) = (0.8, 0.6);
        let looks = looks(&yes);
        let script = Script::new(vec![Spoken { start_s: 1.0, end_s: 1.4, label: 1 }]);
        let points = sweep(&[(&script, &looks)], &settings(), 0.5).expect("no failure");
        assert_eq!(points.len(), 156);
        for Point { threshold, performance } in &points {
            let expected = (usize::from(*threshold > 0.8), usize::from(*threshold <= 0.6));
            assert_eq!((performance.misses, performance.false_accepts), expected, "{threshold}");
        }
        assert_eq!(points[0].performance.false_accepts_an_hour, Some(2.0));
        let [low, high] = points[0].performance.false_accepts_an_hour_95.expect("hours").into();
        assert!((low - 2.0 * 0.025_318).abs() < 1e-5 && (high - 2.0 * 5.571_643).abs() < 1e-5, "{low} {high}");
    }

    #[test]
    fn the_rate_is_kept_with_as_few_misses_as_can_be_and_claimed_only_with_enough_hours() {
        let point = |threshold, misses: usize, false_accepts| {
            let tally = Tally { spoken: 10, hits: 10 - misses, false_accepts, ..Tally::default() };
            Point { threshold, performance: Performance::new(&tally, 6.0) }
        };
        let points = [point(0.3, 0, 60), point(0.5, 1, 6), point(0.6, 1, 4), point(0.8, 3, 1), point(0.9, 9, 0)];
        let chosen = |an_hour, hours| at_rate(an_hour, &points, hours).best.map(|point| point.threshold);
        assert_eq!(chosen(10.0, 6.0), Some(0.3));
        assert_eq!(chosen(1.0, 6.0), Some(0.6));
        assert_eq!(chosen(0.5, 6.0), Some(0.8));
        assert_eq!(chosen(0.5, 5.9), None);
        assert_eq!(chosen(0.1, 29.9), None);
        assert_eq!(chosen(0.1, 30.0), Some(0.9));
        assert_eq!(at_rate(0.1, &points, 6.0).needs_hours, 30.0);
        assert_eq!(at_rate(1.0, &points[..1], 6.0).best, None);
        let silent = Point { threshold: 0.5, performance: Performance::new(&Tally::default(), 6.0) };
        assert_eq!(at_rate(1.0, &[silent], 6.0).best, None);
    }

    #[test]
    fn thresholds_move_together_and_keep_their_order() {
        let own = [None, Some(0.6), Some(0.9)];
        let apart = distances(&own);
        // The mean of both in log odds, where nothing moves: odds of 1.5 and of 9.
        let mean = 13.5f32.sqrt() / (1.0 + 13.5f32.sqrt());
        let at = |threshold| apart.iter().map(|one| one.map(|one| moved(threshold, one))).collect::<Vec<_>>();
        for (moved, own) in at(mean).iter().zip(&own) {
            assert!((moved.unwrap_or(0.0) - own.unwrap_or(0.0)).abs() < 1e-6, "{moved:?} {own:?}");
        }
        let [None, Some(low), Some(high)] = at(0.95)[..] else { panic!("two thresholds") };
        assert!(0.6 < low && low < 0.95 && 0.95 < high && high < 1.0, "{low} {high}");
    }

    #[test]
    fn without_hours_there_is_no_rate() {
        let performance = Performance::new(&Tally::default(), 0.0);
        assert_eq!((performance.false_accepts_an_hour, performance.miss_rate), (None, None));
    }
}
