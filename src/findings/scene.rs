//! The newest of everything found: what a preview draws.

use std::collections::VecDeque;

use super::detection::SharedDetections;
use super::{Event, EventKind, Keyword};
use crate::media::Levels;

/// How many of the last commands are kept.
pub const LAST_KEYWORDS: usize = 5;

/// The newest detections, the last commands, the level of the microphone.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// What was seen last, in the newest frame that was looked at.
    pub detections: Option<SharedDetections>,
    /// The last commands, the newest last; at most [`LAST_KEYWORDS`].
    pub keywords: VecDeque<Keyword>,
    /// How loud it is; `None` without a microphone.
    pub levels: Option<Levels>,
    /// Parts that are lost at present, with the reason.
    pub lost: Vec<(&'static str, String)>,
}

impl Scene {
    /// Takes in one event.
    pub fn update(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Detections(detections) => self.detections = Some(detections.clone()),
            EventKind::Keyword(keyword) => {
                if self.keywords.len() == LAST_KEYWORDS {
                    self.keywords.pop_front();
                }
                self.keywords.push_back(keyword.clone());
            }
            EventKind::Hearing(hearing) => self.levels = Some(hearing.levels),
            EventKind::Lost { part, reason, .. } => {
                self.lost.retain(|(known, _)| known != part);
                self.lost.push((part, reason.clone()));
            }
            EventKind::Found { part } => self.lost.retain(|(known, _)| known != part),
            EventKind::Ledger(_) => {}
        }
    }
}
