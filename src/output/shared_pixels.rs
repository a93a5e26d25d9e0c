//! Finished pictures in memory that two processes map: the preview writes, the window's process shows.
//!
//! ```text
//! ┌ header (4 KiB) ───────────────────────────────────────────────────┬ slot 0 ┬ slot 1 ┬ slot 2 ┐
//! │ magic, capacity, parent │ state, heart-beat, latest │ sizes × 3   │ pixels │ pixels │ pixels │
//! └──── written once ───────┴──── atomics ──────────────┴─────────────┴────────┴────────┴────────┘
//! ```
//! A triple buffer: one slot belongs to the writer, one to the reader, and the third, the latest, changes hands by one
//! atomic exchange. So neither waits for the other, and neither sees a half-written picture. The memory is a file
//! without a name, handed to the child as its standard input; sealed, so that it cannot shrink under those who map it.
#![allow(unsafe_code)] // The mapping, and the view of it as header and pixels; each use says why it is sound.

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapRaw;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create};

use crate::media::LARGEST_SIDE;

/// "LHPX", and the version of the layout.
const MAGIC: u32 = 0x4c48_5802;
const HEADER_BYTES: usize = 4096;
/// Set in `latest` when the writer put a picture there that the reader has not taken.
const FRESH: u32 = 1 << 2;
const SLOT_MASK: u32 = 0b11;
/// The largest slot: 8K × 8K pixels.
const MOST_PIXELS: u64 = LARGEST_SIDE as u64 * LARGEST_SIDE as u64;

/// Whether the writer is still there.
const STATE_RUNNING: u32 = 1;
const STATE_ENDED: u32 = 2;

#[repr(C)]
struct Header {
    magic: AtomicU32,
    /// Pixels of one slot.
    capacity: AtomicU32,
    /// The writer's process.
    writer: AtomicU32,
    state: AtomicU32,
    heartbeat: AtomicU32,
    /// The slot of the latest picture, and [`FRESH`].
    latest: AtomicU32,
    sizes: [Size; 3],
}

/// The size of the picture in a slot. It belongs to whoever owns the slot.
#[repr(C)]
struct Size {
    width: AtomicU32,
    height: AtomicU32,
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES);

/// The mapping, by either side.
#[derive(Debug)]
struct Shared {
    memory: MmapRaw,
    capacity: usize,
}

// The mapping is plain memory; who may touch which part is settled by the exchange of slots.
impl Shared {
    fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, at least `HEADER_BYTES` long (checked in `PixelWriter::new` and
        // `PixelReader::open`), cannot shrink (it is sealed), and lives as long as `self`. All fields are atomics,
        // for which every bit pattern is valid and which may be changed by the other process at any time.
        unsafe { &*self.memory.as_ptr().cast::<Header>() }
    }

    fn slot(&self, slot: usize) -> *mut u32 {
        debug_assert!(slot < 3);
        // SAFETY: the mapping holds three slots of `capacity` pixels behind the header (checked when it was made or
        // opened), so the result lies inside it; the header's length is a multiple of four, so it is aligned.
        unsafe { self.memory.as_mut_ptr().add(HEADER_BYTES).cast::<u32>().add(slot * self.capacity) }
    }
}

fn bytes_for(capacity: usize) -> u64 {
    HEADER_BYTES as u64 + 3 * 4 * capacity as u64
}

/// The writing side: lives in the preview.
#[derive(Debug)]
pub struct PixelWriter {
    shared: Shared,
    file: File,
    /// The slot that is ours.
    own: usize,
}

impl PixelWriter {
    /// Memory for pictures of up to `capacity` pixels. It takes room only where pictures were written.
    ///
    /// # Errors
    /// The system's reason, or [`io::ErrorKind::InvalidInput`] for a capacity of zero or beyond 8192 × 8192.
    pub fn new(capacity: usize) -> io::Result<Self> {
        if capacity == 0 || capacity as u64 > MOST_PIXELS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = memfd_create("lookhear-preview", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, bytes_for(capacity))?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let file = File::from(file);
        let shared = Shared { memory: MmapRaw::map_raw(&file)?, capacity };
        let header = shared.header();
        header.capacity.store(capacity as u32, Ordering::Relaxed);
        header.writer.store(std::process::id(), Ordering::Relaxed);
        header.state.store(STATE_RUNNING, Ordering::Relaxed);
        header.latest.store(1, Ordering::Relaxed);
        // Last, and with release: who reads the magic number sees the rest.
        header.magic.store(MAGIC, Ordering::Release);
        Ok(Self { shared, file, own: 0 })
    }

    /// A handle to the memory, for the child's standard input.
    ///
    /// # Errors
    /// The system's reason.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }

    /// The pixels of the next picture, `width · height` of 0x00RRGGBB with what an earlier picture left in them; `None`
    /// if that is more than there is room for, or nothing.
    pub fn next(&mut self, width: u32, height: u32) -> Option<&mut [u32]> {
        let count = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
        if count == 0 || count > self.shared.capacity {
            return None;
        }
        let size = &self.shared.header().sizes[self.own];
        size.width.store(width, Ordering::Relaxed);
        size.height.store(height, Ordering::Relaxed);
        // SAFETY: `own` is this writer's: a slot leaves it only by the exchange in `publish`, which gives another one
        // in return, and a reader takes only the slot that it got by its own exchange. `count` is at most the slot's
        // capacity. The borrow of `self` keeps `publish` from being called while the slice lives.
        Some(unsafe { std::slice::from_raw_parts_mut(self.shared.slot(self.own), count) })
    }

    /// Makes the picture last written the latest.
    pub fn publish(&mut self) {
        // Acquire and release: the reader sees the pixels, and we may write over what it has finished with.
        let old = self.shared.header().latest.swap(self.own as u32 | FRESH, Ordering::AcqRel);
        // The other side could have written anything there; an index out of range must not leave the mapping.
        self.own = ((old & SLOT_MASK) as usize).min(2);
    }

    /// Says that the writer is alive.
    pub fn beat(&self) {
        self.shared.header().heartbeat.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that no picture will come any more.
    pub fn end(&self) {
        self.shared.header().state.store(STATE_ENDED, Ordering::Release);
    }
}

impl Drop for PixelWriter {
    fn drop(&mut self) {
        self.end();
    }
}

/// A picture that the reader holds.
#[derive(Clone, Copy, Debug)]
pub struct SharedPicture<'a> {
    /// `width · height` pixels, 0x00RRGGBB, top row first.
    pub pixels: &'a [u32],
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The reading side: lives in the window's process.
#[derive(Debug)]
pub struct PixelReader {
    shared: Shared,
    /// The slot that is ours.
    own: usize,
}

impl PixelReader {
    /// Maps the memory behind `file`, and checks that it is what a [`PixelWriter`] makes.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is anything else, or the system's reason.
    pub fn open(file: BorrowedFd<'_>) -> io::Result<Self> {
        let wrong = || io::Error::from(io::ErrorKind::InvalidData);
        // Only memory files can be sealed, so this turns away terminals, pipes and files on disk.
        let seals = fcntl_get_seals(file).map_err(|_| wrong())?;
        if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
            return Err(wrong());
        }
        let file = File::from(file.try_clone_to_owned()?);
        let length = file.metadata()?.len();
        if length < HEADER_BYTES as u64 {
            return Err(wrong());
        }
        let mut shared = Shared { memory: MmapRaw::map_raw(&file)?, capacity: 0 };
        let header = shared.header();
        let magic = header.magic.load(Ordering::Acquire);
        let capacity = header.capacity.load(Ordering::Relaxed) as usize;
        if magic != MAGIC || capacity == 0 || capacity as u64 > MOST_PIXELS || bytes_for(capacity) != length {
            return Err(wrong());
        }
        // Kept here and never read again: the header's copy could change.
        shared.capacity = capacity;
        Ok(Self { shared, own: 2 })
    }

    /// Takes the latest picture if there is one that was not taken yet; returns whether there was.
    pub fn take_latest(&mut self) -> bool {
        let latest = &self.shared.header().latest;
        if latest.load(Ordering::Relaxed) & FRESH == 0 {
            return false;
        }
        let old = latest.swap(self.own as u32, Ordering::AcqRel);
        self.own = ((old & SLOT_MASK) as usize).min(2);
        true
    }

    /// The picture taken last; `None` if there is none or its size is impossible.
    pub fn picture(&self) -> Option<SharedPicture<'_>> {
        let size = &self.shared.header().sizes[self.own];
        let (width, height) = (size.width.load(Ordering::Relaxed), size.height.load(Ordering::Relaxed));
        let count = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
        if count == 0 || count > self.shared.capacity {
            return None;
        }
        // SAFETY: the slot is ours until the exchange in `take_latest`, which the borrow of `self` keeps away, so
        // nobody writes to it; `count` is at most its capacity, and every pattern of bits is a `u32`.
        let pixels = unsafe { std::slice::from_raw_parts(self.shared.slot(self.own), count) };
        Some(SharedPicture { pixels, width, height })
    }

    /// A number that changes while the writer is alive.
    pub fn heartbeat(&self) -> u32 {
        self.shared.header().heartbeat.load(Ordering::Relaxed)
    }

    /// Whether the writer has said that no picture will come any more.
    pub fn is_ended(&self) -> bool {
        self.shared.header().state.load(Ordering::Acquire) == STATE_ENDED
    }

    /// The process of the writer.
    pub fn writer(&self) -> u32 {
        self.shared.header().writer.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(capacity: usize) -> (PixelWriter, PixelReader) {
        let writer = PixelWriter::new(capacity).expect("memory");
        let reader = PixelReader::open(writer.handle().expect("a handle").as_fd()).expect("it is what it should be");
        (writer, reader)
    }

    #[test]
    fn the_reader_gets_the_newest_picture_whole() {
        let (mut writer, mut reader) = pair(6);
        assert!(!reader.take_latest() && reader.picture().is_none());
        for value in 1..=5 {
            writer.next(2, 3).expect("room").fill(value);
            writer.publish();
        }
        assert!(reader.take_latest() && !reader.take_latest());
        let picture = reader.picture().expect("a picture");
        assert_eq!((picture.pixels, picture.width, picture.height), ([5; 6].as_slice(), 2, 3));
        writer.next(3, 1).expect("room").fill(6);
        writer.publish();
        assert_eq!(reader.picture().expect("still there").pixels, [5; 6], "what the reader holds is left alone");
        assert!(reader.take_latest());
        assert_eq!(reader.picture().expect("a picture").pixels, [6; 3]);
    }

    #[test]
    fn no_picture_is_ever_torn() {
        let (mut writer, mut reader) = pair(4096);
        let pictures = std::thread::spawn(move || {
            for value in 1..=20_000 {
                writer.next(64, 64).expect("room").fill(value);
                writer.publish();
            }
        });
        let mut last = 0;
        while last < 20_000 {
            if reader.take_latest() {
                let pixels = reader.picture().expect("a picture").pixels;
                assert!(pixels[0] > last && pixels.iter().all(|pixel| *pixel == pixels[0]));
                last = pixels[0];
            }
        }
        pictures.join().expect("no panic");
    }

    #[test]
    fn the_end_and_the_heart_beat_are_seen() {
        let (writer, reader) = pair(1);
        let before = reader.heartbeat();
        writer.beat();
        assert!(reader.heartbeat() != before && !reader.is_ended());
        assert_eq!(reader.writer(), std::process::id());
        drop(writer);
        assert!(reader.is_ended());
    }

    #[test]
    fn too_large_a_picture_has_no_room() {
        let (mut writer, _) = pair(100);
        assert!(writer.next(10, 10).is_some());
        for (width, height) in [(10, 11), (0, 5), (u32::MAX, u32::MAX)] {
            assert!(writer.next(width, height).is_none());
        }
        assert!(PixelWriter::new(0).is_err() && PixelWriter::new(usize::MAX).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = |file: BorrowedFd<'_>| PixelReader::open(file).expect_err("it is wrong").kind();
        let (pipe, _) = std::io::pipe().expect("a pipe");
        assert_eq!(refused(pipe.as_fd()), io::ErrorKind::InvalidData);
        let disk = tempfile::tempfile().expect("a file");
        disk.set_len(1 << 20).expect("room");
        assert_eq!(refused(disk.as_fd()), io::ErrorKind::InvalidData);
        for length in [0, 16, HEADER_BYTES as u64, 1 << 20] {
            let file = memfd_create("test", MemfdFlags::ALLOW_SEALING).expect("memory");
            ftruncate(&file, length).expect("room");
            assert_eq!(refused(file.as_fd()), io::ErrorKind::InvalidData, "it could shrink");
            fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW).expect("it can be sealed");
            assert_eq!(refused(file.as_fd()), io::ErrorKind::InvalidData, "{length} bytes of zeros");
        }
        // A capacity that the file does not have.
        let writer = PixelWriter::new(100).expect("memory");
        writer.shared.header().capacity.store(101, Ordering::Relaxed);
        assert_eq!(refused(writer.handle().expect("a handle").as_fd()), io::ErrorKind::InvalidData);
    }
}
