//! What the spotter heard and what it made of it, as a picture of the last seconds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Label;
use crate::media::MediaTime;

/// Three seconds can still be followed by the eye, as a word lasts half a second; a little more, so that the picture can
/// scroll on evenly from one look to the next.
const KEPT: Duration = Duration::from_millis(3_200);
/// No picture has more values (4 MiB): of a front end that makes more it shows less time. A bound for hostile bundles.
const MOST_VALUES: usize = 1 << 20;
/// More words than that nobody tells apart by colour. A bound for hostile bundles.
const MOST_WORDS: usize = 32;

/// A word that is listened for.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownWord {
    /// The word.
    pub label: Label,
    /// Its score from which on it is a command, 0…1.
    pub threshold: f32,
}

/// The last seconds of sound as the spotter hears them: columns of features, and the smoothed scores of its words.
///
/// ```text
///  row ▲ features                        score ▲ one curve a word
///      │ ░▒▓▒░    ▒▓▒                         │    ╭──╮
///      │ ░▓█▓▒░  ▒▓█▓▒                        │ ───╯  ╰────
///      └─────────────▶ column                 └────────────▶ look
/// ```
/// Once it is full, neither a look nor a copy into one that was full before ([`SoundPicture::copy_from`]) allocates.
#[derive(Clone, Debug, Default)]
pub struct SoundPicture {
    /// The end of the newest column.
    time: MediaTime,
    /// From one column to the next.
    step: Duration,
    /// Values of a column.
    rows: usize,
    /// Column after column, the oldest first.
    values: Vec<f32>,
    words: Arc<[ShownWord]>,
    /// When the spotter looked, the oldest first.
    looks: VecDeque<MediaTime>,
    /// A score a word for each of `looks`.
    scores: VecDeque<f32>,
}

impl SoundPicture {
    /// A picture of nothing yet, with columns of `rows` values every `step` and the curves of `words`.
    pub fn new(rows: usize, step: Duration, words: impl IntoIterator<Item = ShownWord>) -> Self {
        let (rows, step) = (rows.clamp(1, MOST_VALUES), step.max(Duration::from_micros(1)));
        let columns = (KEPT.as_nanos() / step.as_nanos()) as usize;
        let values = vec![f32::NAN; columns.clamp(1, MOST_VALUES / rows) * rows];
        Self { rows, step, values, words: words.into_iter().take(MOST_WORDS).collect(), ..Self::default() }
    }

    /// Moves on to `time`, that of a look at `window`.
    ///
    /// - **in**: `window`, columns of features, the oldest first, in two pieces that follow each other; none if nothing
    ///   was computed. Of those only what came since the last look is new; what is missing in between stays empty
    /// - **in**: `scores`, the smoothed score of each of [`SoundPicture::words`], 0…1
    pub fn look(&mut self, time: MediaTime, window: [&[f32]; 2], scores: impl IntoIterator<Item = f32>) {
        let rows = self.rows;
        let gone = (time - self.time.since_start()).since_start().as_nanos() + self.step.as_nanos() / 2;
        let is_first = self.looks.is_empty();
        let passed = match is_first {
            true => self.columns(),
            false => ((gone / self.step.as_nanos()) as usize).min(self.columns()),
        };
        self.values.copy_within(passed * rows.., 0);
        let from = self.values.len() - passed * rows;
        self.values[from..].fill(f32::NAN);
        let [older, newer] = window;
        let heard = (older.len() + newer.len()) / rows * rows;
        let new = heard.min(passed * rows);
        let place = self.values.len() - new;
        let latest = older.iter().chain(newer).skip(older.len() + newer.len() - new);
        for (value, heard) in self.values[place..].iter_mut().zip(latest) {
            *value = *heard;
        }
        self.time = time;
        // One that is just out of the picture stays: the curve comes in from there.
        let start = self.start();
        while self.looks.get(1).is_some_and(|second| *second <= start) || self.looks.len() > self.columns() {
            self.looks.pop_front();
            self.scores.drain(..self.words.len());
        }
        self.looks.push_back(time);
        self.scores.extend(scores.into_iter().chain(std::iter::repeat(0.0)).take(self.words.len()));
    }

    /// Forgets all that was heard.
    pub fn clear(&mut self) {
        self.values.fill(f32::NAN);
        self.looks.clear();
        self.scores.clear();
    }

    /// Becomes what `other` is, in the memory that it has.
    pub fn copy_from(&mut self, other: &Self) {
        let Self { time, step, rows, values, words, looks, scores } = other;
        (self.time, self.step, self.rows) = (*time, *step, *rows);
        self.values.clone_from(values);
        self.words.clone_from(words);
        self.looks.clone_from(looks);
        self.scores.clone_from(scores);
    }

    /// When it begins.
    pub fn start(&self) -> MediaTime {
        self.time - self.step.saturating_mul(self.columns() as u32)
    }

    /// The end of what was heard last.
    pub fn time(&self) -> MediaTime {
        self.time
    }

    /// From one column to the next.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// How many columns it has.
    pub fn columns(&self) -> usize {
        self.values.len() / self.rows.max(1)
    }

    /// How many values a column has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The values of a column, the lowest row first, NaN where nothing was computed; the oldest column has number 0.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn column(&self, column: usize) -> &[f32] {
        &self.values[column * self.rows..][..self.rows]
    }

    /// The words whose scores it has.
    pub fn words(&self) -> &[ShownWord] {
        &self.words
    }

    /// When the spotter looked, the oldest first.
    pub fn looks(&self) -> impl DoubleEndedIterator<Item = MediaTime> + ExactSizeIterator + Clone + '_ {
        self.looks.iter().copied()
    }

    /// The score of a word in a look, 0…1; 0 where there is none.
    pub fn score(&self, look: usize, word: usize) -> f32 {
        self.scores.get(look * self.words.len() + word).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(label: &str) -> ShownWord {
        ShownWord { label: label.into(), threshold: 0.5 }
    }

    /// Two rows every 10 ms.
    fn picture() -> SoundPicture {
        SoundPicture::new(2, Duration::from_millis(10), [word("yes"), word("no")])
    }

    fn at(seconds: f64) -> MediaTime {
        MediaTime::from_nanos((seconds * 1e9) as i64)
    }

    /// The lower values of the newest columns, without those that hold nothing.
    fn newest(picture: &SoundPicture, count: usize) -> Vec<f32> {
        let from = picture.columns() - count;
        (from..picture.columns()).map(|column| picture.column(column)[0]).filter(|value| !value.is_nan()).collect()
    }

    #[test]
    fn each_look_adds_what_is_new_of_its_window() {
        let mut picture = picture();
        assert_eq!(picture.columns(), 320);
        picture.look(at(1.0), [&[1.0, 0.0], &[2.0, 0.0, 3.0, 0.0]], [0.1, 0.2]);
        assert_eq!(newest(&picture, 320), [1.0, 2.0, 3.0]);
        picture.look(at(1.02), [&[2.0, 0.0, 3.0, 0.0, 4.0], &[0.0, 5.0, 0.0]], [0.3, 0.4]);
        assert_eq!(newest(&picture, 320), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((picture.score(0, 1), picture.score(1, 0), picture.score(2, 0)), (0.2, 0.3, 0.0));
    }

    #[test]
    fn what_was_not_computed_or_lost_is_empty_and_takes_its_time() {
        let mut picture = picture();
        picture.look(at(1.0), [&[1.0, 0.0], &[]], [0.0, 0.0]);
        picture.look(at(1.1), [&[], &[]], [0.0, 0.0]);
        picture.look(at(1.2), [&[7.0, 0.0], &[]], [0.0, 0.0]);
        assert_eq!(newest(&picture, 21), [1.0, 7.0]);
        assert_eq!(newest(&picture, 20), [7.0]);
        picture.look(at(500.0), [&[8.0, 0.0], &[]], [0.0, 0.0]);
        assert_eq!(newest(&picture, 320), [8.0]);
        picture.clear();
        assert_eq!((newest(&picture, 320).len(), picture.looks().len()), (0, 0));
    }

    #[test]
    fn a_front_end_without_measure_makes_no_picture_without_measure() {
        for (rows, step) in
            [(0, Duration::ZERO), (usize::MAX, Duration::ZERO), (usize::MAX, Duration::MAX), (1, Duration::MAX)]
        {
            let mut picture = SoundPicture::new(rows, step, [word("yes")]);
            picture.look(at(1.0), [&[1.0], &[2.0]], [0.5]);
            picture.look(at(9e9), [&[], &[]], [0.5]);
            assert!(picture.columns() >= 1 && picture.columns() * picture.rows() <= MOST_VALUES, "{rows} {step:?}");
        }
    }

    proptest! {
        // The largest pictures take their time.
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_comes_it_stays_within_its_bounds(
            rows in 0usize..300, step_us in 0u64..50_000,
            looks in prop::collection::vec((0u32..200, 0usize..40), 1..20)
        ) {
            let mut picture = SoundPicture::new(rows, Duration::from_micros(step_us), (0..40).map(|_| word("x")));
            let mut copy = SoundPicture::default();
            let window = vec![0.5; 400];
            let mut time = 0.0;
            for (tenths, cut) in looks {
                time += f64::from(tenths) / 10.0;
                picture.look(at(time), [&window[..cut], &window[cut..2 * cut]], [0.5]);
                prop_assert!(picture.columns() >= 1 && picture.columns() * picture.rows() <= MOST_VALUES);
                prop_assert!(picture.looks().len() <= picture.columns() + 1);
                prop_assert!(picture.looks().next_back() == Some(picture.time()));
            }
            copy.copy_from(&picture);
            prop_assert_eq!(copy.looks().len(), picture.looks().len());
        }
    }
}
