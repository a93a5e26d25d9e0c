//! Handing whole values, such as frames, from one writer to one reader.
//!
//! Two paces, one interface:
//! - **live**: a slot for one value. Writing never waits; a value that was not taken yet is replaced, and counted as
//!   skipped. So a reader always gets the newest there is.
//! - **complete**: a short queue. The writer waits for the reader, so that nothing is skipped.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded, select};
use crossbeam_queue::ArrayQueue;

use super::{Edge, Stop};

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
    /// to do without one.
    pub fn next_within(&self, patience: Duration, stop: &Stop) -> Option<T> {
        stop.beat();
        if let Some(value) = self.try_next() {
            return Some(value);
        }
        let value = match &self.way {
            ReaderWay::Newest { slot, signal } => {
                select! {
                    recv(signal) -> _ => {}
                    recv(stop.requested()) -> _ => return None,
                    default(patience) => return None,
                }
                // Nothing is there after a stale signal: then this wait was only shorter than asked for.
                slot.pop()?
            }
            ReaderWay::Queue(receiver) => select! {
                recv(receiver) -> value => value.ok()?,
                recv(stop.requested()) -> _ => return None,
                default(patience) => return None,
            },
        };
        self.edge.used(1);
        Some(value)
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

    /// Whether the writer is gone and nothing is left to take.
    pub fn is_finished(&self) -> bool {
        match &self.way {
            ReaderWay::Newest { slot, signal } => {
                // A wake-up taken here is harmless: every waiter looks into the slot before it waits.
                let gone = matches!(signal.try_recv(), Err(TryRecvError::Disconnected));
                gone && slot.is_empty()
            }
            // An empty queue tells "nothing yet" from "nothing more" only by trying, and trying would take a value.
            ReaderWay::Queue(receiver) => receiver.is_empty() && is_disconnected(receiver),
        }
    }
}

/// Whether all senders of an empty channel are gone.
fn is_disconnected<T>(receiver: &Receiver<T>) -> bool {
    let mut select = crossbeam_channel::Select::new();
    select.recv(receiver);
    // An empty channel is ready only when it is disconnected; a value that arrives meanwhile makes it non-empty.
    select.try_ready().is_ok() && receiver.is_empty()
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
    use super::super::Ledger;
    use super::*;

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
        assert!(reader.is_finished());
    }

    #[test]
    fn the_last_value_is_taken_after_the_writer_is_gone() {
        for pace in [Pace::Live, Pace::Complete] {
            let stop = Stop::new();
            let (writer, reader) = handover(pace, edge());
            writer.give(7, &stop);
            assert!(!reader.is_finished());
            drop(writer);
            assert!(!reader.is_finished());
            assert_eq!(reader.next(&stop), Some(7));
            assert!(reader.is_finished());
            assert_eq!(reader.next(&stop), None);
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
