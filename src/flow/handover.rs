//! Handing whole values, such as frames, from one writer to one reader.
//!
//! Two paces, one interface:
//! - **live**: a slot for one value. Writing never waits; a value that was not taken yet is replaced, and counted as
//!   skipped. So a reader always gets the newest there is.
//! - **complete**: a short queue. The writer waits for the reader, so that nothing is skipped.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, Sender, TrySendError, bounded, never, select};
use crossbeam_queue::ArrayQueue;

use super::{Edge, Stop, Subscriber};

/// Whether a source follows the clock or the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Real time: nothing waits, the newest wins, what is skipped is counted.
    Live,
    /// As fast as everybody can: the writer waits, nothing is skipped.
    Complete,
}

/// How many values wait in a *complete* hand-over: one being taken, one ready. More would only cost memory.
const COMPLETE_DEPTH: usize = 2;

/// A connection for values of type `T`, counted on `edge`.
pub fn handover<T: Send>(pace: Pace, edge: Edge) -> (Writer<T>, Reader<T>) {
    match pace {
        Pace::Live => {
            let slot = Arc::new(ArrayQueue::new(1));
            let (filled, signal) = bounded(1);
            (
                Writer { way: WriterWay::Newest { slot: Arc::clone(&slot), filled }, edge: edge.clone() },
                Reader { way: ReaderWay::Newest { slot, signal }, edge },
            )
        }
        Pace::Complete => {
            let (sender, receiver) = bounded(COMPLETE_DEPTH);
            (
                Writer { way: WriterWay::Queue(sender), edge: edge.clone() },
                Reader { way: ReaderWay::Queue(receiver), edge },
            )
        }
    }
}

/// The giving end of a [`handover`].
#[derive(Debug)]
pub struct Writer<T> {
    way: WriterWay<T>,
    edge: Edge,
}

#[derive(Debug)]
enum WriterWay<T> {
    Newest { slot: Arc<ArrayQueue<T>>, filled: Sender<()> },
    Queue(Sender<T>),
}

impl<T> Writer<T> {
    /// Hands `value` over. Waits only in a *complete* hand-over, and then no longer than until `stop`.
    ///
    /// Returns whether anybody may still read; `false` means that the reader is gone, and the value is counted lost.
    pub fn give(&self, value: T, stop: &Stop) -> bool {
        self.edge.delivered(1);
        match &self.way {
            WriterWay::Newest { slot, filled } => {
                if slot.force_push(value).is_some() {
                    self.edge.skipped(1);
                }
                match filled.try_send(()) {
                    Ok(()) | Err(TrySendError::Full(())) => true,
                    Err(TrySendError::Disconnected(())) => {
                        self.edge.lost(drain(slot));
                        false
                    }
                }
            }
            WriterWay::Queue(sender) => {
                stop.beat();
                let given = select! {
                    send(sender, value) -> result => result.is_ok(),
                    recv(stop.requested()) -> _ => false,
                };
                if !given {
                    self.edge.lost(1);
                }
                given
            }
        }
    }
}

/// What came of waiting for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// A value.
    Value(T),
    /// None yet.
    Nothing,
    /// None will come any more.
    Closed,
}

/// Which of two was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The one that was waited for.
    First(A),
    /// The other.
    Second(B),
}

/// The taking end of a [`handover`].
#[derive(Debug)]
pub struct Reader<T> {
    way: ReaderWay<T>,
    edge: Edge,
}

#[derive(Debug)]
enum ReaderWay<T> {
    Newest { slot: Arc<ArrayQueue<T>>, signal: Receiver<()> },
    Queue(Receiver<T>),
}

impl<T> Reader<T> {
    /// Waits for the next value. `None` once the writer is gone and everything is taken, or on `stop`.
    pub fn next(&self, stop: &Stop) -> Option<T> {
        stop.beat();
        let value = match &self.way {
            ReaderWay::Newest { slot, signal } => loop {
                if stop.is_requested() {
                    return None;
                }
                if let Some(value) = slot.pop() {
                    break value;
                }
                select! {
                    // The last value may have come between the look above and the writer's end.
                    recv(signal) -> woken => if woken.is_err() { break slot.pop()? },
                    recv(stop.requested()) -> _ => return None,
                }
            },
            ReaderWay::Queue(receiver) => select! {
                recv(receiver) -> value => value.ok()?,
                recv(stop.requested()) -> _ => return None,
            },
        };
        stop.beat();
        self.edge.used(1);
        Some(value)
    }

    /// Waits for the next value as [`Reader::next`] does, but no longer than `patience`: for a reader that has something
    /// to do without one. Closed on `stop`, too.
    pub fn next_within(&self, patience: Duration, stop: &Stop) -> Next<T> {
        match self.wait(&never::<Infallible>(), patience, stop) {
            Either::First(next) => next,
            Either::Second(_) => Next::Nothing,
        }
    }

    /// Waits as [`Reader::next_within`] does, and for what comes from `findings` as well, whichever is first: for a
    /// thread that looks after both.
    pub fn next_or<E>(&self, findings: &Subscriber<E>, patience: Duration, stop: &Stop) -> Either<Next<T>, Next<E>> {
        match self.wait(findings.receiver(), patience, stop) {
            Either::First(next) => Either::First(next),
            Either::Second(finding) => Either::Second(findings.counted(finding)),
        }
    }

    fn wait<E>(&self, other: &Receiver<E>, patience: Duration, stop: &Stop) -> Either<Next<T>, Result<E, RecvError>> {
        stop.beat();
        if let Some(value) = self.try_next() {
            return Either::First(Next::Value(value));
        }
        let next = match &self.way {
            ReaderWay::Newest { slot, signal } => select! {
                recv(signal) -> woken => match (slot.pop(), woken) {
                    (Some(value), _) => Next::Value(value),
                    // After a stale signal this wait was only shorter than asked for.
                    (None, Ok(())) => Next::Nothing,
                    (None, Err(_)) => Next::Closed,
                },
                recv(other) -> other => return Either::Second(other),
                recv(stop.requested()) -> _ => Next::Closed,
                default(patience) => Next::Nothing,
            },
            ReaderWay::Queue(receiver) => select! {
                recv(receiver) -> value => value.map_or(Next::Closed, Next::Value),
                recv(other) -> other => return Either::Second(other),
                recv(stop.requested()) -> _ => Next::Closed,
                default(patience) => Next::Nothing,
            },
        };
        if let Next::Value(_) = next {
            self.edge.used(1);
        }
        Either::First(next)
    }

    /// The next value if one is there already.
    pub fn try_next(&self) -> Option<T> {
        let value = match &self.way {
            ReaderWay::Newest { slot, .. } => slot.pop()?,
            ReaderWay::Queue(receiver) => receiver.try_recv().ok()?,
        };
        self.edge.used(1);
        Some(value)
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let left = match &self.way {
            ReaderWay::Newest { slot, .. } => drain(slot),
            ReaderWay::Queue(receiver) => receiver.try_iter().count() as u64,
        };
        self.edge.lost(left);
    }
}

fn drain<T>(slot: &ArrayQueue<T>) -> u64 {
    std::iter::from_fn(|| slot.pop()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::{Hub, Ledger, Timed};
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct At(u32);
    impl Timed for At {
        type Time = u32;
        fn time(&self) -> u32 {
            self.0
        }
    }

    fn edge() -> Edge {
        Ledger::new().edge("test")
    }

    #[test]
    fn live_the_newest_wins_and_the_replaced_are_counted() {
        let (edge, stop) = (edge(), Stop::new());
        let (writer, reader) = handover(Pace::Live, edge.clone());
        for value in 0..5 {
            assert!(writer.give(value, &stop));
        }
        assert_eq!(reader.next(&stop), Some(4));
        let counts = edge.counts();
        assert_eq!((counts.delivered, counts.used, counts.skipped, counts.lost), (5, 1, 4, 0));
    }

    #[test]
    fn complete_nothing_is_skipped() {
        let (edge, stop) = (edge(), Stop::new());
        let (writer, reader) = handover(Pace::Complete, edge.clone());
        let sender = {
            let stop = stop.clone();
            std::thread::spawn(move || (0..1000).for_each(|value| assert!(writer.give(value, &stop))))
        };
        let taken: Vec<i32> = std::iter::from_fn(|| reader.next(&stop)).collect();
        sender.join().expect("the writer does not panic");
        assert_eq!(taken, (0..1000).collect::<Vec<_>>());
        assert_eq!(edge.counts(), super::super::Counts { delivered: 1000, used: 1000, skipped: 0, lost: 0 });
        assert_eq!(reader.next_within(Duration::ZERO, &stop), Next::Closed);
    }

    #[test]
    fn the_last_value_is_taken_after_the_writer_is_gone() {
        for pace in [Pace::Live, Pace::Complete] {
            let stop = Stop::new();
            let (writer, reader) = handover(pace, edge());
            let wait = || reader.next_within(Duration::from_millis(1), &stop);
            assert_eq!(wait(), Next::Nothing);
            writer.give(7, &stop);
            writer.give(8, &stop);
            drop(writer);
            let left: &[_] = if pace == Pace::Live { &[8] } else { &[7, 8] };
            left.iter().for_each(|value| assert_eq!(wait(), Next::Value(*value)));
            // A signal may be left of a value that was taken already.
            assert!(wait() == Next::Closed || wait() == Next::Closed, "{pace:?}");
            assert_eq!(reader.next(&stop), None);
        }
    }

    #[test]
    fn a_reader_of_two_gets_what_comes_and_both_ends() {
        for pace in [Pace::Live, Pace::Complete] {
            let (ledger, stop) = (Ledger::new(), Stop::new());
            let (writer, reader) = handover(pace, ledger.edge("frames"));
            let mut hub = Hub::new(Pace::Live, &ledger);
            let (publisher, findings) = (hub.publisher("test"), hub.subscribe("test", false));
            let hub = std::thread::spawn(move || hub.run(&Stop::new()));
            let wait = |patience| reader.next_or(&findings, patience, &stop);
            let long = Duration::from_secs(60);
            assert_eq!(wait(Duration::from_millis(1)), Either::First(Next::Nothing));
            publisher.publish(At(1));
            assert_eq!(wait(long), Either::Second(Next::Value(At(1))));
            writer.give(7, &stop);
            assert_eq!(wait(long), Either::First(Next::Value(7)));
            drop(publisher);
            hub.join().expect("no panic");
            while wait(long) != Either::Second(Next::Closed) {}
            drop(writer);
            while wait(long) != Either::First(Next::Closed) {}
            let counts: Vec<_> =
                ledger.summary().iter().map(|edge| (edge.counts.delivered, edge.counts.used)).collect();
            assert_eq!(counts, [(1, 1); 3], "{pace:?}");
        }
    }

    #[test]
    fn a_gone_reader_is_told_and_the_value_counts_as_lost() {
        for pace in [Pace::Live, Pace::Complete] {
            let (edge, stop) = (edge(), Stop::new());
            let (writer, reader) = handover(pace, edge.clone());
            writer.give(1, &stop);
            drop(reader);
            assert!(!writer.give(2, &stop));
            drop(writer);
            let counts = edge.counts();
            assert_eq!((counts.delivered, counts.lost, counts.under_way()), (2, 2, 0), "{pace:?}");
        }
    }

    #[test]
    fn stop_wakes_both_ends() {
        let stop = Stop::new();
        let (writer, reader) = handover(Pace::Complete, edge());
        let (_idle, waiting) = handover::<u8>(Pace::Live, edge());
        let threads = [
            std::thread::spawn({
                let stop = stop.clone();
                move || while writer.give(0, &stop) {}
            }),
            std::thread::spawn({
                let stop = stop.clone();
                move || assert_eq!(waiting.next(&stop), None)
            }),
        ];
        std::thread::sleep(Duration::from_millis(5));
        stop.request();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        drop(reader);
    }
}
