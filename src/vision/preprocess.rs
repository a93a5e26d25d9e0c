//! From a picture to a model's input.
//!
//! The picture is stretched to the input's size: bilinear with pixel centres at ½, and when it shrinks, each pixel is the
//! weighted mean of all it covers. That is Pillow's `BILINEAR`, with which the accuracy of our bundles was measured.
//!
//! Buffers are allocated with the first picture of a size; after that only the resizer's tables of weights are (about
//! 10 KiB a picture).

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::DetectorError;
use crate::media::RgbView;
use crate::model::{ElementType, Engine, Normalisation, Resize, TensorInfo};

/// Fills one model's input with pictures.
#[derive(Debug)]
pub(super) struct Preprocess {
    width: u32,
    height: u32,
    element: ElementType,
    /// What each pixel value becomes in a float input.
    normalised: [f32; 256],
    resizer: Resizer,
    options: ResizeOptions,
    /// The stretched picture, where it cannot be written into the input itself.
    stretched: Vec<u8>,
}

impl Preprocess {
    /// For a model whose only input is `input`.
    ///
    /// # Errors
    /// Why that input takes no picture.
    pub fn new(input: &TensorInfo, normalisation: Normalisation, resize: Resize) -> Result<Self, String> {
        let [1, height, width, 3] = input.shape[..] else {
            return Err(format!("its input has the shape {:?}, and an RGB picture [1, height, width, 3]", input.shape));
        };
        let element = input.element;
        if !matches!(element, ElementType::Float32 | ElementType::Uint8 | ElementType::Int8) {
            return Err(format!("its input holds {element}, and pixels become float32, uint8 or int8"));
        }
        let Resize::Stretch = resize;
        let side = |side: usize| u32::try_from(side).map_err(|_| format!("its input has a side of {side}"));
        let Normalisation { mean, scale } = normalisation;
        Ok(Self {
            width: side(width)?,
            height: side(height)?,
            element,
            normalised: std::array::from_fn(|pixel| (pixel as f32 - mean) / scale),
            resizer: Resizer::new(),
            options: ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false),
            stretched: Vec::new(),
        })
    }

    /// Width and height of the model's input in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Writes `rgb` into input 0 of `engine`.
    ///
    /// - **out**: uint8 as the pixels are (the input's quantisation only describes them); int8 less 128; floats normalised
    ///
    /// # Errors
    /// [`DetectorError::Picture`] if the picture is none, [`DetectorError::Engine`] if `engine` is not the one this was made for.
    pub fn fill(&mut self, rgb: RgbView<'_>, engine: &mut Engine) -> Result<(), DetectorError> {
        if self.element == ElementType::Uint8 {
            let Self { width, height, resizer, options, .. } = self;
            return stretch(rgb, (*width, *height), resizer, options, engine.input_mut::<u8>(0)?);
        }
        let Self { width, height, resizer, options, stretched, .. } = self;
        stretched.resize(*width as usize * *height as usize * 3, 0);
        stretch(rgb, (*width, *height), resizer, options, stretched)?;
        if self.element == ElementType::Int8 {
            for (value, pixel) in engine.input_mut::<i8>(0)?.iter_mut().zip(&self.stretched) {
                *value = (*pixel ^ 0x80).cast_signed();
            }
        } else {
            for (value, pixel) in engine.input_mut::<f32>(0)?.iter_mut().zip(&self.stretched) {
                *value = self.normalised[usize::from(*pixel)];
            }
        }
        Ok(())
    }
}

fn stretch(
    rgb: RgbView<'_>,
    (width, height): (u32, u32),
    resizer: &mut Resizer,
    options: &ResizeOptions,
    into: &mut [u8],
) -> Result<(), DetectorError> {
    let wrong = |reason: String| DetectorError::Picture { width: rgb.width, height: rgb.height, reason };
    if rgb.width == 0 || rgb.height == 0 {
        return Err(wrong("it has no pixels".to_owned()));
    }
    let from = TypedImageRef::<U8x3>::from_buffer(rgb.width, rgb.height, rgb.pixels)
        .map_err(|error| wrong(error.to_string()))?;
    let mut to = TypedImage::<U8x3>::from_buffer(width, height, into).map_err(|error| wrong(error.to_string()))?;
    // Typed: the other form compiles the resizer for each of the crate's thirteen pixel types.
    resizer.resize_typed(&from, &mut to, options).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretched(pixels: &[u8], size: (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let input = TensorInfo {
            name: String::new(),
            shape: vec![1, to.1 as usize, to.0 as usize, 3],
            element: ElementType::Uint8,
            quantisation: None,
        };
        let mut made = Preprocess::new(&input, Normalisation::default(), Resize::Stretch).expect("a picture's input");
        let mut into = vec![0; to.0 as usize * to.1 as usize * 3];
        let rgb = RgbView { pixels, width: size.0, height: size.1 };
        stretch(rgb, to, &mut made.resizer, &made.options, &mut into).expect("a picture");
        into
    }

    #[test]
    fn a_picture_of_the_right_size_is_copied() {
        let pixels: Vec<u8> = (0..48).collect();
        assert_eq!(stretched(&pixels, (4, 4), (4, 4)), pixels);
    }

    #[test]
    fn pixel_centres_lie_at_one_half() {
        // Two pixels become four. The first and last centres lie outside those of the two, so they keep their colours; those
        // between lie a quarter and three quarters of the way.
        let wider = stretched(&[0, 0, 0, 200, 200, 200], (2, 1), (4, 1));
        assert_eq!(wider.iter().step_by(3).copied().collect::<Vec<_>>(), [0, 50, 150, 200]);
    }

    #[test]
    fn shrinking_takes_the_mean_of_what_is_covered() {
        let board: Vec<u8> =
            (0..64).flat_map(|pixel| [if (pixel / 8 + pixel % 8) % 2 == 0 { 0 } else { 200 }; 3]).collect();
        assert!(stretched(&board, (8, 8), (2, 2)).iter().all(|value| value.abs_diff(100) <= 6));
    }

    #[test]
    fn what_takes_no_picture_is_refused() {
        let check = |shape: &[usize], element: ElementType, part: &str| {
            let input = TensorInfo { name: String::new(), shape: shape.to_vec(), element, quantisation: None };
            let error = Preprocess::new(&input, Normalisation::default(), Resize::Stretch).expect_err("no picture");
            assert!(error.contains(part), "{error}");
        };
        check(&[1, 98, 40], ElementType::Float32, "[1, 98, 40]");
        check(&[1, 32, 32, 1], ElementType::Float32, "RGB");
        check(&[1, 32, 32, 3], ElementType::Int64, "int64");
    }
}
