//! Why the engine cannot do what it is asked for; apart from the engine, whose file is for the C library alone.

use super::check::CheckError;
use super::tensor::ElementType;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The bytes are no model that can be run.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The library refuses the model.
    #[error("TensorFlow Lite refuses the model: {reason}; export it again, for TensorFlow Lite 2.17 or older")]
    Refused {
        /// The library's words.
        reason: String,
    },
    /// The model takes nothing in or gives nothing.
    #[error("the model has no {0}, so there is nothing to run it for; take another")]
    Without(&'static str),
    /// A tensor of the model's inputs or outputs cannot be used.
    #[error("the {role} {name:?} {reason}; export the model with fixed shapes and plain element types")]
    Tensor {
        /// "input" or "output".
        role: &'static str,
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The caller asked for a tensor that is not there.
    #[error("the model has {found} {role}s, and number {index} was asked for")]
    Index {
        /// "input" or "output".
        role: &'static str,
        /// Which was asked for, from 0.
        index: usize,
        /// How many there are.
        found: usize,
    },
    /// The caller asked for another element type than the tensor has.
    #[error("the {role} {name:?} holds {found}, and {asked} was asked for")]
    Type {
        /// "input" or "output".
        role: &'static str,
        /// The tensor's name.
        name: String,
        /// What it holds.
        found: ElementType,
        /// What the caller wanted.
        asked: ElementType,
    },
    /// An output was asked for before the model has run.
    #[error("the model has not run yet, so it has no outputs")]
    NotRun,
    /// The model failed while it ran.
    #[error("the model failed while it ran: {reason}; check it with `lookhear model inspect`")]
    Failed {
        /// The library's words.
        reason: String,
    },
}
