//! Hand-over mechanics: how values travel between threads, and how threads start, stop and are counted.
//!
//! Nothing here knows what is handed over; this module imports no other of ours. The pieces:
//!
//! | piece | carries | when the reader is slow |
//! |---|---|---|
//! | [`handover`] | whole values (frames) | live: the newest replaces the older, which is counted as skipped; complete: the writer waits |
//! | [`ring`] | audio samples out of a sound callback | live: samples are dropped and counted; complete: the writer waits |
//! | [`Hub`] | findings to every sink | live: a full queue drops and counts; complete: the hub waits, and merges by time |
//!
//! A [`Demand`] spares a writer what nobody wants. [`Stop`] ends them all, [`Crew`] runs the threads, [`Ledger`] keeps the counts, and of each [`Way`] the times.

mod demand;
mod handover;
mod hub;
mod latency;
mod ledger;
mod ring;
mod stage;
mod stop;

pub use demand::Demand;
pub use handover::{Either, Next, Pace, Reader, Writer, handover};
pub use hub::{Hub, Publisher, Subscriber, Timed};
pub use latency::{RELATIVE_ERROR, Times, Way, WayTimes};
pub use ledger::{Counts, Edge, EdgeCounts, Ledger};
pub use ring::{RingReader, RingWriter, ring};
pub use stage::{Crew, Report, Restart, Stage, StageError};
pub use stop::Stop;
