//! From what was heard to thresholds, and what may be expected of them. Pure: no sound, no clock.
//!
//! Scores are compared as log odds, where what a network says of noise, and of one person's takes of a word, spreads
//! about evenly; between 0 and 1 everything crowds at the ends.
//!
//! - **False accepts.** Sound is cut into stretches that know nothing of each other. Beyond its upper quarter, the highest
//!   score of a stretch is taken to fall off exponentially (Pickands, 1975: peaks over a threshold), at a rate that the
//!   stretches tell and, as they are few, [what other rooms told](ROOMS). So a minute says something of rates that it is
//!   too short to show, if the room stays as it was.
//! - **Misses.** The peaks of one word's takes are taken for a logistic distribution, with one spread for all words, which
//!   the takes tell and, as they are few, [what other speakers told](SPEAKERS).

use std::f64::consts::PI;
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::cli::intervals::{Interval, count_95, share_95};

/// 95 % of a normal distribution lie within so many standard deviations.
const Z: f64 = 1.96;
/// Half a step of a score in eight bits: nothing nearer to 0 or 1 is told apart.
const RESOLUTION: f64 = 1.0 / 512.0;
/// The share of stretches beyond which a tail is fitted: as few as possible, yet enough to be counted in a minute.
const TAIL_SHARE: f64 = 0.25;

/// What is known beforehand, as if so many had been observed with this mean.
#[derive(Clone, Copy, Debug)]
struct Prior {
    weight: f64,
    mean: f64,
}

/// How fast tails fall off, in log odds. With these, the rates that were foretold from single minutes of the recipe's hours
/// without commands were those counted in all of them at a threshold of 0.6, and a third more at 0.75.
const ROOMS: Prior = Prior { weight: 8.0, mean: 0.8 };
/// The variance of one speaker's takes of a word, in squared log odds. Of 170 pairs of speaker and word in validation it is
/// 0.1 in the median, and 1.7 in the mean, for the sake of takes that went wrong. With 1, two takes of the usual score
/// foretell the share that is missed there.
const SPEAKERS: Prior = Prior { weight: 4.0, mean: 1.0 };

/// Thresholds are tried in steps of a hundredth between these. Below, a word would be less likely than all else together;
/// above, the average of a sure word itself is not always.
const THRESHOLDS: RangeInclusive<u32> = 50..=98;

/// Where the room has a threshold that misses more than this share, word and room cannot be told apart.
const TOO_MANY_MISSED: f64 = 0.2;

/// What is asked of all words together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    /// False accepts an hour.
    pub false_accepts_an_hour: f64,
    /// The share of spoken words that are missed, 0…1.
    pub misses: f64,
}

/// A number, and between what it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Estimate {
    /// What is expected.
    pub expected: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

fn log_odds(score: f32) -> f64 {
    let score = f64::from(score).clamp(RESOLUTION, 1.0 - RESOLUTION);
    (score / (1.0 - score)).ln()
}

/// How often something without commands would be taken for one word.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// The highest scores, in log odds, of all stretches; the highest first.
    peaks: Vec<f64>,
    hours: f64,
    /// From here on the tail is fitted, and so many stretches lie beyond.
    start: f64,
    beyond: f64,
    /// What is known of the rate at which it falls off: a gamma distribution.
    shape: f64,
    sum: f64,
}

impl Tail {
    /// The tail of one word's peaks, one a stretch.
    pub fn of(peaks: &[f32], seconds: f64) -> Self {
        let mut peaks: Vec<f64> = peaks.iter().map(|peak| log_odds(*peak)).collect();
        peaks.sort_by(|a, b| b.total_cmp(a));
        let most = (peaks.len() as f64 * TAIL_SHARE) as usize;
        let silent = log_odds(0.0);
        let start = peaks.get(most).copied().unwrap_or(silent);
        // A score that cannot be told from 0 tells nothing of how fast scores fall off.
        let told = peaks.iter().take(most).filter(|peak| **peak > silent);
        let (count, excess) = told.fold((0.0, 0.0), |(count, sum), peak| (count + 1.0, sum + peak - start));
        Self {
            hours: seconds / 3600.0,
            start,
            beyond: f64::max(count, 1.0),
            shape: ROOMS.weight + count,
            sum: ROOMS.weight * ROOMS.mean + excess,
            peaks,
        }
    }

    /// How many stretches would have been taken for the word at this threshold.
    pub fn count(&self, threshold: f32) -> usize {
        let limit = log_odds(threshold);
        self.peaks.iter().take_while(|peak| **peak >= limit).count()
    }

    /// False accepts an hour at this threshold, if the room stays as it was.
    pub fn an_hour(&self, threshold: f32) -> Estimate {
        let distance = log_odds(threshold) - self.start;
        if distance <= 0.0 {
            let count = self.count(threshold);
            return Estimate { expected: count as f64, ..counted(count) }.times(1.0 / self.hours);
        }
        let falls = |rate: f64| (-distance * rate).exp();
        let rate = |deviations: f64| gamma_quantile(self.shape, deviations) / self.sum;
        Estimate { expected: falls(self.shape / self.sum), low: falls(rate(Z)), high: falls(rate(-Z)) }
            .times(self.beyond / self.hours)
    }
}

impl Estimate {
    /// The estimate in another unit.
    fn times(self, factor: f64) -> Self {
        Self { expected: self.expected * factor, low: self.low * factor, high: self.high * factor }
    }

    /// The estimate of a sum. Its ends are those of all summands at once, which is wider than need be.
    pub fn sum(of: impl Iterator<Item = Self>) -> Self {
        of.fold(Self { expected: 0.0, low: 0.0, high: 0.0 }, |sum, next| Self {
            expected: sum.expected + next.expected,
            low: sum.low + next.low,
            high: sum.high + next.high,
        })
    }
}

/// The quantile of a gamma distribution of scale 1 that lies as far out as so many standard deviations of a normal one;
/// Wilson and Hilferty's approximation (1931), within 3 % for shapes from 1 on.
fn gamma_quantile(shape: f64, deviations: f64) -> f64 {
    let cube_root = 1.0 - 1.0 / (9.0 * shape) + deviations / (3.0 * shape.sqrt());
    shape * cube_root.max(0.0).powi(3)
}

/// The expectation behind a count of rare things.
pub(super) fn counted(count: usize) -> Estimate {
    let Interval { low, high } = count_95(count);
    Estimate { expected: count as f64, low, high }
}

/// The share behind `part` of `whole` things, 0…1; anything if there are none.
pub(super) fn share(part: usize, whole: usize) -> Estimate {
    match share_95(part, whole) {
        Some(Interval { low, high }) => Estimate { expected: part as f64 / whole as f64, low, high },
        None => Estimate { expected: 0.5, low: 0.0, high: 1.0 },
    }
}

/// How one person says the words, as far as the takes tell.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    /// The variance of takes of one word, in squared log odds.
    variance: f64,
}

impl Speaker {
    /// What the takes of all words tell of their spread; one list of peaks a word.
    pub fn of<'a>(words: impl Iterator<Item = &'a [f32]>) -> Self {
        let (mut freedom, mut squares) = (SPEAKERS.weight, SPEAKERS.weight * SPEAKERS.mean);
        for takes in words.filter(|takes| takes.len() > 1) {
            let (mean, _) = mean_of(takes);
            freedom += takes.len() as f64 - 1.0;
            squares += takes.iter().map(|take| (log_odds(*take) - mean).powi(2)).sum::<f64>();
        }
        Self { variance: squares / freedom }
    }

    /// The share of a word's utterances that a threshold misses, 0…1; half, as good as unknown, without takes.
    pub fn misses(&self, takes: &[f32], threshold: f32) -> f64 {
        if takes.is_empty() {
            return 0.5;
        }
        let (mean, count) = mean_of(takes);
        // A mean of few takes is itself off by some of their spread.
        let scale = (self.variance * (1.0 + 1.0 / count) * 3.0).sqrt() / PI;
        1.0 / (1.0 + ((mean - log_odds(threshold)) / scale).exp())
    }
}

fn mean_of(takes: &[f32]) -> (f64, f64) {
    let count = takes.len() as f64;
    (takes.iter().map(|take| log_odds(*take)).sum::<f64>() / count, count)
}

/// What a threshold was chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Because {
    /// Neither the room nor the takes ask for another one than before.
    Before,
    /// The room asks for a higher one.
    Room,
    /// The takes ask for a lower one.
    Takes,
    /// The room asks for a higher one than the takes can reach.
    Overlap,
}

/// The threshold of one word: the one before, moved no further than the room and the takes ask for.
///
/// The one before was measured on hours of other people's speech, of which a minute in a room knows nothing: so it holds
/// unless there is a reason here. For the room that is a rate of which even the lower end is too high: what a minute merely
/// leaves possible is no reason. Where the two cannot both be had, the room wins, since a false accept does what nobody
/// asked for.
pub(super) fn threshold(before: f32, room: &Tail, speaker: &Speaker, takes: &[f32], goal: Goal) -> (f32, Because) {
    let of = |hundredths: u32| hundredths as f32 / 100.0;
    let is_quiet = |threshold: &f32| room.an_hour(*threshold).low <= goal.false_accepts_an_hour;
    let is_heard = |threshold: &f32| speaker.misses(takes, *threshold) <= goal.misses;
    let least = THRESHOLDS.map(of).find(is_quiet).unwrap_or(of(*THRESHOLDS.end()));
    if takes.is_empty() {
        return if before < least { (least, Because::Room) } else { (before, Because::Before) };
    }
    let most = THRESHOLDS.rev().map(of).find(is_heard).unwrap_or(of(*THRESHOLDS.start()));
    if most < least && speaker.misses(takes, least) > TOO_MANY_MISSED {
        (least, Because::Overlap)
    } else if before < least {
        (least, Because::Room)
    } else if before > most {
        (most.max(least), Because::Takes)
    } else {
        (before, Because::Before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOAL: Goal = Goal { false_accepts_an_hour: 0.05, misses: 0.05 };

    /// Peaks of stretches whose log odds fall off exponentially by `scale` from `start` on, as evenly as can be.
    fn peaks(count: usize, start: f64, scale: f64) -> Vec<f32> {
        let peak = |place: usize| start - scale * ((place as f64 + 0.5) / count as f64).ln();
        (0..count).map(|place| (1.0 / (1.0 + (-peak(place)).exp())) as f32).collect()
    }

    #[test]
    fn the_tail_of_many_stretches_is_found_and_few_ones_lie_about_it() {
        // A hundred minutes of which every stretch exceeds −3 by 0.9 in the mean.
        let true_rate = |threshold: f32| 2400.0 * (-(log_odds(threshold) + 3.0) / 0.9).exp();
        for (stretches, within) in [(4_000, 0.15), (40, 1.0)] {
            let tail = Tail::of(&peaks(stretches, -3.0, 0.9), stretches as f64 * 1.5);
            for threshold in [0.5, 0.7, 0.9] {
                let found = tail.an_hour(threshold);
                let wanted = true_rate(threshold);
                assert!(
                    (found.expected / wanted - 1.0).abs() < within,
                    "{stretches} at {threshold}: {found:?}, {wanted}"
                );
                assert!(found.low < wanted && wanted < found.high, "{stretches} at {threshold}: {found:?}, {wanted}");
            }
        }
    }

    fn chosen(room: &[f32], takes: &[f32]) -> (f32, Because) {
        let speaker = Speaker::of([takes].into_iter());
        threshold(0.75, &Tail::of(room, 60.0), &speaker, takes, GOAL)
    }

    #[test]
    fn a_threshold_moves_only_where_the_room_or_the_takes_ask_for_it() {
        let (quiet, lively) = (peaks(40, -9.0, 0.5), peaks(40, -4.0, 1.0));
        assert_eq!(chosen(&quiet, &[0.99, 0.995]), (0.75, Because::Before));
        assert_eq!(chosen(&quiet, &[]), (0.75, Because::Before));
        // Here a false accept an hour is to be expected, but by the minute's evidence alone there may be none in 30 hours.
        assert_eq!(chosen(&peaks(40, -5.0, 0.8), &[0.99, 0.995]), (0.75, Because::Before));
        let (raised, because) = chosen(&lively, &[0.998, 0.999]);
        assert!(raised > 0.75 && because == Because::Room, "{raised} {because:?}");
        let (lowered, because) = chosen(&quiet, &[0.9, 0.88]);
        assert!(lowered < 0.75 && because == Because::Takes, "{lowered} {because:?}");
        let (kept, because) = chosen(&peaks(40, -1.0, 1.0), &[0.6, 0.7]);
        assert!(kept > 0.75 && because == Because::Overlap, "{kept} {because:?}");
        // No threshold is so low that it hears what the model does not know.
        assert_eq!(chosen(&quiet, &[0.1, 0.2]), (0.5, Because::Takes));
    }

    proptest! {
        #[test]
        fn a_higher_threshold_misses_more_and_accepts_less(
            room in prop::collection::vec(0f32..=1.0, 1..80),
            takes in prop::collection::vec(0f32..=1.0, 0..6),
            low in 0f32..=1.0,
            high in 0f32..=1.0,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            let (tail, speaker) = (Tail::of(&room, 60.0), Speaker::of([takes.as_slice()].into_iter()));
            prop_assert!(speaker.misses(&takes, low) <= speaker.misses(&takes, high));
            prop_assert!(tail.count(low) >= tail.count(high));
            let rates = [low, high].map(|threshold| tail.an_hour(threshold));
            for rate in rates {
                prop_assert!(0.0 <= rate.low && rate.low <= rate.expected && rate.expected <= rate.high, "{:?}", rate);
                prop_assert!(rate.high.is_finite());
            }
            let (threshold, _) = threshold(0.75, &tail, &speaker, &takes, GOAL);
            prop_assert!((0.5..=0.98).contains(&threshold));
        }
    }
}
