//! The stream of everything found; one JSON object an event (`docs/events.md` is the schema).

use serde::Serialize;

use super::detection::SharedDetections;
use super::{Hearing, Keyword};
use crate::media::{MediaTime, WallTime};

/// Something found, or news of the program itself.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, in seconds since the start of its source.
    pub time: MediaTime,
    /// When in the world; only of live sources, since a file has no such time.
    pub at: Option<WallTime>,
    /// What.
    pub kind: EventKind,
}

/// What kinds of event there are.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A frame was looked at; it may have shown nothing.
    Detections(SharedDetections),
    /// A command was heard.
    Keyword(Keyword),
    /// How loud it is. Not written to the log: it is for those who show it.
    Hearing(Hearing),
    /// A device or another part of the pipeline was lost.
    Lost {
        /// Which stage: "camera".
        part: &'static str,
        /// Why.
        reason: String,
        /// In how many seconds it is tried again; none is never.
        retry_in_s: Option<f64>,
    },
    /// It is back.
    Found {
        /// Which stage.
        part: &'static str,
    },
    /// What became of everything that was handed over; the last event.
    Ledger(Vec<Account>),
}

/// The counts of one edge of the pipeline, as in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// "camera → detector"
    pub edge: String,
    /// Handed over.
    pub delivered: u64,
    /// Taken.
    pub used: u64,
    /// Replaced by something newer.
    pub skipped: u64,
    /// Dropped.
    pub lost: u64,
}

impl Event {
    /// The name under `type` in the log; `None` is not logged.
    pub fn type_name(&self) -> Option<&'static str> {
        match &self.kind {
            EventKind::Detections(_) => Some("detections"),
            EventKind::Keyword(_) => Some("keyword"),
            EventKind::Hearing(_) => None,
            EventKind::Lost { .. } => Some("lost"),
            EventKind::Found { .. } => Some("found"),
            EventKind::Ledger(_) => Some("ledger"),
        }
    }
}
