//! Pictures in files.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::{LARGEST_SIDE, Reduction, RgbView, rgb_from_jpeg};

/// Bytes of a file that are looked at: more than any picture of the largest size has.
const LARGEST_FILE: u64 = 1 << 28;

/// Bytes that decoding one picture may take: the largest picture, and as much again for the decoder.
const LARGEST_DECODING: u64 = 2 * 4 * (LARGEST_SIDE as u64) * (LARGEST_SIDE as u64);

/// Why a file gives no picture.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The file cannot be read.
    #[error("Cannot read the picture {}: {source}; check the path.", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What it holds is not a picture, or not a whole one.
    #[error("Cannot read the picture {}: {}; it must be a whole JPEG or PNG file of at most {LARGEST_SIDE}×{LARGEST_SIDE} pixels.",
        path.display(), source.to_string().trim_end_matches('.'))]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
    /// It has no pixels.
    #[error("Cannot read the picture {}: it has no pixels; take another.", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

/// The picture in a JPEG or PNG file: 8 bits a value, upright, at least one pixel and at most [`LARGEST_SIDE`] a side.
///
/// What the file is, its content says and not its name: many a .jpg is a PNG. Cameras store beside the pixels (in EXIF)
/// how they were held; a file without that is upright. Transparency is left out, as if everything were opaque. A JPEG gives
/// the same pixels as in a camera's frame.
///
/// # Errors
/// [`PhotoError`], which names the file.
pub fn read_photo(path: &Path) -> Result<RgbImage, PhotoError> {
    let unreadable = |source| PhotoError::File { path: path.to_owned(), source };
    let damaged = |source| PhotoError::Content { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut bytes)).map_err(unreadable)?;
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(unreadable)?;
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_DECODING);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = match is_jpeg.then(|| as_in_a_frame(&bytes)).flatten() {
        Some(picture) => DynamicImage::ImageRgb8(picture),
        None => DynamicImage::from_decoder(decoder).map_err(damaged)?,
    };
    picture.apply_orientation(orientation);
    let picture = picture.into_rgb8();
    if picture.as_raw().is_empty() {
        return Err(PhotoError::Empty { path: path.to_owned() });
    }
    Ok(picture)
}

/// A JPEG as a camera's would be decoded. `None` for what no camera sends (CMYK, say) and for what is damaged.
fn as_in_a_frame(jpeg: &[u8]) -> Option<RgbImage> {
    let mut rgb = Vec::new();
    let (width, height) = rgb_from_jpeg(jpeg, Reduction::Whole, &mut rgb).ok()?;
    RgbImage::from_raw(width, height, rgb)
}

impl<'a> From<&'a RgbImage> for RgbView<'a> {
    fn from(picture: &'a RgbImage) -> Self {
        Self { pixels: picture.as_raw(), width: picture.width(), height: picture.height() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: [u8; 3] = [200, 40, 40];
    const RIGHT: [u8; 3] = [40, 60, 190];

    fn data(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/photos").join(name)
    }

    /// All of these are 24×16 with one colour on the left and another on the right; JPEG may be off by a few steps, and
    /// CMYK by what its conversion rounds.
    #[test]
    fn photos_of_every_common_kind_are_read_upright_and_by_content() {
        let check = |name: &str, [left, right]: [[u8; 3]; 2]| {
            let photo = read_photo(&data(name)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(photo.dimensions(), (24, 16), "{name}");
            for (x, expected) in [(0, left), (10, left), (13, right), (23, right)] {
                for y in [0, 15] {
                    let found = photo.get_pixel(x, y).0;
                    let close = found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 4);
                    assert!(close, "{name} at {x}, {y}: {found:?} instead of {expected:?}");
                }
            }
        };
        let coloured = [
            "colour.jpg",
            "progressive.jpg",
            "cmyk.jpg",
            "turned.jpg",
            "jpeg-by-content.png",
            "palette.png",
            "translucent.png",
            "colour16.png",
        ];
        for name in coloured {
            check(name, [LEFT, RIGHT]);
        }
        for name in ["grey.jpg", "grey16.png"] {
            check(name, [[200; 3], [60; 3]]);
        }
    }

    #[test]
    fn a_jpeg_has_the_pixels_of_a_cameras_frame() {
        let path = data("colour.jpg");
        let mut rgb = Vec::new();
        let jpeg = std::fs::read(&path).expect("a picture");
        crate::media::rgb_from(crate::media::PixelFormat::Mjpeg, &jpeg, (24, 16), 0, &mut rgb).expect("a frame");
        assert!(read_photo(&path).expect("a picture").into_raw() == rgb);
    }

    #[test]
    fn what_is_no_photo_is_named_with_the_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("room");
            path
        };
        let whole = std::fs::read(data("colour16.png")).expect("a picture");
        let cut = file("cut.png", &whole[..whole.len() - 20]);
        assert!(matches!(read_photo(&cut), Err(PhotoError::Content { path, .. }) if path == cut));
        assert!(matches!(read_photo(&file("empty.jpg", b"")), Err(PhotoError::Content { .. })));
        assert!(matches!(read_photo(folder.path()), Err(PhotoError::File { .. })));
        let mut wide = Vec::new();
        image::RgbImage::new(LARGEST_SIDE + 1, 1)
            .write_to(&mut io::Cursor::new(&mut wide), image::ImageFormat::Png)
            .expect("encoded");
        let error = read_photo(&file("wide.png", &wide)).expect_err("too wide").to_string();
        assert!(error.contains("wide.png: ") && error.contains("8192×8192"), "{error}");
    }
}
