//! From a window of columns to a score for each label: the model, whatever its tensors hold.

use std::sync::Arc;

use super::ListenerError;
use crate::model::{Element, ElementType, Engine, EngineError, EngineOptions, Quantisation, Reals};

/// Gives each label a score.
pub trait Scorer: Send {
    /// How many values one window has, all its columns together.
    fn window_len(&self) -> usize;

    /// How many labels are scored.
    fn labels(&self) -> usize;

    /// Scores one window.
    ///
    /// - **in**: `window`, its values column after column, the oldest first, in two pieces that follow each other
    /// - **out**: `scores`, one a label, 0…1
    ///
    /// # Errors
    /// The engine's.
    fn score_into(&mut self, window: [&[f32]; 2], scores: &mut [f32]) -> Result<(), EngineError>;
}

/// A TensorFlow Lite model as a scorer. Nothing is allocated after [`TfliteScorer::new`].
#[derive(Debug)]
pub struct TfliteScorer {
    engine: Engine,
    input: Input,
    labels: usize,
}

/// What the first input holds.
#[derive(Clone, Copy, Debug)]
enum Input {
    Float,
    Uint8(Quantisation),
    Int8(Quantisation),
}

impl TfliteScorer {
    /// Loads a checked model whose windows have columns of `rows` values, for `labels` labels.
    ///
    /// # Errors
    /// [`ListenerError::Engine`] if the engine refuses it, [`ListenerError::Model`] if its input or output has no fitting
    /// shape or type.
    pub fn new(model: Arc<[u8]>, threads: usize, rows: usize, labels: usize) -> Result<Self, ListenerError> {
        let options = EngineOptions { threads: Some(threads), ..EngineOptions::default() };
        let engine = Engine::load(model, options)?;
        let refuse = |reason: String| ListenerError::Model { reason };
        let info = &engine.inputs()[0];
        let input = match (info.element, info.quantisation) {
            (ElementType::Float32, _) => Input::Float,
            (ElementType::Uint8, Some(quantisation)) => Input::Uint8(quantisation),
            (ElementType::Int8, Some(quantisation)) => Input::Int8(quantisation),
            (element, _) => return Err(refuse(format!("its input holds {element} of unknown meaning"))),
        };
        // [1, columns, rows], with or without a last dimension of 1.
        let is_last_row = info.shape.iter().rev().find(|size| **size > 1).is_some_and(|size| *size == rows);
        if !is_last_row || info.len() % rows != 0 {
            return Err(refuse(format!("its input has the shape {:?}, and a column has {rows} values", info.shape)));
        }
        let output = &engine.outputs()[0];
        if output.len() != labels {
            return Err(refuse(format!("it scores {} labels, and dict.txt has {labels}", output.len())));
        }
        Ok(Self { engine, input, labels })
    }
}

impl Scorer for TfliteScorer {
    fn window_len(&self) -> usize {
        self.engine.inputs()[0].len()
    }

    fn labels(&self) -> usize {
        self.labels
    }

    fn score_into(&mut self, window: [&[f32]; 2], scores: &mut [f32]) -> Result<(), EngineError> {
        match self.input {
            Input::Float => fill(self.engine.input_mut::<f32>(0)?, window, |value| value),
            Input::Uint8(meaning) => {
                fill(self.engine.input_mut::<u8>(0)?, window, |value| nearest(value, meaning) as u8)
            }
            Input::Int8(meaning) => {
                // The cast saturates: what lies outside of what the integers can say becomes the nearest.
                fill(self.engine.input_mut::<i8>(0)?, window, |value| nearest(value, meaning) as i8);
            }
        }
        self.engine.invoke()?;
        let output = Reals::of(&self.engine, 0)?;
        for (index, score) in scores.iter_mut().enumerate() {
            *score = output.at(index);
        }
        Ok(())
    }
}

fn fill<T: Element>(input: &mut [T], window: [&[f32]; 2], convert: impl Fn(f32) -> T) {
    for (cell, value) in input.iter_mut().zip(window.into_iter().flatten()) {
        *cell = convert(*value);
    }
}

/// The integer that stands for `value`, as a float: the cast to the integer's type saturates.
fn nearest(value: f32, meaning: Quantisation) -> f32 {
    (value / meaning.scale).round() + meaning.zero_point as f32
}
