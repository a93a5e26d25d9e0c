//! Counts of what became of everything that was handed over, and the times that it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Way, WayTimes};

/// The counters of one edge between two stages: delivered = used + skipped + lost + still under way.
#[derive(Clone, Debug, Default)]
pub struct Edge(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    used: AtomicU64,
    skipped: AtomicU64,
    lost: AtomicU64,
}

/// What an [`Edge`] has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Handed over by the writer.
    pub delivered: u64,
    /// Taken by the reader.
    pub used: u64,
    /// Replaced by something newer before the reader came: the price of never waiting.
    pub skipped: u64,
    /// Dropped because a queue was full or nobody read any more.
    pub lost: u64,
}

impl Counts {
    /// What is under way: handed over, and neither taken nor given up. Zero once writer and reader are gone.
    pub fn under_way(&self) -> u64 {
        self.delivered.saturating_sub(self.used + self.skipped + self.lost)
    }
}

impl Edge {
    pub(super) fn delivered(&self, count: u64) {
        self.0.delivered.fetch_add(count, Ordering::Relaxed);
    }
    pub(super) fn used(&self, count: u64) {
        self.0.used.fetch_add(count, Ordering::Relaxed);
    }
    pub(super) fn skipped(&self, count: u64) {
        self.0.skipped.fetch_add(count, Ordering::Relaxed);
    }
    pub(super) fn lost(&self, count: u64) {
        self.0.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// The counts of this moment.
    pub fn counts(&self) -> Counts {
        // What was given up is read before what was delivered, so that `under_way` never goes below zero.
        let used = self.0.used.load(Ordering::Acquire);
        let skipped = self.0.skipped.load(Ordering::Acquire);
        let lost = self.0.lost.load(Ordering::Acquire);
        Counts { delivered: self.0.delivered.load(Ordering::Acquire), used, skipped, lost }
    }
}

/// An edge's name with its counts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EdgeCounts {
    /// "from → to", in the words of the design.
    pub edge: String,
    /// What it counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// All edges and ways of a pipeline, by name, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    edges: Vec<(String, Edge)>,
    ways: Vec<(String, Way)>,
}

impl Ledger {
    /// A ledger without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new edge called `name`, for example `"camera → detector"`.
    pub fn edge(&self, name: &str) -> Edge {
        let edge = Edge::default();
        self.entries().edges.push((name.to_owned(), edge.clone()));
        edge
    }

    /// A new way called `name`, for example `"capture → result"`.
    pub fn way(&self, name: &str) -> Way {
        let way = Way::default();
        self.entries().ways.push((name.to_owned(), way.clone()));
        way
    }

    /// The counts of all edges at this moment.
    pub fn summary(&self) -> Vec<EdgeCounts> {
        let Entries { edges, .. } = &*self.entries();
        edges.iter().map(|(name, edge)| EdgeCounts { edge: name.clone(), counts: edge.counts() }).collect()
    }

    /// The times of all ways up to this moment.
    pub fn times(&self) -> Vec<WayTimes> {
        let Entries { ways, .. } = &*self.entries();
        ways.iter().map(|(name, way)| WayTimes { way: name.clone(), times: way.times() }).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
