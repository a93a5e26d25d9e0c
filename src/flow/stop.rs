//! One token that asks everybody to stop.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Asks every holder of a clone to stop; also carries the heartbeat of the stage that holds it.
///
/// A stage looks at [`Stop::is_requested`] between two pieces of work, and hands the token to whatever may block;
/// everything that blocks in this crate takes a `&Stop` and returns at once when the request comes.
#[derive(Clone, Debug)]
pub struct Stop {
    shared: Arc<Shared>,
    life: Arc<Life>,
}

/// Signs of life of one stage.
#[derive(Debug, Default)]
struct Life {
    /// Milliseconds since `Shared::epoch` at which the holder was last seen at work.
    beat: AtomicU64,
    /// Whether what the holder depends on (a device, a stream) delivers.
    works: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    requested: AtomicBool,
    /// Dropping the sender is what wakes every receiver; the lock is taken once, at the end.
    open: Mutex<Option<Sender<Infallible>>>,
    closed: Receiver<Infallible>,
    epoch: Instant,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// A token that nobody has asked to stop yet.
    pub fn new() -> Self {
        // Nothing is ever sent. A channel of no capacity would do, but waiting on one allocates.
        let (sender, closed) = bounded(1);
        let shared =
            Shared { requested: AtomicBool::new(false), open: Mutex::new(Some(sender)), closed, epoch: Instant::now() };
        Self { shared: Arc::new(shared), life: Arc::default() }
    }

    /// Asks everybody to stop. Later calls change nothing.
    pub fn request(&self) {
        self.shared.requested.store(true, Ordering::Release);
        drop(self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether somebody has asked to stop.
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::Acquire)
    }

    /// A channel that never carries anything and disconnects on the request: for `select!`.
    pub fn requested(&self) -> &Receiver<Infallible> {
        &self.shared.closed
    }

    /// Sleeps for `duration`, or less if the request comes. Returns whether one may go on.
    pub fn sleep(&self, duration: Duration) -> bool {
        self.beat();
        let _ = self.shared.closed.recv_timeout(duration);
        !self.is_requested()
    }

    /// Sleeps until `deadline`; see [`Stop::sleep`].
    pub fn sleep_until(&self, deadline: Instant) -> bool {
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) => self.sleep(left),
            None => !self.is_requested(),
        }
    }

    /// The same request with a heartbeat of its own, for one stage.
    pub fn for_stage(&self) -> Self {
        let stop = Self { shared: Arc::clone(&self.shared), life: Arc::default() };
        stop.beat();
        stop
    }

    /// Says that the holder is alive. Everything that takes a `&Stop` in order to wait calls this by itself; a stage
    /// with long work of its own calls it in between.
    pub fn beat(&self) {
        self.life.beat.store(self.shared.epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Says that what the holder depends on delivers: the supervisor reports a recovery by it.
    pub fn works(&self) {
        self.life.works.store(true, Ordering::Relaxed);
    }

    /// Takes back [`Stop::works`]; returns whether it had been said.
    pub(super) fn take_works(&self) -> bool {
        self.life.works.swap(false, Ordering::Relaxed)
    }

    /// How long ago the holder was last seen alive.
    pub fn since_beat(&self) -> Duration {
        self.shared.epoch.elapsed().saturating_sub(Duration::from_millis(self.life.beat.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_wakes_a_sleeper_and_stays() {
        let stop = Stop::new();
        assert!(stop.sleep(Duration::from_millis(1)));
        let sleeper = stop.for_stage();
        let thread = std::thread::spawn(move || sleeper.sleep(Duration::from_secs(600)));
        stop.request();
        stop.request();
        assert!(!thread.join().expect("the sleeper does not panic"));
        assert!(stop.is_requested());
        assert!(!stop.sleep(Duration::from_secs(600)));
    }
}
