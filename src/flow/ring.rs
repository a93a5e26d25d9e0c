//! Handing samples out of a sound callback, which may neither wait, nor lock, nor allocate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Edge, Pace, Stop};

/// How often an idle end looks again. A wake-up would need a system call in the sound callback; 4 ms is less than a
/// step of the front end (10 ms) and costs 250 short wake-ups a second.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// A wait-free ring for `capacity` values, counted on `edge`.
pub fn ring<T: Copy + Send>(capacity: usize, pace: Pace, edge: Edge) -> (RingWriter<T>, RingReader<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity.max(1));
    let lost = Arc::new(AtomicU64::new(0));
    (
        RingWriter { producer, pace, edge: edge.clone(), lost: Arc::clone(&lost) },
        RingReader { consumer, edge, lost, reported: 0 },
    )
}

/// The giving end of a [`ring`].
#[derive(Debug)]
pub struct RingWriter<T> {
    producer: rtrb::Producer<T>,
    pace: Pace,
    edge: Edge,
    lost: Arc<AtomicU64>,
}

impl<T: Copy> RingWriter<T> {
    /// Pushes what fits, drops and counts the rest. Wait-free, free of allocations and system calls: for the callback.
    pub fn push(&mut self, values: impl ExactSizeIterator<Item = T>) {
        let offered = values.len();
        let room = self.producer.slots().min(offered);
        let mut pushed = 0;
        if room > 0
            && let Ok(chunk) = self.producer.write_chunk_uninit(room)
        {
            pushed = chunk.fill_from_iter(values);
        }
        self.edge.delivered(offered as u64);
        let dropped = (offered - pushed) as u64;
        if dropped > 0 {
            self.edge.lost(dropped);
            self.lost.fetch_add(dropped, Ordering::Release);
        }
    }

    /// Hands all of `values` over. In a *complete* ring it waits for room, no longer than until `stop`; in a *live*
    /// one it is [`RingWriter::push`]. Returns whether anybody may still read.
    pub fn give(&mut self, mut values: &[T], stop: &Stop) -> bool {
        while self.pace == Pace::Complete && !values.is_empty() {
            let room = self.producer.slots().min(values.len());
            let (now, later) = values.split_at(room);
            self.push(now.iter().copied());
            values = later;
            if self.producer.is_abandoned() || (!values.is_empty() && !stop.sleep(LOOK_AGAIN)) {
                break;
            }
        }
        self.push(values.iter().copied());
        stop.beat();
        !self.producer.is_abandoned() && !stop.is_requested()
    }

    /// Says that `count` values never came to be (a device was away): the reader learns of them by
    /// [`RingReader::newly_lost`], so that its clock stays right; the edge does not count them, as nobody had them.
    pub fn skip(&mut self, count: u64) {
        self.lost.fetch_add(count, Ordering::Release);
    }

    /// Whether the reader is gone.
    pub fn is_abandoned(&self) -> bool {
        self.producer.is_abandoned()
    }
}

/// The taking end of a [`ring`].
#[derive(Debug)]
pub struct RingReader<T> {
    consumer: rtrb::Consumer<T>,
    edge: Edge,
    lost: Arc<AtomicU64>,
    reported: u64,
}

impl<T: Copy> RingReader<T> {
    /// Waits for values and appends up to `most` of them to `out`.
    ///
    /// Returns how many came; 0 once the writer is gone and everything is taken, or on `stop`.
    pub fn take_into(&mut self, out: &mut Vec<T>, most: usize, stop: &Stop) -> usize {
        loop {
            stop.beat();
            let abandoned = self.consumer.is_abandoned();
            let count = self.try_take_into(out, most);
            if count > 0 {
                return count;
            }
            // Looked at before the count: what a writer pushed before it left has been seen by then.
            if abandoned || !stop.sleep(LOOK_AGAIN) {
                return 0;
            }
        }
    }

    /// Appends up to `most` of the values that are there already to `out`, and returns how many.
    pub fn try_take_into(&mut self, out: &mut Vec<T>, most: usize) -> usize {
        let count = self.consumer.slots().min(most);
        let Ok(chunk) = self.consumer.read_chunk(count) else { return 0 };
        let (first, second) = chunk.as_slices();
        out.extend_from_slice(first);
        out.extend_from_slice(second);
        chunk.commit_all();
        self.edge.used(count as u64);
        count
    }

    /// How many values were dropped since the last call for want of room, or [skipped](RingWriter::skip). Time went on
    /// while they were.
    pub fn newly_lost(&mut self) -> u64 {
        let lost = self.lost.load(Ordering::Acquire);
        let new = lost - self.reported;
        self.reported = lost;
        new
    }
}

impl<T> Drop for RingReader<T> {
    fn drop(&mut self) {
        self.edge.lost(self.consumer.slots() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ledger;
    use super::*;

    #[test]
    fn a_full_live_ring_drops_the_newest_and_counts_it() {
        let edge = Ledger::new().edge("test");
        let (mut writer, mut reader) = ring::<u32>(4, Pace::Live, edge.clone());
        writer.push([1, 2, 3, 4, 5, 6].into_iter());
        let (stop, mut out) = (Stop::new(), Vec::new());
        assert_eq!(reader.take_into(&mut out, 100, &stop), 4);
        assert_eq!((out.as_slice(), reader.newly_lost(), reader.newly_lost()), ([1, 2, 3, 4].as_slice(), 2, 0));
        let counts = edge.counts();
        assert_eq!((counts.delivered, counts.used, counts.lost, counts.under_way()), (6, 4, 2, 0));
    }

    #[test]
    fn a_complete_ring_loses_nothing_whatever_the_block_sizes() {
        let edge = Ledger::new().edge("test");
        let (mut writer, mut reader) = ring::<u32>(64, Pace::Complete, edge.clone());
        let stop = Stop::new();
        let giver = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let all: Vec<u32> = (0..5000).collect();
                all.chunks(97).for_each(|block| assert!(writer.give(block, &stop)));
            }
        });
        let mut out = Vec::new();
        while reader.take_into(&mut out, 50, &stop) > 0 {}
        giver.join().expect("no panic");
        assert_eq!(out, (0..5000).collect::<Vec<_>>());
        assert_eq!(edge.counts().lost, 0);
    }

    #[test]
    fn what_never_came_to_be_is_told_to_the_reader_and_not_counted() {
        let edge = Ledger::new().edge("test");
        let (mut writer, mut reader) = ring::<u32>(8, Pace::Live, edge.clone());
        writer.skip(500);
        writer.push([1].into_iter());
        let mut out = Vec::new();
        assert_eq!((reader.try_take_into(&mut out, 9), reader.try_take_into(&mut out, 9)), (1, 0));
        assert_eq!((out.as_slice(), reader.newly_lost()), ([1].as_slice(), 500));
        let counts = edge.counts();
        assert_eq!((counts.delivered, counts.used, counts.lost), (1, 1, 0));
    }

    #[test]
    fn what_nobody_took_counts_as_lost() {
        let edge = Ledger::new().edge("test");
        let (mut writer, reader) = ring::<u32>(8, Pace::Live, edge.clone());
        writer.push([1, 2, 3].into_iter());
        drop(reader);
        assert!(writer.is_abandoned());
        assert_eq!((edge.counts().lost, edge.counts().under_way()), (3, 0));
    }
}
