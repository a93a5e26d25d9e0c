//! How far long work has come, on a terminal; nothing anywhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::flow::{Ledger, Stop};

/// How often the display follows the work.
const PERIOD: Duration = Duration::from_millis(200);

/// A bar of `total` steps called `what`; one step is no long work, and gets none.
pub(super) fn bar(total: usize, what: &'static str) -> ProgressBar {
    if total < 2 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} left");
    ProgressBar::new(total as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

/// Shows what a complete run has taken in, until `life` is asked to stop.
pub(super) fn follow(ledger: &Ledger, life: &Stop) {
    let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
    let spinner = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    while life.sleep(PERIOD) {
        let used = |reader: &str| {
            ledger.summary().iter().find(|edge| edge.edge.ends_with(reader)).map(|edge| edge.counts.used)
        };
        let mut message = String::new();
        if let Some(frames) = used("→ detector") {
            message.push_str(&format!("{frames} frames  "));
        }
        if let Some(samples) = used("→ listener") {
            message.push_str(&format!("{} s of sound", samples / u64::from(crate::media::SAMPLE_RATE_HZ)));
        }
        spinner.set_message(message);
        spinner.tick();
    }
    spinner.finish_and_clear();
}
