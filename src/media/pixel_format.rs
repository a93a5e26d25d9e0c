//! Pixel formats as devices give them, and their way to RGB.

use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvError, YuvGrayImage, YuvPackedImage, YuvPlanarImage, YuvRange,
    YuvStandardMatrix,
};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::LARGEST_SIDE;

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
        found: (usize, usize),
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
/// picture are ignored. Only JPEG allocates, inside its decoder.
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
        return rgb_from_jpeg(data, (width, height), rgb);
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

/// Decodes a JPEG picture that must have the size of its frame; what follows its end is ignored.
fn rgb_from_jpeg(jpeg: &[u8], expected: (u32, u32), rgb: &mut Vec<u8>) -> Result<(), PixelFormatError> {
    let with_marker;
    let jpeg = if lacks_huffman_tables(jpeg) {
        // Copying these 30 kB costs a hundredth of decoding them, and only some old cameras need it.
        with_marker = [&SOI[..], &MOTION_JPEG_MARKER, &jpeg[SOI.len()..]].concat();
        &with_marker[..]
    } else {
        jpeg
    };
    let damaged = |error: zune_jpeg::errors::DecodeErrors| PixelFormatError::Jpeg(error.to_string());
    let side = LARGEST_SIDE as usize;
    let options =
        DecoderOptions::default().set_max_width(side).set_max_height(side).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().map_err(damaged)?;
    let found = decoder.dimensions().unwrap_or_default();
    if found != (expected.0 as usize, expected.1 as usize) {
        return Err(PixelFormatError::JpegSize { expected, found });
    }
    let bytes = found.0 * found.1 * 3;
    if decoder.output_buffer_size() != Some(bytes) {
        return Err(PixelFormatError::Jpeg("it is neither grey nor coloured".to_owned()));
    }
    rgb.resize(bytes, 0);
    decoder.decode_into(rgb).map_err(damaged)
}

/// How every JPEG starts.
const SOI: [u8; 2] = [0xff, 0xd8];

/// The segment by which a picture says that it is of a Motion JPEG stream, whose Huffman tables are always the same and
/// may be left out. zune-jpeg knows these tables, and uses them only behind this segment.
const MOTION_JPEG_MARKER: [u8; 9] = *b"\xff\xe0\x00\x07AVI1\0";

/// Whether a JPEG has neither Huffman tables nor the marker that excuses their absence. Some webcams send such pictures.
fn lacks_huffman_tables(jpeg: &[u8]) -> bool {
    let mut segments = JpegSegments(jpeg.get(SOI.len()..).unwrap_or_default());
    // The tables come before the first scan, or not at all.
    let first = segments.find(|(kind, body)| match kind {
        0xe0 => body.starts_with(&MOTION_JPEG_MARKER[4..]),
        _ => [0xc4, 0xda].contains(kind),
    });
    first.is_some_and(|(kind, _)| kind == 0xda)
}

/// Width and height in pixels of the picture whose JPEG starts with `jpeg`, as its header says; `None` without one.
pub fn jpeg_size(jpeg: &[u8]) -> Option<(u32, u32)> {
    let mut segments = JpegSegments(jpeg.strip_prefix(&SOI)?);
    // SOF0 to SOF15, without the tables (DHT, DAC) that lie among their numbers.
    let (_, body) = segments.find(|(kind, _)| (0xc0..=0xcf).contains(kind) && ![0xc4, 0xc8, 0xcc].contains(kind))?;
    let [_, h, l, w, v, ..] = *body else { return None };
    Some((u16::from_be_bytes([w, v]).into(), u16::from_be_bytes([h, l]).into()))
}

/// The marker segments of a JPEG up to its first scan, as (kind, body); ends early where they are damaged.
struct JpegSegments<'a>(&'a [u8]);

impl<'a> Iterator for JpegSegments<'a> {
    type Item = (u8, &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        // Fill bytes may stand before a marker.
        while self.0.starts_with(&[0xff, 0xff]) {
            self.0 = &self.0[1..];
        }
        let [0xff, kind, length @ ..] = self.0 else { return None };
        let body = length.get(2..usize::from(u16::from_be_bytes(*length.first_chunk()?)))?;
        self.0 = if *kind == 0xda { &[] } else { &length[2 + body.len()..] };
        Some((*kind, body))
    }
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

        #[test]
        fn damaged_jpegs_never_panic(cuts in prop::collection::vec((0usize..4000, any::<u8>()), 0..20), length in 0usize..4000) {
            let mut jpeg = jpeg(64, 48, image::ExtendedColorType::Rgb8);
            for (at, byte) in cuts {
                let at = at % jpeg.len();
                jpeg[at] = byte;
            }
            jpeg.truncate(length);
            // Half a picture is a picture; what counts is that it ends and that its size is right.
            let mut rgb = Vec::new();
            if rgb_from(PixelFormat::Mjpeg, &jpeg, (64, 48), 0, &mut rgb).is_ok() {
                prop_assert_eq!(rgb.len(), 64 * 48 * 3);
            }
            let _ = jpeg_size(&jpeg);
        }
    }

    /// A smooth picture: colours run along both axes.
    fn jpeg(width: u32, height: u32, colour: image::ExtendedColorType) -> Vec<u8> {
        let channels = usize::from(colour.bits_per_pixel() / 8);
        let pixels: Vec<u8> = (0..height)
            .flat_map(|y| {
                (0..width)
                    .flat_map(move |x| [x * 255 / width, y * 255 / height, 128].map(|value| value as u8))
                    .take(width as usize * channels)
            })
            .collect();
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90)
            .encode(&pixels, width, height, colour)
            .expect("an encoder of valid pixels");
        jpeg
    }

    /// The picture without its Huffman tables and without the header that a JPEG file has, as some webcams send it.
    fn without_tables(jpeg: &[u8]) -> Vec<u8> {
        let (mut stripped, mut rest) = (SOI.to_vec(), &jpeg[2..]);
        while rest[1] != 0xda {
            let length = 2 + usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            if ![0xc4, 0xe0].contains(&rest[1]) {
                stripped.extend_from_slice(&rest[..length]);
            }
            rest = &rest[length..];
        }
        stripped.extend_from_slice(rest);
        stripped
    }

    #[test]
    fn jpeg_agrees_with_the_image_crate_with_and_without_tables_and_with_garbage_behind() {
        for (width, height) in [(64, 48), (33, 17), (1, 1)] {
            for colour in [image::ExtendedColorType::Rgb8, image::ExtendedColorType::L8] {
                let jpeg = jpeg(width, height, colour);
                let expected = image::load_from_memory(&jpeg).expect("a picture").to_rgb8().into_raw();
                let mut garbage = jpeg.clone();
                garbage.extend_from_slice(&[0xff, 0xd8, 0, 0, 1, 2, 3]);
                let mut marked = without_tables(&jpeg);
                marked.splice(2..2, MOTION_JPEG_MARKER);
                for variant in [&jpeg, &garbage, &marked, &without_tables(&jpeg)] {
                    assert_eq!(jpeg_size(variant), Some((width, height)));
                    let mut rgb = Vec::new();
                    rgb_from(PixelFormat::Mjpeg, variant, (width, height), 0, &mut rgb).expect("a picture");
                    let off = rgb.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
                    assert!(rgb.len() == expected.len() && off <= Some(2), "{width}×{height} {colour:?}: {off:?}");
                }
            }
        }
    }

    #[test]
    fn a_jpeg_of_another_size_names_both() {
        let check = |jpeg: &[u8], size, message: &str| {
            let error = rgb_from(PixelFormat::Mjpeg, jpeg, size, 0, &mut Vec::new()).expect_err("no picture");
            assert_eq!(error.to_string(), message);
        };
        let mut picture = jpeg(64, 48, image::ExtendedColorType::Rgb8);
        check(&picture, (640, 480), "the JPEG picture is 64×48, and the frame 640×480");
        check(&picture, (64, 9000), "a picture of 64×9000 is empty or larger than 8192×8192");
        check(&picture, (0, 48), "a picture of 0×48 is empty or larger than 8192×8192");
        // The size stands 5 bytes behind the start-of-frame marker; the decoder must not believe 65535×65535.
        let frame = picture.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame header");
        picture[frame + 5..frame + 9].fill(0xff);
        let error = rgb_from(PixelFormat::Mjpeg, &picture, (64, 48), 0, &mut Vec::new());
        assert!(matches!(error, Err(PixelFormatError::Jpeg(_))), "{error:?}");
    }

    #[test]
    fn memory_is_used_again() {
        let jpeg = jpeg(64, 48, image::ExtendedColorType::Rgb8);
        let mut rgb = Vec::new();
        rgb_from(PixelFormat::Mjpeg, &jpeg, (64, 48), 0, &mut rgb).expect("a picture");
        let address = rgb.as_ptr();
        rgb_from(PixelFormat::Mjpeg, &jpeg, (64, 48), 0, &mut rgb).expect("a picture");
        rgb_from(PixelFormat::Yuyv, &[128; 32 * 32 * 2], (32, 32), 64, &mut rgb).expect("a picture");
        assert_eq!(rgb.as_ptr(), address);
    }
}
