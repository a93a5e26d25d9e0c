//! What comes out: detections, keywords, the scene they make up, events, and what was heard on the way, as a picture.

mod detection;
mod event;
mod keyword;
mod scene;
mod sound_picture;

pub use detection::{BoxInFrame, Detection, Detections, Label, SharedDetections};
pub use event::{Account, Event, EventKind};
pub use keyword::{Hearing, Keyword};
pub use scene::{LAST_KEYWORDS, Scene};
pub use sound_picture::{ShownWord, SoundPicture};
