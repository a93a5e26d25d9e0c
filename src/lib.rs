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
pub mod cli;
pub mod config;
pub mod findings;
pub mod flow;
pub mod media;
pub mod microphone;
pub mod model;
pub mod output;
pub mod pipeline;
pub mod speech;
pub mod vision;
