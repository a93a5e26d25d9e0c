//! Handing a frame from a camera to a slower reader: our slot beside the channels a user would take instead.
//!
//! `cargo bench --bench handover`. One iteration gives one frame; nobody reads, as when an inference is under way: so
//! this is what capture pays for a busy reader. A plain bounded channel refuses the new frame instead, and keeps the
//! stale one.

use std::sync::Mutex;

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

#[divan::bench]
fn newest_wins_mutex(bencher: Bencher) {
    let slot = Mutex::new(None);
    let frame = frame(&mut FramePool::new(1));
    bencher.bench_local(|| slot.lock().expect("no panic under the lock").replace(black_box(frame.clone())));
}

/// What is saved by sharing the pooled frame: one copy of 640×480 YUYV.
#[divan::bench]
fn copy_of_the_frame_instead(bencher: Bencher) {
    let frame = frame(&mut FramePool::new(1));
    bencher.bench_local(|| black_box(frame.data().to_vec()));
}
