//! The wake word: commands count only for some seconds after it.
//!
//! ```text
//!            wake word            command             listen_for passes
//! asleep ──────────────▶ awake ──────────────▶ awake ───────────────────▶ asleep
//!   ╰─ command: not told         (told; the time begins anew)
//! ```
//! Each word that is told begins the time anew, the wake word included: one says it once and then commands as one
//! needs them, with pauses shorter than that time.

use std::time::Duration;

use crate::media::MediaTime;

/// Which words are told. No clock, no thread.
#[derive(Clone, Debug)]
pub struct WakeWord {
    label: usize,
    listen_for: Duration,
    awake_until: Option<MediaTime>,
}

impl WakeWord {
    /// Asleep, waiting for the word with this label; then awake for `listen_for`.
    pub fn new(label: usize, listen_for: Duration) -> Self {
        Self { label, listen_for, awake_until: None }
    }

    /// Whether the word `label`, decided at `time`, is told.
    pub fn admits(&mut self, label: usize, time: MediaTime) -> bool {
        let is_told = label == self.label || self.awake_until.is_some_and(|end| time <= end);
        if is_told {
            self.awake_until = Some(time + self.listen_for);
        }
        is_told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GO: usize = 7;

    /// Which of these words (label, time in seconds) are told when "go" wakes for five seconds.
    fn told(words: &[(usize, f64)]) -> Vec<bool> {
        let mut wake_word = WakeWord::new(GO, Duration::from_secs(5));
        let time = |seconds: f64| MediaTime::from_nanos((seconds * 1e9) as i64);
        words.iter().map(|(label, seconds)| wake_word.admits(*label, time(*seconds))).collect()
    }

    #[test]
    fn commands_are_told_for_five_seconds_after_the_wake_word_which_always_is() {
        assert_eq!(told(&[(1, 1.0), (GO, 2.0), (1, 7.0), (1, 20.0)]), [false, true, true, false]);
        assert_eq!(told(&[(GO, 2.0), (1, 7.1)]), [true, false]);
        assert_eq!(told(&[(GO, 2.0), (GO, 20.0), (1, 24.0)]), [true, true, true]);
    }

    #[test]
    fn each_command_begins_the_time_anew() {
        assert_eq!(told(&[(GO, 2.0), (1, 6.0), (2, 10.0), (1, 15.5)]), [true, true, true, false]);
        assert_eq!(told(&[(1, 1.0), (GO, 2.0), (1, 6.9), (2, 11.8), (1, 17.0)]), [false, true, true, true, false]);
    }

    proptest! {
        #[test]
        fn whatever_is_told_follows_a_word_that_was_told_by_at_most_the_time(
            words in prop::collection::vec((0usize..10, 0.1f64..8.0), 0..40)
        ) {
            let mut now = 0.0;
            let words: Vec<(usize, f64)> = words.into_iter().map(|(label, pause)| { now += pause; (label, now) }).collect();
            let told = told(&words);
            let mut last_told = f64::NEG_INFINITY;
            for ((label, time), told) in words.into_iter().zip(told) {
                // Nanoseconds are whole: leave out the one case that rounds either way.
                prop_assume!((time - last_told - 5.0).abs() > 1e-6);
                prop_assert_eq!(told, label == GO || time - last_told < 5.0);
                if told { last_told = time; }
            }
        }
    }
}
