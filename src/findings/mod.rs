//! What comes out: detections, keywords, the scene they make up, and events.

mod detection;
mod event;
mod keyword;
mod scene;

pub use detection::{BoxInFrame, Detection, Detections, Label, SharedDetections};
pub use event::{Account, Event, EventKind};
pub use keyword::{Hearing, Keyword};
pub use scene::{LAST_KEYWORDS, Scene};
