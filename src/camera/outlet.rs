//! Where every source puts its pictures: into the pool, and from there to every reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::flow::{Pace, Stop, Writer};
use crate::media::{Frame, FramePool, Geometry, MediaTime};

/// Frames that never reached a reader, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CameraCounts {
    /// Lost by the device, by its own numbering.
    pub lost: u64,
    /// Marked as broken by the device, incomplete, or no picture.
    pub broken: u64,
    /// Dropped because readers held more frames than the pipeline was built for.
    pub dropped: u64,
    /// Threads that were left behind in a device that gives nothing and cannot be interrupted; not frames.
    pub abandoned: u64,
}

/// The counts of a camera at work.
#[derive(Clone, Debug, Default)]
pub struct CameraCounters(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    lost: AtomicU64,
    broken: AtomicU64,
    dropped: AtomicU64,
    abandoned: AtomicU64,
}

impl CameraCounters {
    /// The counts of this moment.
    pub fn counts(&self) -> CameraCounts {
        let Counters { lost, broken, dropped, abandoned } = &*self.0;
        CameraCounts {
            lost: lost.load(Relaxed),
            broken: broken.load(Relaxed),
            dropped: dropped.load(Relaxed),
            abandoned: abandoned.load(Relaxed),
        }
    }

    /// Counts a thread that was left behind.
    pub(super) fn abandoned(&self) {
        self.0.abandoned.fetch_add(1, Relaxed);
    }
}

/// Numbers pictures, copies each once into a pooled frame, and hands that to the readers. Outlives the openings of a
/// device, so that numbers and times never go back.
#[derive(Debug)]
pub(super) struct Outlet {
    pace: Pace,
    epoch: Instant,
    pool: FramePool,
    readers: Vec<Writer<Frame>>,
    counters: CameraCounters,
    next_sequence: u64,
    reported: (Instant, CameraCounts),
}

/// How often losses are written to the log.
const REPORT_PERIOD: Duration = Duration::from_secs(1);
/// How long a complete source waits before it looks again for a frame that its readers have let go of.
const POOL_LOOK: Duration = Duration::from_millis(1);

impl Outlet {
    pub(super) fn new(pace: Pace, epoch: Instant, readers: Vec<Writer<Frame>>) -> Self {
        // Each reader holds one frame and has one waiting; one is being written, and two are for readers that look back.
        let pool = FramePool::new(2 * readers.len() + 3);
        let reported = (Instant::now(), CameraCounts::default());
        Self { pace, epoch, pool, readers, counters: CameraCounters::default(), next_sequence: 0, reported }
    }

    pub(super) fn counters(&self) -> CameraCounters {
        self.counters.clone()
    }

    /// The time of a picture that comes at this moment.
    pub(super) fn now(&self) -> MediaTime {
        self.epoch.elapsed().into()
    }

    /// Whether the source follows the clock.
    pub(super) fn is_live(&self) -> bool {
        self.pace == Pace::Live
    }

    /// Waits, when the pace is live, until `time` has come. Returns whether to go on.
    pub(super) fn wait_for(&self, time: MediaTime, stop: &Stop) -> bool {
        match self.pace {
            Pace::Live => stop.sleep_until(self.epoch + time.since_start()),
            Pace::Complete => !stop.is_requested(),
        }
    }

    /// Hands one picture to every reader. Returns whether anybody still reads and nobody asked to stop.
    pub(super) fn give(&mut self, geometry: Geometry, time: MediaTime, bytes: &[u8], stop: &Stop) -> bool {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.report();
        let frame = loop {
            let filled = self.pool.fill(|frame| {
                frame.begin(geometry, sequence, time).extend_from_slice(bytes);
                Ok::<_, std::convert::Infallible>(())
            });
            match filled {
                Some(Ok(frame)) => break frame,
                None if self.is_live() => {
                    self.counters.0.dropped.fetch_add(1, Relaxed);
                    return !stop.is_requested();
                }
                None if stop.is_requested() => return false,
                // Without a heartbeat: a reader that never lets go is a stall, and shall be seen as one.
                None => std::thread::sleep(POOL_LOOK),
            }
        };
        let mut anybody = false;
        for reader in &self.readers {
            anybody |= reader.give(frame.clone(), stop);
        }
        anybody && !stop.is_requested()
    }

    /// Counts frames that the device lost; their numbers are left out.
    pub(super) fn lost(&mut self, count: u64) {
        self.next_sequence += count;
        self.counters.0.lost.fetch_add(count, Relaxed);
    }

    /// Counts a frame that was no picture; its number is left out.
    pub(super) fn broken(&mut self) {
        self.next_sequence += 1;
        self.counters.0.broken.fetch_add(1, Relaxed);
    }

    /// Says at most once a second what was lost since it was last said.
    fn report(&mut self) {
        let (last, before) = self.reported;
        if last.elapsed() < REPORT_PERIOD {
            return;
        }
        let now = self.counters.counts();
        if now != before {
            let (lost, broken, dropped) =
                (now.lost - before.lost, now.broken - before.broken, now.dropped - before.dropped);
            tracing::warn!(lost, broken, dropped, "the camera lost frames");
        }
        self.reported = (Instant::now(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Ledger, handover};
    use crate::media::PixelFormat;

    const SMALL: Geometry = Geometry { format: PixelFormat::Grey, width: 2, height: 1, stride_bytes: 2 };

    #[test]
    fn numbers_leave_out_what_was_lost_and_a_full_pool_drops_and_counts() {
        let (stop, ledger) = (Stop::new(), Ledger::new());
        let (writer, reader) = handover(Pace::Live, ledger.edge("camera → test"));
        let mut outlet = Outlet::new(Pace::Live, Instant::now(), vec![writer]);
        let give = |outlet: &mut Outlet| {
            assert!(outlet.give(SMALL, MediaTime::ZERO, &[1, 2], &stop));
            reader.try_next()
        };
        let mut held = vec![give(&mut outlet).expect("a frame")];
        outlet.lost(2);
        outlet.broken();
        held.extend(std::iter::from_fn(|| give(&mut outlet)));
        let numbers: Vec<u64> = held.iter().map(|frame| frame.sequence()).collect();
        assert_eq!(numbers, [0, 4, 5, 6, 7]);
        assert_eq!(outlet.counters().counts(), CameraCounts { lost: 2, broken: 1, dropped: 1, abandoned: 0 });
        held.clear();
        assert_eq!(give(&mut outlet).expect("a frame").sequence(), 9);
    }

    #[test]
    fn it_ends_when_nobody_reads_any_more() {
        let stop = Stop::new();
        let (writer, reader) = handover(Pace::Live, Ledger::new().edge("camera → test"));
        let mut outlet = Outlet::new(Pace::Live, Instant::now(), vec![writer]);
        assert!(outlet.give(SMALL, MediaTime::ZERO, &[1, 2], &stop));
        drop(reader);
        assert!(!outlet.give(SMALL, MediaTime::ZERO, &[1, 2], &stop));
    }
}
