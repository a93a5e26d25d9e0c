//! Where findings go: the preview's window, the event log, an annotated recording, the terminal.
//!
//! Each is a stage that takes events out of a queue of its own; nobody waits for any of them but in a complete run.
//! Nothing here knows where frames, detections and keywords come from.

mod canvas;
pub mod draw;
mod font;

pub use canvas::{Canvas, Colour, Pixel};
