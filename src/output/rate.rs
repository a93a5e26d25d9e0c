//! How many a second, for the status line.

use std::collections::VecDeque;

/// The rate is that of the last so many seconds: long enough to be read, short enough to follow a change.
const WINDOW_S: f64 = 2.0;

/// Counts what comes, and says how fast.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Number and time of each, in seconds.
    marks: VecDeque<(u64, f64)>,
}

impl Rate {
    /// The one with this number came at `time_s`. Numbers may be missing: what was skipped came as well.
    pub fn mark(&mut self, number: u64, time_s: f64) {
        // A source that starts anew counts anew.
        if self.marks.back().is_some_and(|(last, last_s)| number <= *last || time_s < *last_s) {
            self.marks.clear();
        }
        self.marks.push_back((number, time_s));
        while self.marks.len() > 2 && self.marks.front().is_some_and(|(_, first_s)| time_s - first_s > WINDOW_S) {
            self.marks.pop_front();
        }
    }

    /// How many a second at `now_s`; `None` until two came, and when nothing came for a while.
    pub fn hz(&self, now_s: f64) -> Option<f32> {
        let ((first, first_s), (last, last_s)) = (self.marks.front()?, self.marks.back()?);
        let recent = now_s - last_s <= WINDOW_S && last_s > first_s;
        recent.then(|| ((last - first) as f64 / (last_s - first_s)) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_the_skipped_and_forgets_the_old() {
        let mut rate = Rate::default();
        assert_eq!(rate.hz(0.0), None);
        // Every third of thirty a second.
        (0..100).for_each(|n| rate.mark(3 * n, n as f64 / 10.0));
        let hz = rate.hz(9.95).expect("it is known");
        assert!((hz - 30.0).abs() < 0.1, "{hz}");
        assert!(rate.marks.len() < 25);
        assert_eq!(rate.hz(12.0), None, "it stands still");
        rate.mark(0, 13.0);
        assert_eq!(rate.hz(13.0), None, "it starts anew");
    }
}
