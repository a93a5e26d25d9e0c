//! libjpeg-turbo: the decoder of JPEG pictures.
//!
//! The only file that calls it. Its defaults are left alone (accurate DCT, smooth upsampling of colour), so that pictures
//! are those of every program that uses it, bit for bit.

#![allow(unsafe_code)] // Each call of the C library; nothing unsafe leaves this file.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;

use turbojpeg_sys::{
    TJCS_TJCS_CMYK, TJCS_TJCS_YCCK, TJERR_TJERR_WARNING, TJINIT_TJINIT_DECOMPRESS, TJPARAM_TJPARAM_COLORSPACE,
    TJPARAM_TJPARAM_JPEGHEIGHT, TJPARAM_TJPARAM_JPEGWIDTH, TJPARAM_TJPARAM_LOSSLESS, TJPARAM_TJPARAM_PRECISION,
    TJPARAM_TJPARAM_SCANLIMIT, TJPF_TJPF_RGB, size_t, tj3Decompress8, tj3DecompressHeader, tj3Destroy, tj3Get,
    tj3GetErrorCode, tj3GetErrorStr, tj3Init, tj3Set, tj3SetScalingFactor, tjscalingfactor,
};

use super::{LARGEST_SIDE, PixelFormatError, Reduction};

/// A progressive picture comes in some ten scans. Without a limit, one of a few kilobytes could ask for thousands, each of
/// which goes over the whole picture.
const MOST_SCANS: c_int = 500;

/// What the last row of a picture holds before it is written: green and magenta in turn.
const UNWRITTEN: [u8; 6] = [0, 255, 0, 255, 0, 255];

/// A JPEG picture whose header is read, and whose pixels may be asked for.
///
/// The decoder is made for each picture: that costs a thousandth of decoding one, and keeps the tables of a picture from
/// serving the next that lacks its own, which the library takes for a wish.
#[derive(Debug)]
pub(super) struct JpegPicture<'j> {
    decoder: NonNull<c_void>,
    jpeg: &'j [u8],
    width: u32,
    height: u32,
}

impl<'j> JpegPicture<'j> {
    /// Reads the header of the picture with which `jpeg` starts.
    ///
    /// # Errors
    /// [`PixelFormatError::Jpeg`], [`PixelFormatError::JpegKind`], or [`PixelFormatError::Size`] for one that is too large.
    pub fn open(jpeg: &'j [u8]) -> Result<Self, PixelFormatError> {
        // SAFETY: takes no pointer.
        let decoder = unsafe { tj3Init(TJINIT_TJINIT_DECOMPRESS as c_int) };
        let decoder =
            NonNull::new(decoder).ok_or_else(|| PixelFormatError::Jpeg("there is no memory for it".into()))?;
        let mut picture = Self { decoder, jpeg, width: 0, height: 0 };
        // SAFETY: the handle is alive until `picture` is dropped; an unknown parameter or value gives an error, which a
        // constant pair never does.
        unsafe { tj3Set(decoder.as_ptr(), TJPARAM_TJPARAM_SCANLIMIT as c_int, MOST_SCANS) };
        // SAFETY: the handle is alive, and the library reads `jpeg.len()` bytes at most.
        picture.check(unsafe { tj3DecompressHeader(decoder.as_ptr(), jpeg.as_ptr(), jpeg.len() as size_t) })?;

        let colours = picture.parameter(TJPARAM_TJPARAM_COLORSPACE);
        if [TJCS_TJCS_CMYK, TJCS_TJCS_YCCK].map(|kind| kind as c_int).contains(&colours) {
            return Err(PixelFormatError::JpegKind("made for printing (CMYK)"));
        }
        // The library reads these through other functions, and does not make them smaller while it does.
        if picture.parameter(TJPARAM_TJPARAM_PRECISION) != 8 {
            return Err(PixelFormatError::JpegKind("not one of 8 bits a colour"));
        }
        if picture.parameter(TJPARAM_TJPARAM_LOSSLESS) != 0 {
            return Err(PixelFormatError::JpegKind("a lossless one"));
        }
        let sides = [TJPARAM_TJPARAM_JPEGWIDTH, TJPARAM_TJPARAM_JPEGHEIGHT].map(|side| picture.parameter(side));
        // The library takes what ends before its first scan for a file of tables only, which has no size.
        let [Ok(width), Ok(height)] = sides.map(u32::try_from) else {
            return Err(PixelFormatError::Jpeg("it ends before its pixels".into()));
        };
        let sides = 1..=LARGEST_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(PixelFormatError::Size(width, height));
        }
        (picture.width, picture.height) = (width, height);
        Ok(picture)
    }

    /// Width and height in pixels, each 1…[`LARGEST_SIDE`].
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Writes the picture into `rgb`, resized to its `width · height · 3` bytes; returns its width and height.
    ///
    /// Where the picture's bytes end early or are damaged within, what could be read of it is the picture.
    ///
    /// # Errors
    /// [`PixelFormatError::Jpeg`]; `rgb`'s content is undefined then.
    pub fn decode(&self, reduction: Reduction, rgb: &mut Vec<u8>) -> Result<(u32, u32), PixelFormatError> {
        let decoder = self.decoder.as_ptr();
        let scale = tjscalingfactor { num: 1, denom: reduction.divisor() as c_int };
        // SAFETY: the handle is alive.
        self.check(unsafe { tj3SetScalingFactor(decoder, scale) })?;
        let (width, height) = reduction.applied(self.size());
        let row_bytes = width as usize * 3;
        rgb.resize(row_bytes * height as usize, 0);
        let last_row = rgb.len() - row_bytes..;
        rgb[last_row.clone()].iter_mut().zip(UNWRITTEN.iter().cycle()).for_each(|(byte, mark)| *byte = *mark);
        // SAFETY: the handle is alive, and the library reads `jpeg.len()` bytes at most. It reads the header again, from the
        // same unchanged bytes, so the picture has the size found in `open`. Each side of what it writes is that of the
        // picture over the divisor, rounded up, as `applied` has it, since the picture is not a lossless one; `rgb` holds as
        // many rows of `row_bytes`, three bytes a pixel of TJPF_RGB.
        let status = unsafe {
            let (jpeg, row_bytes, format) = (self.jpeg, row_bytes as c_int, TJPF_TJPF_RGB);
            tj3Decompress8(decoder, jpeg.as_ptr(), jpeg.len() as size_t, rgb.as_mut_ptr(), row_bytes, format)
        };
        self.check(status)?;
        // An error that follows a warning has the warning's code. Rows are written from the top.
        if status != 0 && rgb[last_row].iter().eq(UNWRITTEN.iter().cycle().take(row_bytes)) {
            return Err(PixelFormatError::Jpeg(self.message()));
        }
        Ok((width, height))
    }

    fn parameter(&self, parameter: u32) -> c_int {
        // SAFETY: the handle is alive.
        unsafe { tj3Get(self.decoder.as_ptr(), parameter as c_int) }
    }

    /// Makes an error of a function's `status`. What the library warns of it has mended as well as it could.
    fn check(&self, status: c_int) -> Result<(), PixelFormatError> {
        // SAFETY: the handle is alive.
        if status == 0 || unsafe { tj3GetErrorCode(self.decoder.as_ptr()) } == TJERR_TJERR_WARNING as c_int {
            return Ok(());
        }
        Err(PixelFormatError::Jpeg(self.message()))
    }

    /// What the library said last.
    fn message(&self) -> String {
        // SAFETY: the handle is alive; the text ends with a zero and stays until the next call, and is copied before that.
        unsafe { CStr::from_ptr(tj3GetErrorStr(self.decoder.as_ptr())) }.to_string_lossy().into_owned()
    }
}

impl Drop for JpegPicture<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is alive, nobody else has it, and it is not used again.
        unsafe { tj3Destroy(self.decoder.as_ptr()) };
    }
}
