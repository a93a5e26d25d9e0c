//! What is known at the time of a frame: the scene that a recording draws over it.
//!
//! In a complete run that is a matter of the input alone: a frame waits for its own detections, and for every command
//! that was decided by then. Live, it is what has come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::findings::{Event, EventKind, Keyword, Scene};
use crate::flow::{Next, Stop, Subscriber};
use crate::media::MediaTime;

/// What a frame waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Its detections. The hub passes them on after all that belongs before them, commands included.
    Detections,
    /// Any word of the listener that is later than the frame, there being no detector: then all commands are known.
    Listener,
    /// Nothing.
    Nothing,
}

/// How often somebody who waits for the listener looks whether there is still sound.
const LOOK: Duration = Duration::from_millis(50);
/// How long the listener may take over the last sound. Its end is not announced, so this is the price of not waiting
/// for ever: once a recording, and only where a film without a detector is longer than its sound.
const LISTENER_ENDS_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Story<'a> {
    findings: &'a Subscriber<Event>,
    wait: Wait,
    /// What is known.
    pub scene: Scene,
    /// Commands that are decided later than what is on show: they come with the time of the word, which is earlier.
    later: VecDeque<Keyword>,
    /// The newest frame whose detections have come.
    detected: Option<u64>,
    /// The newest time that the listener told.
    heard: Option<MediaTime>,
}

impl<'a> Story<'a> {
    pub fn new(findings: &'a Subscriber<Event>, wait: Wait) -> Self {
        let (scene, later) = (Scene::default(), VecDeque::new());
        Self { findings, wait, scene, later, detected: None, heard: None }
    }

    /// Takes in what belongs to the frame with this number and time. `sound_is_over`: nothing more will be heard.
    pub fn up_to(&mut self, frame: u64, time: MediaTime, sound_is_over: &dyn Fn() -> bool, stop: &Stop) {
        match self.wait {
            Wait::Detections => self.wait_for_detections(frame, stop),
            Wait::Listener => self.wait_for_listener(time, sound_is_over, stop),
            Wait::Nothing => self.catch_up(),
        }
        self.tell_until(time);
    }

    /// Takes in what has come, without waiting.
    pub fn catch_up(&mut self) {
        while let Some(event) = self.findings.try_next() {
            self.take(event);
        }
    }

    /// Lets the commands appear that are decided by `time`.
    pub fn tell_until(&mut self, time: MediaTime) {
        while self.later.front().is_some_and(|keyword| keyword.decided <= time)
            && let Some(keyword) = self.later.pop_front()
        {
            self.scene.update(&Event { time: keyword.time, at: None, kind: EventKind::Keyword(keyword) });
        }
    }

    fn wait_for_detections(&mut self, frame: u64, stop: &Stop) {
        while self.wait == Wait::Detections && self.detected.is_none_or(|detected| detected < frame) {
            match self.findings.next(stop) {
                Some(event) => self.take(event),
                None => self.wait = Wait::Nothing,
            }
        }
    }

    fn wait_for_listener(&mut self, time: MediaTime, sound_is_over: &dyn Fn() -> bool, stop: &Stop) {
        let mut over_since = None;
        while self.wait == Wait::Listener && self.heard.is_none_or(|heard| heard <= time) && !stop.is_requested() {
            match self.findings.next_within(LOOK, stop) {
                Next::Value(event) => {
                    self.take(event);
                    over_since = None;
                }
                Next::Closed => self.wait = Wait::Nothing,
                Next::Nothing if sound_is_over() => {
                    let since = *over_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > LISTENER_ENDS_WITHIN {
                        self.wait = Wait::Nothing;
                    }
                }
                Next::Nothing => {}
            }
        }
    }

    fn take(&mut self, event: Event) {
        match &event.kind {
            EventKind::Keyword(keyword) => {
                self.heard = self.heard.max(Some(event.time));
                self.later.push_back(keyword.clone());
            }
            EventKind::Hearing(_) => {
                self.heard = self.heard.max(Some(event.time));
                self.scene.update(&event);
            }
            EventKind::Detections(detections) => {
                self.detected = Some(detections.frame);
                self.scene.update(&event);
            }
            EventKind::Lost { part, retry_in_s, .. } => {
                self.scene.update(&event);
                // Who is gone for good gives nothing to wait for, while the camera would wait for this recording.
                let awaited = if self.wait == Wait::Detections { "detector" } else { "listener" };
                if retry_in_s.is_none() && *part == awaited {
                    self.wait = Wait::Nothing;
                }
            }
            EventKind::Found { .. } | EventKind::Ledger(_) => self.scene.update(&event),
        }
    }
}
