//! Tensors as the rest of the program knows them.

use std::fmt;

use serde::Serialize;

use super::{Engine, EngineError};

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorInfo {
    /// Its name; what is not UTF-8 in it is replaced.
    pub name: String,
    /// Its size in each dimension, the slowest first: `[1, height, width, 3]` for a picture.
    pub shape: Vec<usize>,
    /// What it holds.
    #[serde(rename = "type")]
    pub element: ElementType,
    /// What its integers stand for; `None` for floats, and where the model does not say.
    pub quantisation: Option<Quantisation>,
}

impl TensorInfo {
    /// Number of elements.
    #[expect(clippy::len_without_is_empty, reason = "no input or output is empty: the engine refuses it")]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// 32-bit floating point.
    Float32,
    /// Unsigned, 8 bits.
    Uint8,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
}

impl ElementType {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
        })
    }
}

/// What integers stand for: `(integer − zero_point) · scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantisation {
    /// What one step stands for.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

/// A Rust type that tensors hold.
///
/// Sealed: any bytes must be a valid value of it, which the engine relies on.
pub trait Element: Copy + sealed::Sealed + 'static {
    /// The type's name in a model.
    const TYPE: ElementType;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! element {
    ($($rust:ty => $name:ident),*) => {$(
        impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const TYPE: ElementType = ElementType::$name;
        }
    )*};
}
element!(f32 => Float32, u8 => Uint8, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64);

/// An output read as real numbers, whatever it holds.
#[derive(Clone, Copy, Debug)]
pub enum Reals<'a> {
    /// Floats, as they are.
    Float32(&'a [f32]),
    /// Unsigned bytes with what they stand for.
    Uint8(&'a [u8], Quantisation),
    /// Signed bytes with what they stand for.
    Int8(&'a [i8], Quantisation),
}

impl<'a> Reals<'a> {
    /// Output `index` of the last run.
    ///
    /// # Errors
    /// Those of [`Engine::output`]; [`EngineError::Tensor`] if its elements stand for no real numbers.
    pub fn of(engine: &'a Engine, index: usize) -> Result<Self, EngineError> {
        let outputs = engine.outputs();
        let info = outputs.get(index).ok_or(EngineError::Index { role: "output", index, found: outputs.len() })?;
        match (info.element, info.quantisation) {
            (ElementType::Float32, _) => engine.output(index).map(Self::Float32),
            (ElementType::Uint8, Some(quantisation)) => Ok(Self::Uint8(engine.output(index)?, quantisation)),
            (ElementType::Int8, Some(quantisation)) => Ok(Self::Int8(engine.output(index)?, quantisation)),
            _ => {
                let reason = "does not say what its integers stand for";
                Err(EngineError::Tensor { role: "output", name: info.name.clone(), reason })
            }
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Float32(values) => values.len(),
            Self::Uint8(values, _) => values.len(),
            Self::Int8(values, _) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `index`.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&self, index: usize) -> f32 {
        match self {
            Self::Float32(values) => values[index],
            Self::Uint8(values, quantisation) => quantisation.real(i32::from(values[index])),
            Self::Int8(values, quantisation) => quantisation.real(i32::from(values[index])),
        }
    }
}

impl Quantisation {
    /// What `integer` stands for.
    pub fn real(self, integer: i32) -> f32 {
        // In 64 bits: a zero point out of a hostile file must not overflow.
        (i64::from(integer) - i64::from(self.zero_point)) as f32 * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EngineOptions;

    fn engine(accelerate: bool) -> Engine {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/models/reshape_int8.tflite");
        let model = std::fs::read(path).expect("a model");
        Engine::load(model.into(), EngineOptions { threads: Some(1), accelerate }).expect("it loads")
    }

    #[test]
    fn what_goes_in_comes_out_without_a_copy_in_between() {
        for accelerate in [true, false] {
            let mut engine = engine(accelerate);
            let [input] = engine.inputs() else { panic!("one input") };
            let quantisation = Some(Quantisation { scale: 0.5, zero_point: -3 });
            let expected = TensorInfo {
                name: "picture".to_owned(),
                shape: vec![1, 2, 2, 3],
                element: ElementType::Int8,
                quantisation,
            };
            assert_eq!(input, &expected);
            assert_eq!(input.len(), 12);
            assert!(engine.input_mut::<i8>(0).expect("it is int8").iter().all(|value| *value == 0), "cleared at first");
            for (index, value) in engine.input_mut::<i8>(0).expect("it is int8").iter_mut().enumerate() {
                *value = index as i8 - 6;
            }
            engine.invoke().expect("it runs");
            assert_eq!(engine.output::<i8>(0).expect("it is int8"), (-6..6).collect::<Vec<i8>>());
            let reals = Reals::of(&engine, 0).expect("they stand for something");
            assert_eq!((reals.len(), reals.at(0), reals.at(11)), (12, -1.5, 4.0));
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let mut engine = engine(true);
        assert!(matches!(engine.output::<i8>(0), Err(EngineError::NotRun)));
        assert!(matches!(engine.input_mut::<f32>(0), Err(EngineError::Type { found: ElementType::Int8, .. })));
        assert!(matches!(engine.input_mut::<i8>(1), Err(EngineError::Index { index: 1, found: 1, .. })));
        engine.invoke().expect("it runs");
        assert!(matches!(engine.output::<u8>(0), Err(EngineError::Type { .. })));
        assert!(matches!(engine.output::<i8>(usize::MAX), Err(EngineError::Index { .. })));
        assert!(matches!(Reals::of(&engine, 9), Err(EngineError::Index { .. })));
    }

    #[test]
    fn an_engine_moves_to_another_thread() {
        let mut engine = engine(true);
        let thread = std::thread::spawn(move || engine.invoke().map(|()| engine.threads()));
        assert_eq!(thread.join().expect("no panic").expect("it runs"), 1);
    }

    #[test]
    fn a_wild_zero_point_does_not_overflow() {
        assert!(Quantisation { scale: 1.0, zero_point: i32::MIN }.real(i32::MAX).is_finite());
    }
}
