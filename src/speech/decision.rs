//! From scores to commands: smoothing, a threshold a word, and one event an utterance.
//!
//! ```text
//! smoothed  1 ┤        ╭───╮                  ╭──╮
//! threshold   ┼ ─ ─ ─ ╱─ ─ ─╲─ ─ ─ ─ ─ ─ ─ ─ ╱─ ─ ╲─
//!             │      ╱       ╲              ╱      ╲
//! release     ┼ ─ ─ ╱─ ─ ─ ─ ─╲─ ─ ─ ─ ─ ─ ╱─ ─ ─ ─ ╲
//!           0 ┼────╯           ╰──────────╯          ╰──▶ time
//! event              ▲                      ▲
//! armed       ───────┐          ┌──────────┐          ┌──
//! ```
//! The scores are averaged over the last few decisions, where decisions before the first count as zero: a single high
//! score at the start is no command. The best command triggers when its average reaches its threshold, if the word is
//! armed and the last event is [`QUIET_AFTER_EVENT`] ago.
//!
//! A word is armed again in two ways. Its average falls below half its threshold: the word has left the window. Or the
//! window has moved on by its whole length since the event: whatever is heard now was said since. Without the second, a
//! word said again after half a second is missed, because the one comes into the window before the other has left, and
//! a good model never doubts in between. (So a word drawn out for much longer than a second is heard again.)
//!
//! The recipe of the shipped model measures its threshold by the same rule (`models/keywords/train/stream.py`).

use std::time::Duration;

use crate::media::MediaTime;

/// After an event no other is made for this long. As a word leaves the window, what is left of it may sound like
/// another; longer would swallow the second of two commands spoken without a pause, which take some 0.5 s each.
pub const QUIET_AFTER_EVENT: Duration = Duration::from_millis(500);

/// A word is armed again below this share of its threshold. Nearer to 1, the average's own flicker makes a second event
/// of one utterance; nearer to 0, a word said twice is heard once.
const RELEASE: f32 = 0.5;

/// What makes a command out of scores.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionSettings {
    /// Over how many decisions scores are averaged; 0 is taken for 1.
    pub smoothing: usize,
    /// For each label the average that triggers it; `None` for those that are no command (silence, unknown).
    pub thresholds: Vec<Option<f32>>,
    /// After this long the newest look sees nothing of the sound before the event: the length of the window.
    pub renewed_after: Duration,
}

/// A command, as decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decided {
    /// Which label.
    pub label: usize,
    /// Its average score, which triggered.
    pub score: f32,
}

/// Turns a sequence of scores into commands. No clock, no thread; the same scores give the same commands.
#[derive(Clone, Debug)]
pub struct Decider {
    settings: DecisionSettings,
    /// The last scores, one row a decision; `next_row` is the oldest.
    recent: Vec<f32>,
    next_row: usize,
    smoothed: Vec<f32>,
    armed: Vec<bool>,
    /// The label and the time of the last event.
    last_event: Option<(usize, MediaTime)>,
}

impl Decider {
    /// A decider that has heard nothing.
    pub fn new(settings: DecisionSettings) -> Self {
        let labels = settings.thresholds.len();
        Self {
            recent: vec![0.0; labels * settings.smoothing.max(1)],
            next_row: 0,
            smoothed: vec![0.0; labels],
            armed: vec![true; labels],
            last_event: None,
            settings,
        }
    }

    /// What it decides by.
    pub fn settings(&self) -> &DecisionSettings {
        &self.settings
    }

    /// Takes the scores of the window that ends at `time`; gives the command that is decided by them, if any.
    ///
    /// - **in**: `scores`, 0…1, one a label; what is not a number counts as 0
    ///
    /// # Panics
    /// If there is not one score a label.
    pub fn decide(&mut self, time: MediaTime, scores: &[f32]) -> Option<Decided> {
        let labels = self.settings.thresholds.len();
        assert_eq!(scores.len(), labels, "one score a label");
        if labels == 0 {
            return None;
        }
        for (kept, score) in self.recent[self.next_row * labels..].iter_mut().zip(scores) {
            *kept = if score.is_finite() { *score } else { 0.0 };
        }
        let rows = self.recent.len() / labels;
        self.next_row = (self.next_row + 1) % rows;
        for (label, smoothed) in self.smoothed.iter_mut().enumerate() {
            *smoothed = self.recent.iter().skip(label).step_by(labels).sum::<f32>() / rows as f32;
        }
        self.trigger(time)
    }

    fn trigger(&mut self, time: MediaTime) -> Option<Decided> {
        if let Some((label, event)) = self.last_event
            && time >= event + self.settings.renewed_after
        {
            self.armed[label] = true;
        }
        let mut best: Option<(usize, f32, f32)> = None;
        for (label, threshold) in self.settings.thresholds.iter().enumerate() {
            let (Some(threshold), score) = (*threshold, self.smoothed[label]) else { continue };
            self.armed[label] |= score < threshold * RELEASE;
            if best.is_none_or(|(_, highest, _)| score > highest) {
                best = Some((label, score, threshold));
            }
        }
        let (label, score, threshold) = best?;
        let is_quiet = self.last_event.is_none_or(|(_, event)| time >= event + QUIET_AFTER_EVENT);
        if !(self.armed[label] && is_quiet && score >= threshold) {
            return None;
        }
        self.armed[label] = false;
        self.last_event = Some((label, time));
        Some(Decided { label, score })
    }

    /// The averages of the last decision, one a label.
    pub fn smoothed(&self) -> &[f32] {
        &self.smoothed
    }

    /// Forgets the scores, after a gap in the sound.
    pub fn reset(&mut self) {
        self.recent.fill(0.0);
        self.smoothed.fill(0.0);
        self.armed.fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Labels: silence, yes, no. `script` is one letter a decision, a decision every 100 ms from 1 s on: `.` silence,
    /// `y` and `n` a sure word, `?` a yes of 0.5, `x` an unsure mixture of both words.
    /// Returns "word@time" of each event.
    fn check(script: &str, expected: &[&str]) {
        assert_eq!(events(script), expected, "{script}");
    }

    fn events(script: &str) -> Vec<String> {
        let thresholds = vec![None, Some(0.6), Some(0.6)];
        let mut decider =
            Decider::new(DecisionSettings { smoothing: 3, thresholds, renewed_after: Duration::from_millis(1_300) });
        let scores = |letter| match letter {
            'y' => [0.05, 0.95, 0.0],
            'n' => [0.05, 0.0, 0.95],
            '?' => [0.5, 0.5, 0.0],
            'x' => [0.1, 0.45, 0.45],
            _ => [1.0, 0.0, 0.0],
        };
        let times = (10..).map(|tenths: i64| MediaTime::from_nanos(tenths * 100_000_000));
        let heard = script.chars().zip(times).filter_map(|(letter, time)| {
            let decided = decider.decide(time, &scores(letter))?;
            Some(format!("{}@{:.1}", ["silence", "yes", "no"][decided.label], time.as_secs()))
        });
        heard.collect()
    }

    #[test]
    fn one_utterance_gives_one_event_as_long_as_it_is_in_the_window() {
        check("...yyyyy......", &["yes@1.4"]);
        check("...yyyyyyyyyyyyy..............", &["yes@1.4"]);
        // A short dip does not bring the average below half the threshold.
        check("...yyyy?yyyyy........", &["yes@1.4"]);
    }

    #[test]
    fn the_same_word_said_twice_gives_two_events() {
        check("...yyyyy.....yyyyy...", &["yes@1.4", "yes@2.4"]);
        check("...yyyyy...yyyyy...", &["yes@1.4", "yes@2.2"]);
        // Half a second of pause: the second comes into the window before the first has left it.
        check("...yyyyyyyyy?yyyyyyyyy...", &["yes@1.4", "yes@2.7"]);
    }

    #[test]
    fn another_word_is_heard_after_half_a_second_of_quiet() {
        check("...yyyynnnn....", &["yes@1.4", "no@1.9"]);
        // What is left of a word sounds like another for a moment.
        check("...yyynn.......", &["yes@1.4"]);
    }

    #[test]
    fn silence_doubt_and_single_spikes_are_no_commands() {
        check("..............", &[]);
        check("....y.......n...", &[]);
        check("...????????...", &[]);
        check("...xxxxxxxx...", &[]);
    }

    #[test]
    fn nothing_is_heard_at_the_start_before_there_is_enough_to_average() {
        check("y.......", &[]);
        check("yyy.....", &["yes@1.1"]);
    }

    #[test]
    fn scores_that_are_no_numbers_count_as_zero_and_do_not_stay() {
        let mut decider = Decider::new(DecisionSettings {
            smoothing: 2,
            thresholds: vec![None, Some(0.5)],
            renewed_after: Duration::from_secs(1),
        });
        assert_eq!(decider.decide(MediaTime::ZERO, &[0.0, f32::NAN]), None);
        assert_eq!(decider.smoothed(), [0.0, 0.0]);
        let decided = decider.decide(MediaTime::ZERO, &[0.0, 1.0]);
        assert_eq!(decided, Some(Decided { label: 1, score: 0.5 }));
        decider.reset();
        assert_eq!(decider.smoothed(), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn whatever_is_scored_events_keep_their_distance_and_name_commands_only(script in "[.yn?x]{0,200}") {
            let heard = events(&script);
            let time = |event: &String| event.split_once('@').and_then(|(_, time)| time.parse::<f64>().ok()).expect("a time");
            prop_assert!(heard.iter().all(|event| !event.starts_with("silence")));
            prop_assert!(heard.windows(2).all(|pair| time(&pair[1]) - time(&pair[0]) > 0.49));
        }
    }
}
