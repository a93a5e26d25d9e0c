//! Finds objects in pictures. Nothing here knows where frames come from.
//!
//! [`Detector`] is the stage; [`ObjectFinder`] does its work and is what a program without a pipeline uses: a picture is
//! brought to the model's input (`preprocess`), the model runs, one of the heads (`ssd_head`, `postprocess_head`) reads what
//! it gives, and of boxes that overlap the best stay (`boxes`).

mod boxes;
mod detector;
mod finder;
mod postprocess_head;
mod preprocess;
mod ssd_head;

pub use detector::{Detector, ObjectsConfig};
pub use finder::{DetectorError, ObjectFinder};
