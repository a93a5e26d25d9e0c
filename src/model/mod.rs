//! Models: what a bundle says of itself, what its bytes hold, and the engine that runs it.
//!
//! The way of a model: [`Bundle::open`] reads a folder, checks the model's bytes and decides what each output means;
//! the program then lets [`trial`] run a model never seen before in a process of its own; [`Engine::load`] loads it. No
//! type of TensorFlow Lite leaves this module.

mod bundle;
mod check;
mod dictionary;
mod engine;
mod engine_error;
mod flatbuffer;
mod flexbuffer;
mod metadata;
mod operators;
mod quiet;
mod relaxed_json;
mod tensor;
pub mod trial;

pub use bundle::{Bundle, BundleError, Task};
pub use check::{CheckError, LARGEST_MODEL_BYTES, ModelSummary, PostProcess, check};
pub use dictionary::{DictionaryError, LARGEST_DICTIONARY_BYTES};
pub use engine::{Delegate, Engine, EngineOptions, runtime_version};
pub use engine_error::EngineError;
pub use metadata::{
    Activation, Anchors, BoxOrder, Decision, Description, DetectionDescription, Feature, FrontEnd, Head,
    KeywordsDescription, LARGEST_METADATA_BYTES, Metadata, MetadataError, Normalisation, RawSsd, Resize, SsdAnchors,
};
pub use tensor::{Element, ElementType, Quantisation, Reals, TensorInfo};
