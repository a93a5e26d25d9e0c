//! Pixel formats as devices give them, and their way to RGB.

use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvError, YuvGrayImage, YuvPackedImage, YuvPlanarImage, YuvRange,
    YuvStandardMatrix,
};

use super::LARGEST_SIDE;
use super::jpeg::{Reduction, rgb_from_frame};

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
    /// Brightness in full range (0 is black, 255 white), one byte.
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
    /// There is no such picture.
    #[error("a picture of {0}×{1} is empty or larger than {LARGEST_SIDE}×{LARGEST_SIDE}")]
    Size(u32, u32),
    /// The JPEG is another picture than the frame says.
    #[error("the JPEG picture is {}×{}, and the frame {}×{}", found.0, found.1, expected.0, expected.1)]
    JpegSize {
        /// Width and height of the frame, in pixels.
        expected: (u32, u32),
        /// Width and height of the JPEG, in pixels.
        found: (u32, u32),
    },
    /// The JPEG is damaged.
    #[error("the JPEG picture is damaged: {0}")]
    Jpeg(String),
    /// The JPEG is of a kind that no camera gives.
    #[error("the JPEG picture is {0}, which cannot be read")]
    JpegKind(&'static str),
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
    pub fn picture_bytes(self, stride_bytes: usize, height: u32) -> usize {
        let rows = height as usize;
        match self {
            Self::Rgb24 | Self::Yuyv | Self::Grey => stride_bytes * rows,
            Self::Nv12 | Self::I420 => stride_bytes * rows + 2 * stride_bytes.div_ceil(2) * rows.div_ceil(2),
            Self::Mjpeg => 0,
        }
    }
}

/// Converts a picture to packed RGB: `width · height · 3` bytes in `rgb`, which is resized and not reallocated when it
/// was large enough before.
///
/// YUV is taken as BT.601 in limited range, which is what webcams give and what `ffmpeg` is asked for. In planar formats
/// the rows of the other planes are as long as `stride_bytes` (NV12) or half of it (I420), rounded up. Bytes behind the
/// picture are ignored. Only JPEG allocates, inside libjpeg-turbo.
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
    let side = 1..=LARGEST_SIDE;
    if !side.contains(&width) || !side.contains(&height) {
        return Err(PixelFormatError::Size(width, height));
    }
    if format == PixelFormat::Mjpeg {
        return rgb_from_frame(data, (width, height), Reduction::Whole, rgb).map(drop);
    }
    let needed = format.picture_bytes(stride_bytes.max(format.row_bytes(width)), height);
    if data.len() < needed || stride_bytes < format.row_bytes(width) {
        return Err(PixelFormatError::Short { format, width, height, needed, found: data.len() });
    }
    let rgb_stride = width * 3;
    rgb.resize(rgb_stride as usize * height as usize, 0);

    let (first, others) = data[..needed].split_at(stride_bytes * height as usize);
    let (y_stride, half_stride) = (stride_bytes as u32, stride_bytes.div_ceil(2) as u32);
    let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
    let converted: Result<(), YuvError> = match format {
        PixelFormat::Rgb24 => {
            let rows = rgb.chunks_exact_mut(rgb_stride as usize).zip(first.chunks_exact(stride_bytes));
            rows.for_each(|(to, from)| to.copy_from_slice(&from[..rgb_stride as usize]));
            Ok(())
        }
        PixelFormat::Grey => {
            let image = YuvGrayImage { y_plane: first, y_stride, width, height };
            yuv::yuv400_to_rgb(&image, rgb, rgb_stride, YuvRange::Full, matrix)
        }
        PixelFormat::Yuyv => {
            let image = YuvPackedImage { yuy: first, yuy_stride: y_stride, width, height };
            yuv::yuyv422_to_rgb(&image, rgb, rgb_stride, range, matrix)
        }
        PixelFormat::Nv12 => {
            let (y_plane, uv_plane, uv_stride) = (first, others, 2 * half_stride);
            let image = YuvBiPlanarImage { y_plane, y_stride, uv_plane, uv_stride, width, height };
            yuv::yuv_nv12_to_rgb(&image, rgb, rgb_stride, range, matrix, YuvConversionMode::Balanced)
        }
        PixelFormat::I420 => {
            let (u_plane, v_plane) = others.split_at(others.len() / 2);
            let (y_plane, u_stride, v_stride) = (first, half_stride, half_stride);
            let image = YuvPlanarImage { y_plane, y_stride, u_plane, u_stride, v_plane, v_stride, width, height };
            yuv::yuv420_to_rgb(&image, rgb, rgb_stride, range, matrix)
        }
        PixelFormat::Mjpeg => unreachable!("decoded above"),
    };
    converted.map_err(|error| PixelFormatError::Convert(format, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// BT.601, limited range, by the formula of the standard.
    fn reference(y: u8, u: u8, v: u8) -> [u8; 3] {
        let (y, u, v) = ((f64::from(y) - 16.0) * 255.0 / 219.0, f64::from(u) - 128.0, f64::from(v) - 128.0);
        let (u, v) = (u * 255.0 / 224.0, v * 255.0 / 224.0);
        [y + 1.402 * v, y - 0.344_136 * u - 0.714_136 * v, y + 1.772 * u]
            .map(|value| value.round().clamp(0.0, 255.0) as u8)
    }

    /// The pixel at (`x`, `y`) as the formats are defined.
    fn pixel(format: PixelFormat, data: &[u8], stride: usize, height: usize, x: usize, y: usize) -> [u8; 3] {
        let half = stride.div_ceil(2);
        let (luma, chroma) = (y * stride + x, stride * height);
        match format {
            PixelFormat::Rgb24 => [0, 1, 2].map(|channel| data[y * stride + 3 * x + channel]),
            PixelFormat::Grey => [data[luma]; 3],
            PixelFormat::Yuyv => {
                let pair = y * stride + x / 2 * 4;
                reference(data[pair + x % 2 * 2], data[pair + 1], data[pair + 3])
            }
            PixelFormat::Nv12 => {
                let pair = chroma + y / 2 * 2 * half + x / 2 * 2;
                reference(data[luma], data[pair], data[pair + 1])
            }
            PixelFormat::I420 => {
                let u = chroma + y / 2 * half + x / 2;
                reference(data[luma], data[u], data[u + half * height.div_ceil(2)])
            }
            PixelFormat::Mjpeg => unreachable!("not a raw format"),
        }
    }

    const RAW: [PixelFormat; 5] =
        [PixelFormat::Rgb24, PixelFormat::Grey, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::I420];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn every_pixel_is_the_formula_s_within_2(
            format in prop::sample::select(&RAW[..]), width in 1u32..100, height in 1u32..12, padding in 0usize..40,
            trailing in 0usize..9, seed: u64,
        ) {
            let stride = format.row_bytes(width) + padding;
            let mut state = seed;
            let data: Vec<u8> = (0..format.picture_bytes(stride, height) + trailing).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Only what the standard allows: below its black the SIMD and the plain path of `yuv` differ.
                16 + (state >> 56) as u8 % 225
            }).collect();
            let mut rgb = Vec::new();
            rgb_from(format, &data, (width, height), stride, &mut rgb).expect("a picture");
            prop_assert_eq!(rgb.len(), (width * height * 3) as usize);
            for (index, found) in rgb.chunks_exact(3).enumerate() {
                let (x, y) = (index % width as usize, index / width as usize);
                let expected = pixel(format, &data, stride, height as usize, x, y);
                let off = found.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
                prop_assert!(off <= Some(2), "{:?} at {},{}: {:?}, not {:?}", format, x, y, found, expected);
            }
            let short = format.picture_bytes(stride, height) - 1;
            let error = rgb_from(format, &data[..short], (width, height), stride, &mut rgb);
            let is_short = matches!(error, Err(PixelFormatError::Short { .. }));
            prop_assert!(is_short);
        }
    }

    #[test]
    fn memory_is_used_again() {
        let mut rgb = Vec::new();
        rgb_from(PixelFormat::Grey, &[128; 64 * 48], (64, 48), 64, &mut rgb).expect("a picture");
        let address = rgb.as_ptr();
        rgb_from(PixelFormat::Yuyv, &[128; 32 * 32 * 2], (32, 32), 64, &mut rgb).expect("a picture");
        assert_eq!(rgb.as_ptr(), address);
    }
}
