//! Where findings go: the preview's window, the event log, an annotated recording, the terminal.
//!
//! Each is a stage that takes events out of a queue of its own; nobody waits for any of them but in a complete run.
//! Nothing here knows where frames, detections and keywords come from.

mod canvas;
mod colour_map;
pub mod draw;
mod error;
pub mod event_log;
mod feature_axis;
mod font;
mod picture;
mod preview;
mod rate;
mod recording;
mod shared_pixels;
mod story;
mod supervisor;
mod terminal;
mod video;
pub mod window;

pub use canvas::{Canvas, Colour, Pixel};
pub use colour_map::{mixed, viridis};
pub use error::SinkError;
pub use event_log::EventLog;
pub use feature_axis::FeatureAxis;
pub use picture::window_pixels;
pub use preview::{Ear, Preview, PreviewConfig, PreviewMode, PreviewWays};
pub use recording::Recording;
pub use supervisor::Opening;
pub use terminal::Terminal;
