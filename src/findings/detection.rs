//! Things seen.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::media::{MediaTime, Pooled};

/// The name of a class, shared by all that is found of it.
pub type Label = Arc<str>;

/// A rectangle in the upright frame: 0…1, from its top left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BoxInFrame {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl BoxInFrame {
    /// The part of the rectangle between two corners that lies in the frame; `None` if that has no area or a corner is
    /// not a number.
    pub fn from_corners(left: f32, top: f32, right: f32, bottom: f32) -> Option<Self> {
        if ![left, top, right, bottom].iter().all(|edge| edge.is_finite()) {
            return None;
        }
        let (x, y) = (left.clamp(0.0, 1.0), top.clamp(0.0, 1.0));
        let (w, h) = (right.clamp(0.0, 1.0) - x, bottom.clamp(0.0, 1.0) - y);
        (w > 0.0 && h > 0.0).then_some(Self { x, y, w, h })
    }

    /// Share of the frame that it covers.
    pub fn area(&self) -> f32 {
        self.w * self.h
    }

    /// Intersection over union with `other`, 0…1 (Everingham et al. 2010, "The PASCAL VOC Challenge", §4.2).
    pub fn iou(&self, other: &Self) -> f32 {
        let w = (self.x + self.w).min(other.x + other.w) - self.x.max(other.x);
        let h = (self.y + self.h).min(other.y + other.h) - self.y.max(other.y);
        if w <= 0.0 || h <= 0.0 {
            return 0.0;
        }
        let intersection = w * h;
        intersection / (self.area() + other.area() - intersection)
    }
}

/// One thing seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// What it is.
    pub label: Label,
    /// How sure the model is, 0…1.
    #[serde(serialize_with = "rounded")]
    pub score: f32,
    /// Where it is.
    #[serde(rename = "box", serialize_with = "rounded_box")]
    pub bounds: BoxInFrame,
}

/// Four digits are finer than any model is right, and short enough to read.
fn round(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn rounded<S: serde::Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round(*value))
}

fn rounded_box<S: serde::Serializer>(bounds: &BoxInFrame, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Rounded {
        x: f64,
        y: f64,
        w: f64,
        h: f64,
    }
    let BoxInFrame { x, y, w, h } = *bounds;
    Rounded { x: round(x), y: round(y), w: round(w), h: round(h) }.serialize(serializer)
}

/// Everything seen in one frame. In a pool, so that finding something allocates nothing.
#[derive(Clone, Debug)]
pub struct Detections {
    /// The frame's sequence number.
    pub frame: u64,
    /// When the frame was taken.
    pub time: MediaTime,
    /// When the frame came in.
    pub captured: Instant,
    /// What was seen, the surest first.
    pub items: Vec<Detection>,
}

impl Default for Detections {
    fn default() -> Self {
        Self { frame: 0, time: MediaTime::ZERO, captured: Instant::now(), items: Vec::new() }
    }
}

/// [`Detections`] shared by all sinks.
pub type SharedDetections = Pooled<Detections>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_cut_to_the_frame_or_dropped() {
        let cut = BoxInFrame::from_corners(-0.5, 0.25, 0.5, 2.0);
        assert_eq!(cut, Some(BoxInFrame { x: 0.0, y: 0.25, w: 0.5, h: 0.75 }));
        assert_eq!(BoxInFrame::from_corners(0.5, 0.5, 0.5, 0.9), None);
        assert_eq!(BoxInFrame::from_corners(1.2, 0.0, 1.4, 1.0), None);
        assert_eq!(BoxInFrame::from_corners(f32::NAN, 0.0, 1.0, 1.0), None);
    }

    #[test]
    fn iou_of_known_boxes() {
        let unit = BoxInFrame { x: 0.0, y: 0.0, w: 0.5, h: 0.5 };
        let shifted = BoxInFrame { x: 0.25, y: 0.0, w: 0.5, h: 0.5 };
        assert!((unit.iou(&unit) - 1.0).abs() < 1e-6);
        assert!((unit.iou(&shifted) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(unit.iou(&BoxInFrame { x: 0.5, ..unit }), 0.0);
    }
}
