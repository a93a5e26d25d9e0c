//! JPEG: frames as Motion JPEG gives them, and photos.

use super::PixelFormatError;
use super::turbojpeg::JpegPicture;

/// By how much a picture is made smaller while it is decoded, which saves most of the decoding.
///
/// The decoder knows more factors than these, and with the others takes longer than for the whole picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Not at all.
    #[default]
    Whole,
    /// Each side to its half.
    Half,
    /// Each side to its quarter.
    Quarter,
    /// Each side to its eighth.
    Eighth,
}

impl Reduction {
    /// The strongest that leaves a picture of `size` (width, height) at least as wide and as high as `least`.
    pub fn keeping(size: (u32, u32), least: (u32, u32)) -> Self {
        let is_enough = |reduction: &Self| {
            let (width, height) = reduction.applied(size);
            width >= least.0 && height >= least.1
        };
        [Self::Eighth, Self::Quarter, Self::Half].into_iter().find(is_enough).unwrap_or_default()
    }

    /// What a picture of `size` (width, height) becomes: rounded up, so that nothing becomes empty.
    pub fn applied(self, (width, height): (u32, u32)) -> (u32, u32) {
        (width.div_ceil(self.divisor()), height.div_ceil(self.divisor()))
    }

    /// What each side is divided by.
    pub fn divisor(self) -> u32 {
        match self {
            Self::Whole => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }
}

/// Decodes a JPEG picture of any size up to [`super::LARGEST_SIDE`] to packed RGB; returns its width and height.
///
/// - **in**: grey or colour, sequential or progressive, 8 bits; without Huffman tables, those of Motion JPEG hold; what
///   follows the picture's end is ignored
/// - **out**: `rgb`, resized to `width · height · 3` bytes, and not reallocated when it was large enough before. Of a picture
///   that is cut short or damaged within, what could be read.
/// - **allocates**: inside libjpeg-turbo
///
/// # Errors
/// [`PixelFormatError::Jpeg`], [`PixelFormatError::JpegKind`], or [`PixelFormatError::Size`] of one that is too large; `rgb`'s
/// content is undefined then.
pub fn rgb_from_jpeg(jpeg: &[u8], reduction: Reduction, rgb: &mut Vec<u8>) -> Result<(u32, u32), PixelFormatError> {
    JpegPicture::open(jpeg)?.decode(reduction, rgb)
}

/// [`rgb_from_jpeg`] of a picture that must have the size of its frame.
///
/// # Errors
/// Also [`PixelFormatError::JpegSize`].
pub(super) fn rgb_from_frame(
    jpeg: &[u8],
    expected: (u32, u32),
    reduction: Reduction,
    rgb: &mut Vec<u8>,
) -> Result<(u32, u32), PixelFormatError> {
    let picture = JpegPicture::open(jpeg)?;
    let found = picture.size();
    if found != expected {
        return Err(PixelFormatError::JpegSize { expected, found });
    }
    picture.decode(reduction, rgb)
}

/// How every JPEG starts.
const SOI: [u8; 2] = [0xff, 0xd8];

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
    use crate::media::{PixelFormat, rgb_from};
    use proptest::prelude::*;

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

    /// The marker by which some cameras say that the tables are missing.
    const MOTION_JPEG_MARKER: [u8; 9] = *b"\xff\xe0\x00\x07AVI1\0";

    /// Where the body of the first segment of `kind` starts.
    fn segment(jpeg: &[u8], kind: u8) -> usize {
        jpeg.windows(2).position(|pair| pair == [0xff, kind]).expect("such a segment") + 4
    }

    #[test]
    fn pictures_agree_with_the_image_crate_with_and_without_tables_and_with_garbage_behind() {
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
    fn the_tables_of_one_picture_do_not_serve_the_next() {
        let whole = jpeg(64, 48, image::ExtendedColorType::Rgb8);
        let (mut alone, mut after, mut other) = (Vec::new(), Vec::new(), Vec::new());
        rgb_from_jpeg(&without_tables(&whole), Reduction::Whole, &mut alone).expect("a picture");
        // Five codes of the same length exchange what they stand for.
        let mut exchanged = whole.clone();
        let symbols = segment(&exchanged, 0xc4) + 17;
        exchanged[symbols + 1..symbols + 6].reverse();
        rgb_from_jpeg(&exchanged, Reduction::Whole, &mut other).expect("a picture");
        rgb_from_jpeg(&without_tables(&whole), Reduction::Whole, &mut after).expect("a picture");
        assert!(other != alone && after == alone);
        // Without the tables of quantisation there is nothing that could be meant.
        let mut bare = whole.clone();
        while let Some(at) = bare.windows(2).position(|pair| pair == [0xff, 0xdb]) {
            let length = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
            bare.drain(at..at + 2 + length);
        }
        let error = rgb_from_jpeg(&bare, Reduction::Whole, &mut after);
        assert!(matches!(error, Err(PixelFormatError::Jpeg(_))), "{error:?}");
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
        // The decoder must not believe that there are so many pixels.
        let size = segment(&picture, 0xc0) + 1;
        picture[size..size + 4].copy_from_slice(&[0xff, 0, 0xff, 0]);
        check(&picture, (64, 48), "a picture of 65280×65280 is empty or larger than 8192×8192");
    }

    #[test]
    fn what_is_no_picture_for_a_screen_is_refused_with_its_kind() {
        let check = |jpeg: &[u8], message: &str| {
            let error = rgb_from_jpeg(jpeg, Reduction::Whole, &mut Vec::new()).expect_err("no picture");
            assert!(error.to_string().contains(message), "{error}");
        };
        check(&[], "damaged");
        check(b"no picture at all", "damaged");
        let picture = jpeg(64, 48, image::ExtendedColorType::Rgb8);
        check(&picture[..segment(&picture, 0xda)], "damaged");
        let header = segment(&picture, 0xc0);
        let mut twelve_bits = picture.clone();
        twelve_bits[header] = 12;
        check(&twelve_bits, "8 bits");
        let mut lossless = picture.clone();
        lossless[header - 3] = 0xc3;
        check(&lossless, "lossless");
    }

    #[test]
    fn a_picture_that_is_cut_short_is_one_down_to_the_cut() {
        let picture = jpeg(64, 48, image::ExtendedColorType::Rgb8);
        let (mut whole, mut cut) = (Vec::new(), vec![1; 64 * 48 * 3]);
        rgb_from_jpeg(&picture, Reduction::Whole, &mut whole).expect("a picture");
        let half = segment(&picture, 0xda) + (picture.len() - segment(&picture, 0xda)) * 2 / 3;
        assert_eq!(rgb_from_jpeg(&picture[..half], Reduction::Whole, &mut cut), Ok((64, 48)));
        assert!(cut != whole && cut[..64 * 3 * 16] == whole[..64 * 3 * 16]);
    }

    #[test]
    fn a_reduced_picture_holds_the_means_of_the_whole_one() {
        let (width, height) = (101, 67);
        let jpeg = jpeg(width, height, image::ExtendedColorType::Rgb8);
        let (mut whole, mut small) = (Vec::new(), Vec::new());
        rgb_from_jpeg(&jpeg, Reduction::Whole, &mut whole).expect("a picture");
        for (reduction, size) in
            [(Reduction::Half, (51, 34)), (Reduction::Quarter, (26, 17)), (Reduction::Eighth, (13, 9))]
        {
            assert_eq!(rgb_from_jpeg(&jpeg, reduction, &mut small), Ok(size));
            assert_eq!((reduction.applied((width, height)), small.len()), (size, (size.0 * size.1 * 3) as usize));
            let side = reduction.divisor();
            // Where a pixel covers less than a full square, the picture's edge goes on in what was encoded.
            for (x, y) in (0..height / side).flat_map(|y| (0..width / side).map(move |x| (x, y))) {
                for channel in 0..3 {
                    let covered = (0..side * side).map(|n| {
                        let (x, y) = (x * side + n % side, y * side + n / side);
                        f64::from(whole[((y * width + x) * 3 + channel) as usize])
                    });
                    let mean = covered.sum::<f64>() / f64::from(side * side);
                    let found = f64::from(small[((y * size.0 + x) * 3 + channel) as usize]);
                    assert!((found - mean).abs() <= 4.0, "{reduction:?} at {x},{y}: {found}, not {mean}");
                }
            }
        }
    }

    #[test]
    fn the_reduction_leaves_what_is_needed() {
        let check = |size, least, expected| assert_eq!(Reduction::keeping(size, least), expected, "{size:?} {least:?}");
        check((1280, 720), (300, 300), Reduction::Half);
        check((640, 480), (300, 300), Reduction::Whole);
        check((1920, 1080), (320, 320), Reduction::Half);
        check((3840, 2160), (320, 320), Reduction::Quarter);
        check((8192, 8192), (96, 96), Reduction::Eighth);
        check((599, 599), (300, 300), Reduction::Half);
        check((598, 598), (300, 300), Reduction::Whole);
        check((100, 100), (300, 300), Reduction::Whole);
    }

    #[test]
    fn memory_is_used_again() {
        let jpeg = jpeg(64, 48, image::ExtendedColorType::Rgb8);
        let mut rgb = Vec::new();
        rgb_from_jpeg(&jpeg, Reduction::Whole, &mut rgb).expect("a picture");
        let address = rgb.as_ptr();
        rgb_from_jpeg(&jpeg, Reduction::Half, &mut rgb).expect("a picture");
        rgb_from_jpeg(&jpeg, Reduction::Whole, &mut rgb).expect("a picture");
        assert_eq!(rgb.as_ptr(), address);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn damaged_pictures_never_panic_and_give_the_same_each_time(
            cuts in prop::collection::vec((0usize..4000, any::<u8>()), 0..20), length in 0usize..4000,
            reduction in prop::sample::select(&[Reduction::Whole, Reduction::Half, Reduction::Eighth][..]),
        ) {
            let mut jpeg = jpeg(64, 48, image::ExtendedColorType::Rgb8);
            for (at, byte) in cuts {
                let at = at % jpeg.len();
                jpeg[at] = byte;
            }
            jpeg.truncate(length);
            // Half a picture is a picture; what counts is that it ends, that its size is right, and that nothing of the
            // picture before it shows.
            let (mut first, mut second) = (Vec::new(), vec![77; 64 * 48 * 3]);
            let found = rgb_from_frame(&jpeg, (64, 48), reduction, &mut first);
            prop_assert_eq!(&found, &rgb_from_frame(&jpeg, (64, 48), reduction, &mut second));
            if let Ok((width, height)) = found {
                prop_assert_eq!((width, height), reduction.applied((64, 48)));
                prop_assert_eq!(first.len(), (width * height * 3) as usize);
                prop_assert!(first == second);
            }
            let _ = jpeg_size(&jpeg);
        }
    }
}
