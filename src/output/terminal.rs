//! What is found, as lines for people: commands as they come, and what is in sight when that changes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::findings::{Detections, Event, EventKind, Label};
use crate::flow::{Stage, StageError, Stop, Subscriber};
use crate::media::MediaTime;

/// Between two lines of what is in sight: detections flicker, and nobody reads thirty lines a second.
const SIGHT_PERIOD: Duration = Duration::from_secs(1);

/// A sink that writes to standard output.
///
/// - **waits for**: findings
/// - **ends**: with the hub, or when nobody reads standard output any more
#[derive(Debug)]
pub struct Terminal {
    findings: Subscriber<Event>,
    lines: Lines,
}

impl Terminal {
    /// Writes what comes from `findings`.
    pub fn new(findings: Subscriber<Event>) -> Self {
        Self { findings, lines: Lines::default() }
    }
}

impl Stage for Terminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        while let Some(event) = self.findings.next(stop) {
            if let Some(line) = self.lines.of(&event)
                && let Err(error) = writeln!(io::stdout().lock(), "{line}")
            {
                return match error.kind() {
                    // `lookhear run | head` has seen enough; the rest of the program goes on.
                    io::ErrorKind::BrokenPipe => Ok(()),
                    _ => Err(StageError::last(error)),
                };
            }
        }
        Ok(())
    }
}

/// Which events make a line, and which.
#[derive(Debug, Default)]
struct Lines {
    in_sight: BTreeMap<Label, usize>,
    told: Option<MediaTime>,
}

impl Lines {
    fn of(&mut self, event: &Event) -> Option<String> {
        let time = event.time.as_secs();
        match &event.kind {
            EventKind::Detections(detections) => {
                let sight = self.changed(detections, event.time)?;
                Some(format!("{time:8.1} s  sees   {sight}"))
            }
            EventKind::Keyword(keyword) => {
                Some(format!("{time:8.1} s  hears  {} ({:.2})", keyword.label, keyword.score))
            }
            EventKind::Hearing(_) | EventKind::Lost { .. } | EventKind::Found { .. } | EventKind::Ledger(_) => None,
        }
    }

    /// What is in sight, if that has changed and the last line is old enough.
    fn changed(&mut self, detections: &Detections, time: MediaTime) -> Option<String> {
        if self.told.is_some_and(|told| time < told + SIGHT_PERIOD) {
            return None;
        }
        let mut in_sight = BTreeMap::new();
        for detection in &detections.items {
            *in_sight.entry(detection.label.clone()).or_insert(0) += 1;
        }
        if in_sight == self.in_sight {
            return None;
        }
        let mut line = String::new();
        for (label, count) in &in_sight {
            // Writing to a string does not fail.
            let _ = write!(line, "{}{label} {count}", if line.is_empty() { "" } else { ", " });
        }
        (self.in_sight, self.told) = (in_sight, Some(time));
        Some(if line.is_empty() { "nothing".to_owned() } else { line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{BoxInFrame, Detection};
    use crate::media::Pool;

    fn sight(seconds: f64, labels: &[&str]) -> Event {
        let time = MediaTime::from_nanos((seconds * 1e9) as i64);
        let mut pool = Pool::<Detections>::new(1);
        let filled = pool.fill(|detections| {
            let bounds = BoxInFrame { x: 0.0, y: 0.0, w: 1.0, h: 1.0 };
            let one = |label: &&str| Detection { label: (*label).into(), score: 0.5, bounds };
            detections.items.extend(labels.iter().map(one));
            Ok::<_, ()>(())
        });
        Event { time, at: None, kind: EventKind::Detections(filled.expect("free").expect("filled")) }
    }

    #[test]
    fn what_is_in_sight_is_told_when_it_changes_and_at_most_once_a_second() {
        let mut lines = Lines::default();
        assert_eq!(
            lines.of(&sight(0.0, &["person", "car", "person"])).as_deref(),
            Some("     0.0 s  sees   car 1, person 2")
        );
        assert_eq!(lines.of(&sight(0.5, &[])), None, "too soon");
        assert_eq!(lines.of(&sight(1.2, &["car", "person", "person"])), None, "the same");
        assert_eq!(lines.of(&sight(1.3, &[])).as_deref(), Some("     1.3 s  sees   nothing"));
    }
}
