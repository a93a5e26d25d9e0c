//! Handing a frame from a camera to a slower reader: our slot beside the channels a user would take instead.
//!
//! `cargo bench --bench handover`. One iteration gives one frame; nobody reads, as when an inference is under way: so
//! this is what capture pays for a busy reader. A plain bounded channel refuses the new frame instead, and keeps the
//! stale one. `there_and_back` is the other half: a frame goes to a thread that waits for it, which sends it back, so that
//! two threads are woken.

use std::sync::{Arc, Condvar, Mutex};

use divan::{Bencher, black_box};
use lookhear::flow::{Ledger, Pace, Stop, handover};
use lookhear::media::{Frame, FramePool, Geometry, MediaTime, PixelFormat};

fn main() {
    divan::main();
}

fn frame(pool: &mut FramePool) -> Frame {
    let filled = pool.fill(|buffer| {
        buffer.begin(Geometry::packed(PixelFormat::Yuyv, 640, 480), 0, MediaTime::ZERO).resize(614_400, 0);
        Ok::<_, ()>(())
    });
    filled.and_then(Result::ok).expect("the pool has room")
}

#[divan::bench]
fn newest_wins_slot(bencher: Bencher) {
    let (writer, reader) = handover(Pace::Live, Ledger::new().edge("bench"));
    let (stop, frame) = (Stop::new(), frame(&mut FramePool::new(1)));
    bencher.bench_local(|| writer.give(black_box(frame.clone()), &stop));
    drop(reader);
}

#[divan::bench]
fn refused_by_crossbeam_bounded(bencher: Bencher) {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let frame = frame(&mut FramePool::new(1));
    bencher.bench_local(|| sender.try_send(black_box(frame.clone())));
    drop(receiver);
}

#[divan::bench]
fn refused_by_std_sync_channel(bencher: Bencher) {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let frame = frame(&mut FramePool::new(1));
    bencher.bench_local(|| sender.try_send(black_box(frame.clone())));
    drop(receiver);
}

/// A slot as one writes it oneself.
#[derive(Default)]
struct Slot {
    value: Mutex<Option<Frame>>,
    filled: Condvar,
}

impl Slot {
    fn give(&self, frame: Frame) -> Option<Frame> {
        let replaced = self.value.lock().expect("no panic under the lock").replace(frame);
        self.filled.notify_one();
        replaced
    }

    fn take(&self) -> Frame {
        let value = self.value.lock().expect("no panic under the lock");
        let mut filled = self.filled.wait_while(value, |value| value.is_none()).expect("no panic under the lock");
        filled.take().expect("it was waited for")
    }
}

#[divan::bench]
fn newest_wins_mutex_and_condvar(bencher: Bencher) {
    let (slot, frame) = (Slot::default(), frame(&mut FramePool::new(1)));
    bencher.bench_local(|| slot.give(black_box(frame.clone())));
}

mod there_and_back {
    use super::*;

    #[divan::bench]
    fn newest_wins_slot(bencher: Bencher) {
        let (stop, ledger) = (Stop::new(), Ledger::new());
        let (there, taken) = handover(Pace::Live, ledger.edge("there"));
        let (back, returned) = handover(Pace::Live, ledger.edge("back"));
        let frame = frame(&mut FramePool::new(1));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(frame) = taken.next(&stop) {
                    back.give(frame, &stop);
                }
            });
            bencher.bench_local(|| {
                there.give(frame.clone(), &stop);
                returned.next(&stop)
            });
            stop.request();
        });
    }

    #[divan::bench]
    fn crossbeam_bounded(bencher: Bencher) {
        let (there, taken) = crossbeam_channel::bounded(1);
        let (back, returned) = crossbeam_channel::bounded(1);
        let frame = frame(&mut FramePool::new(1));
        std::thread::scope(|scope| {
            scope.spawn(move || taken.iter().for_each(|frame: Frame| back.send(frame).expect("somebody waits")));
            bencher.bench_local(|| {
                there.send(frame.clone()).expect("somebody waits");
                returned.recv()
            });
            drop(there);
        });
    }

    #[divan::bench]
    fn mutex_and_condvar(bencher: Bencher) {
        let (there, back) = (Arc::new(Slot::default()), Arc::new(Slot::default()));
        let (mut frames, ends) = (FramePool::new(2), MediaTime::from_nanos(-1));
        let frame = frame(&mut frames);
        std::thread::scope(|scope| {
            let (taken, returns) = (Arc::clone(&there), Arc::clone(&back));
            scope.spawn(move || {
                loop {
                    let frame = taken.take();
                    if frame.time() == ends {
                        break;
                    }
                    returns.give(frame);
                }
            });
            bencher.bench_local(|| {
                there.give(frame.clone());
                back.take()
            });
            let last = frames.fill(|buffer| {
                buffer.begin(Geometry::packed(PixelFormat::Yuyv, 2, 2), 1, ends);
                Ok::<_, ()>(())
            });
            there.give(last.and_then(Result::ok).expect("the pool has room"));
        });
    }
}

/// What is saved by sharing the pooled frame: one copy of 640×480 YUYV.
#[divan::bench]
fn copy_of_the_frame_instead(bencher: Bencher) {
    let frame = frame(&mut FramePool::new(1));
    bencher.bench_local(|| black_box(frame.data().to_vec()));
}
