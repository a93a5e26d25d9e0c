//! lookhear sees and hears on the device itself.
//!
//! The way of the data:
//! ```text
//!  camera ─Frame─▶ latest ─▶ detector ─Detections─▶ ┐
//!         └Frame─▶ latest ─▶ preview ◀──── scene ───┤  hub ─▶ event log · recording
//!  microphone ─samples─▶ ring ─▶ listener ─Keyword─▶┘
//! ```
//! `ARCHITECTURE.md` walks it with a frame and with a word.

pub mod camera;
pub mod findings;
pub mod flow;
pub mod media;
pub mod model;
pub mod microphone;
pub mod speech;
pub mod vision;

impl flow::Timed for findings::Event {
    type Time = media::MediaTime;
    fn time(&self) -> media::MediaTime {
        self.time
    }
}
pub mod output;

impl flow::Timed for findings::Event {
    type Time = media::MediaTime;
    fn time(&self) -> media::MediaTime {
        self.time
    }
}
