//! One picture out of a camera.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::jpeg::{Reduction, rgb_from_frame};
use super::{MediaTime, PixelFormat, PixelFormatError, Pool, Pooled, rgb_from};

/// The largest width and height of a picture that lookhear takes from anywhere: 8K.
pub const LARGEST_SIDE: u32 = 8192;

/// A frame: shared and read-only, its memory used again once the last reader has dropped it.
pub type Frame = Pooled<FrameBuffer>;

/// The frames of one source.
pub type FramePool = Pool<FrameBuffer>;

/// Why a frame has no picture.
pub type FrameError = PixelFormatError;

/// What is made on first demand.
type Made<T> = OnceLock<Result<T, FrameError>>;

/// Size and layout of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// How the bytes are laid out.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from one row of the first plane to the next; 0 for JPEG.
    pub stride_bytes: usize,
}

impl Geometry {
    /// A picture whose rows are not padded.
    pub fn packed(format: PixelFormat, width: u32, height: u32) -> Self {
        Self { format, width, height, stride_bytes: format.row_bytes(width) }
    }
}

/// A picture in the format that the source gave, and in RGB from when somebody first asks for that.
#[derive(Debug)]
pub struct FrameBuffer {
    data: Vec<u8>,
    geometry: Geometry,
    sequence: u64,
    time: MediaTime,
    captured: Instant,
    rgb: Made<Vec<u8>>,
    /// The picture made smaller while it was decoded, and its width and height in pixels.
    reduced: Made<(Vec<u8>, (u32, u32))>,
    /// The memory of the last RGB pictures, whole and reduced, waiting for the next. Each is locked once a frame, by whoever
    /// makes the picture.
    spare: [Mutex<Vec<u8>>; 2],
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            geometry: Geometry::packed(PixelFormat::Rgb24, 0, 0),
            sequence: 0,
            time: MediaTime::ZERO,
            captured: Instant::now(),
            rgb: OnceLock::new(),
            reduced: OnceLock::new(),
            spare: Default::default(),
        }
    }
}

impl FrameBuffer {
    /// Makes this the frame number `sequence` (from 0) of its source, taken at `time`, and returns its emptied byte
    /// buffer for the caller to fill.
    pub fn begin(&mut self, geometry: Geometry, sequence: u64, time: MediaTime) -> &mut Vec<u8> {
        let [whole, reduced] =
            self.spare.each_mut().map(|spare| spare.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(Ok(rgb)) = self.rgb.take() {
            *whole = rgb;
        }
        if let Some(Ok((rgb, _))) = self.reduced.take() {
            *reduced = rgb;
        }
        (self.geometry, self.sequence, self.time, self.captured) = (geometry, sequence, time, Instant::now());
        self.data.clear();
        &mut self.data
    }

    /// The picture in RGB, made on the first call and shared by all readers.
    ///
    /// # Errors
    /// Why the bytes are no picture.
    pub fn rgb(&self) -> Result<RgbView<'_>, &FrameError> {
        let made = self.rgb.get_or_init(|| {
            let mut rgb = taken(&self.spare[0]);
            let Geometry { format, width, height, stride_bytes } = self.geometry;
            rgb_from(format, &self.data, (width, height), stride_bytes, &mut rgb).map(|()| rgb)
        });
        let Geometry { width, height, .. } = self.geometry;
        made.as_ref().map(|pixels| RgbView { pixels, width, height })
    }

    /// The picture in RGB, at least `least` (width, height) pixels large where the frame is: for who looks at the frame alone,
    /// and needs no more. A JPEG is decoded at the smallest scale that is enough ([`Reduction`]), which takes less time; what
    /// was made already is used.
    ///
    /// # Errors
    /// Why the bytes are no picture.
    pub fn rgb_at_least(&self, least: (u32, u32)) -> Result<RgbView<'_>, &FrameError> {
        let Geometry { format, width, height, .. } = self.geometry;
        let reduction = Reduction::keeping((width, height), least);
        if format != PixelFormat::Mjpeg || reduction == Reduction::Whole || self.rgb.get().is_some() {
            return self.rgb();
        }
        let made = self.reduced.get_or_init(|| {
            let mut rgb = taken(&self.spare[1]);
            rgb_from_frame(&self.data, (width, height), reduction, &mut rgb).map(|size| (rgb, size))
        });
        let (pixels, (width, height)) = made.as_ref()?;
        // Somebody else may have needed less.
        if *width < least.0 || *height < least.1 {
            return self.rgb();
        }
        Ok(RgbView { pixels, width: *width, height: *height })
    }

    /// The bytes as the source gave them.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
    /// Size and layout of [`FrameBuffer::data`].
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }
    /// The frame's number in its source, from 0; a gap is a frame that the device lost.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
    /// When it was taken, since the start of the source.
    pub fn time(&self) -> MediaTime {
        self.time
    }
    /// When it came in, on this machine's monotonic clock: for latencies.
    pub fn captured(&self) -> Instant {
        self.captured
    }
}

fn taken(spare: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut *spare.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A packed RGB picture.
#[derive(Clone, Copy, Debug)]
pub struct RgbView<'a> {
    /// `width · height · 3` bytes, top row first.
    pub pixels: &'a [u8],
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(pool: &mut FramePool, sequence: u64, value: u8) -> Frame {
        pool.fill(|buffer| {
            buffer
                .begin(Geometry::packed(PixelFormat::Grey, 4, 2), sequence, MediaTime::ZERO)
                .extend_from_slice(&[value; 8]);
            Ok::<_, ()>(())
        })
        .expect("a free frame")
        .expect("filled")
    }

    #[test]
    fn rgb_is_made_once_and_its_memory_is_used_again() {
        let mut pool = FramePool::new(1);
        let first = frame(&mut pool, 0, 7);
        let address = first.rgb().expect("a picture").pixels.as_ptr();
        assert_eq!(first.rgb().expect("a picture").pixels.as_ptr(), address);
        drop(first);
        let second = frame(&mut pool, 1, 9);
        let rgb = second.rgb().expect("a picture");
        assert_eq!((rgb.pixels, rgb.pixels.as_ptr()), ([9u8; 24].as_slice(), address));
    }

    /// A grey JPEG.
    fn jpeg_frame(pool: &mut FramePool, (width, height): (u32, u32)) -> Frame {
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new(&mut jpeg)
            .encode(&vec![90; (width * height) as usize], width, height, image::ExtendedColorType::L8)
            .expect("an encoder of valid pixels");
        let frame = pool.fill(|buffer| {
            let geometry = Geometry::packed(PixelFormat::Mjpeg, width, height);
            buffer.begin(geometry, 0, MediaTime::ZERO).extend_from_slice(&jpeg);
            Ok::<_, ()>(())
        });
        frame.expect("free").expect("filled")
    }

    #[test]
    fn who_looks_alone_gets_a_jpeg_as_small_as_serves_and_everybody_else_the_whole() {
        let size =
            |view: Result<RgbView<'_>, &FrameError>| view.map(|view| (view.width, view.height)).expect("a picture");
        let mut pool = FramePool::new(1);
        let first = jpeg_frame(&mut pool, (128, 72));
        assert_eq!(size(first.rgb_at_least((30, 30))), (64, 36));
        let address = first.rgb_at_least((30, 30)).expect("a picture").pixels.as_ptr();
        // Made once, and never taken for more than it is.
        assert_eq!(first.rgb_at_least((64, 36)).expect("a picture").pixels.as_ptr(), address);
        assert_eq!(size(first.rgb_at_least((65, 30))), (128, 72));
        assert_eq!(size(first.rgb()), (128, 72));
        // The whole one is there now, so it is the best to be had.
        assert_eq!(size(first.rgb_at_least((30, 30))), (128, 72));
        drop(first);
        let second = jpeg_frame(&mut pool, (128, 72));
        assert_eq!(second.rgb_at_least((30, 30)).expect("a picture").pixels.as_ptr(), address);
        drop(second);
        // Raw formats are no faster for being smaller.
        assert_eq!(size(frame(&mut pool, 0, 7).rgb_at_least((1, 1))), (4, 2));
    }

    #[test]
    fn a_short_frame_is_an_error_for_every_reader() {
        let mut pool = FramePool::new(1);
        let frame = pool.fill(|buffer| {
            buffer.begin(Geometry::packed(PixelFormat::Yuyv, 640, 480), 0, MediaTime::ZERO).push(1);
            Ok::<_, ()>(())
        });
        let frame = frame.expect("free").expect("filled");
        assert!(matches!(frame.rgb(), Err(FrameError::Short { needed: 614_400, found: 1, .. })));
    }
}
