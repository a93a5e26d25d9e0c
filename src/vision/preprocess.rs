//! From a picture to a model's input.
//!
//! The picture is stretched to the input's size ([`Resizer`]). Buffers are allocated with the first picture of a size.

use super::DetectorError;
use crate::media::{Resizer, RgbView};
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
            resizer: Resizer::default(),
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
        let Self { width, height, resizer, stretched, .. } = self;
        let mut stretch = |into: &mut [u8]| {
            let stretched = resizer.resize(rgb, (*width, *height), into);
            stretched.map_err(|error| DetectorError::Picture {
                width: rgb.width,
                height: rgb.height,
                reason: error.to_string(),
            })
        };
        if self.element == ElementType::Uint8 {
            return stretch(engine.input_mut::<u8>(0)?);
        }
        stretched.resize(*width as usize * *height as usize * 3, 0);
        stretch(stretched)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
