//! Reads the raw outputs of a single-shot detector (Liu et al. 2016, "SSD: Single Shot MultiBox Detector").
//!
//! For each anchor the model gives a box code and a score a class. A code is relative to its anchor:
//! ```text
//!  centre_y = ty / scale_y · anchor.h + anchor.y        h = exp(th / scale_h) · anchor.h        (x and w alike)
//! ```
//! Most scores are far below any threshold, so the threshold is applied to what the model gives, before sigmoid and box are
//! computed. Nothing is allocated once the list of candidates has grown.

use super::boxes::Candidate;
use crate::findings::BoxInFrame;
use crate::model::{Activation, Anchors, BoxOrder, RawSsd, Reals, SsdAnchors, TensorInfo};

/// A box that codes refer to: centre and size as shares of the input's sides.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Anchor {
    y: f32,
    x: f32,
    h: f32,
    w: f32,
}

/// How the outputs of one model are read.
#[derive(Debug)]
pub(super) struct SsdHead {
    /// Which output holds the box codes.
    pub boxes: usize,
    /// Which output holds the scores.
    pub scores: usize,
    /// Boxes of a class may overlap by this much; intersection over union.
    pub nms_iou: f32,
    /// Detections at most.
    pub max_detections: usize,
    anchors: Vec<Anchor>,
    box_scales: [f32; 4],
    activation: Activation,
    /// For each class the least output value that is a detection; infinite for those nobody wants.
    cuts: Vec<f32>,
}

impl SsdHead {
    /// A head as `description` says, for a model with `outputs`, that reports a class from `thresholds` (0…1) up.
    ///
    /// # Errors
    /// What of the description does not fit the outputs.
    pub fn new(description: &RawSsd, outputs: &[TensorInfo], thresholds: &[f32]) -> Result<Self, String> {
        let find = |name: &str| {
            let index = outputs.iter().position(|output| output.name == name);
            index.ok_or_else(|| format!("the model has no output named {name}"))
        };
        let (boxes, scores) = (find(&description.boxes)?, find(&description.scores)?);
        let Anchors::Ssd(layout) = &description.anchors;
        let count = count_of(layout).ok_or("the anchors' layout is not possible")?;
        let classes = thresholds.len();
        for (output, shape) in [(boxes, [1, count, 4]), (scores, [1, count, classes])] {
            let TensorInfo { name, shape: found, .. } = &outputs[output];
            if found != &shape {
                return Err(format!(
                    "{name} has the shape {found:?}, and {count} anchors and {classes} labels make {shape:?}"
                ));
            }
        }
        let usable = |scale: &f32| scale.is_normal() && *scale > 0.0;
        if !description.box_scales.iter().all(usable) || !(0.0..=1.0).contains(&description.nms_iou) {
            return Err("box_scales must be above 0, and nms_iou in 0…1".to_owned());
        }
        let BoxOrder::CentreYx = description.box_order;
        let cut = |(class, threshold): (usize, &f32)| match description.activation {
            _ if Some(class) == description.background_class => f32::INFINITY,
            Activation::None => *threshold,
            // Outside of 0…1 the logarithm is no number: everything, or nothing, is above such a threshold.
            Activation::Sigmoid if *threshold <= 0.0 => f32::NEG_INFINITY,
            Activation::Sigmoid if *threshold >= 1.0 => f32::INFINITY,
            Activation::Sigmoid => (threshold / (1.0 - threshold)).ln(),
        };
        Ok(Self {
            boxes,
            scores,
            nms_iou: description.nms_iou,
            max_detections: description.max_detections,
            anchors: anchors_of(layout),
            box_scales: description.box_scales,
            activation: description.activation,
            cuts: thresholds.iter().enumerate().map(cut).collect(),
        })
    }

    /// Adds what reaches its class's threshold to `candidates`, unsorted and with overlaps. Returns how many were dropped
    /// because a number was not finite.
    ///
    /// - **in**: `boxes`, `anchors · 4` codes; `scores`, `anchors · classes` outputs before activation
    pub fn read(&self, boxes: Reals<'_>, scores: Reals<'_>, candidates: &mut Vec<Candidate>) -> usize {
        let classes = self.cuts.len();
        let mut dropped = 0;
        for (index, anchor) in self.anchors.iter().enumerate() {
            for (class, cut) in self.cuts.iter().enumerate() {
                let raw = scores.at(index * classes + class);
                // What is not a number is not below either, and is counted.
                if raw < *cut {
                    continue;
                }
                let corners = self.corners(anchor, [0, 1, 2, 3].map(|part| boxes.at(index * 4 + part)));
                if !raw.is_finite() || !corners.iter().all(|corner| corner.is_finite()) {
                    dropped += 1;
                    continue;
                }
                let score = match self.activation {
                    Activation::Sigmoid => 1.0 / (1.0 + (-raw).exp()),
                    Activation::None => raw.clamp(0.0, 1.0),
                };
                let [left, top, right, bottom] = corners;
                // A box that lies outside of the picture shows nothing.
                candidates.extend(BoxInFrame::from_corners(left, top, right, bottom).map(|bounds| Candidate {
                    class,
                    score,
                    bounds,
                }));
            }
        }
        dropped
    }

    /// Left, top, right and bottom of the box that `code` is for `anchor`.
    fn corners(&self, anchor: &Anchor, code: [f32; 4]) -> [f32; 4] {
        let [ty, tx, th, tw] = std::array::from_fn(|part| code[part] / self.box_scales[part]);
        let (y, x) = (ty * anchor.h + anchor.y, tx * anchor.w + anchor.x);
        let (half_h, half_w) = (th.exp() * anchor.h / 2.0, tw.exp() * anchor.w / 2.0);
        [x - half_w, y - half_h, x + half_w, y + half_h]
    }
}

/// Shapes around each cell of map `index`, as (aspect ratio, scale).
fn shapes_of(layout: &SsdAnchors, index: usize) -> Vec<(f64, f64)> {
    if index == 0 && !layout.reduced_lowest.is_empty() {
        return layout.reduced_lowest.clone();
    }
    let maps = layout.feature_maps.len();
    let scale_of = |index: usize| match index {
        // One past the last counts as the whole picture.
        _ if index == maps => 1.0,
        _ if maps == 1 => layout.min_scale,
        _ => layout.min_scale + (layout.max_scale - layout.min_scale) * index as f64 / (maps - 1) as f64,
    };
    let (scale, next) = (scale_of(index), scale_of(index + 1));
    let mut shapes: Vec<_> = layout.aspect_ratios.iter().map(|ratio| (*ratio, scale)).collect();
    shapes.extend(layout.interpolated_ratio.map(|ratio| (ratio, (scale * next).sqrt())));
    shapes
}

/// How many anchors `layout` has; `None` if more than any model, or with sizes that are none.
fn count_of(layout: &SsdAnchors) -> Option<usize> {
    let sizes = layout.aspect_ratios.iter().chain([&layout.min_scale, &layout.max_scale]);
    let reduced = layout.reduced_lowest.iter().flat_map(|(ratio, scale)| [ratio, scale]);
    let positive = |size: &f64| size.is_normal() && *size > 0.0;
    if !sizes.chain(reduced).chain(&layout.interpolated_ratio).all(positive) || !layout.offset.is_finite() {
        return None;
    }
    let per_cell = layout.aspect_ratios.len() + usize::from(layout.interpolated_ratio.is_some());
    let cells = |(index, size): (usize, &usize)| {
        let shapes =
            if index == 0 && !layout.reduced_lowest.is_empty() { layout.reduced_lowest.len() } else { per_cell };
        size.checked_mul(*size)?.checked_mul(shapes)
    };
    layout.feature_maps.iter().enumerate().try_fold(0_usize, |sum, map| sum.checked_add(cells(map)?))
}

/// The anchors in the order of the outputs: map by map, row by row, cell by cell, then the shapes of a cell.
fn anchors_of(layout: &SsdAnchors) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for (index, &size) in layout.feature_maps.iter().enumerate() {
        let shapes = shapes_of(layout, index);
        for row in 0..size {
            for column in 0..size {
                anchors.extend(shapes.iter().map(|(ratio, scale)| Anchor {
                    y: ((row as f64 + layout.offset) / size as f64) as f32,
                    x: ((column as f64 + layout.offset) / size as f64) as f32,
                    h: (scale / ratio.sqrt()) as f32,
                    w: (scale * ratio.sqrt()) as f32,
                }));
            }
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ElementType;

    /// Two cells a side and one, each with a square; class 0 is the background.
    fn description() -> RawSsd {
        RawSsd {
            boxes: "boxes".to_owned(),
            scores: "scores".to_owned(),
            activation: Activation::Sigmoid,
            background_class: Some(0),
            box_order: BoxOrder::CentreYx,
            box_scales: [10.0, 10.0, 5.0, 5.0],
            nms_iou: 0.6,
            max_detections: 10,
            anchors: Anchors::Ssd(SsdAnchors {
                feature_maps: vec![2, 1],
                min_scale: 0.25,
                max_scale: 0.5,
                aspect_ratios: vec![1.0],
                reduced_lowest: vec![],
                interpolated_ratio: None,
                offset: 0.5,
            }),
        }
    }

    fn output(name: &str, shape: &[usize]) -> TensorInfo {
        TensorInfo { name: name.to_owned(), shape: shape.to_vec(), element: ElementType::Float32, quantisation: None }
    }

    fn head(thresholds: &[f32]) -> Result<SsdHead, String> {
        SsdHead::new(&description(), &[output("scores", &[1, 5, 2]), output("boxes", &[1, 5, 4])], thresholds)
    }

    #[test]
    fn anchors_lie_as_in_the_paper() {
        let mut layout = SsdAnchors {
            feature_maps: vec![19, 10, 5, 3, 2, 1],
            min_scale: 0.2,
            max_scale: 0.95,
            aspect_ratios: vec![1.0, 2.0, 0.5, 3.0, 0.3333],
            reduced_lowest: vec![(1.0, 0.1), (2.0, 0.2), (0.5, 0.2)],
            interpolated_ratio: Some(1.0),
            offset: 0.5,
        };
        let anchors = anchors_of(&layout);
        assert_eq!((anchors.len(), count_of(&layout)), (1917, Some(1917)));
        assert_eq!(anchors[0], Anchor { y: 0.5 / 19.0, x: 0.5 / 19.0, h: 0.1, w: 0.1 });
        let last = anchors[1916];
        assert_eq!((last.y, last.x), (0.5, 0.5));
        assert!((last.h - 0.95_f32.sqrt()).abs() < 1e-6 && last.h == last.w, "{last:?}");
        let wide = anchors[19 * 19 * 3 + 1];
        assert!((wide.w - 0.35 * 2_f32.sqrt()).abs() < 1e-6 && (wide.h - 0.35 / 2_f32.sqrt()).abs() < 1e-6, "{wide:?}");
        layout.feature_maps = vec![usize::MAX];
        assert_eq!(count_of(&layout), None);
    }

    #[test]
    fn only_what_reaches_the_threshold_is_decoded() {
        let head = head(&[0.5, 0.5]).expect("it fits");
        let mut boxes = [0.0; 20];
        // Anchor 3 is the cell at the lower right: half its size further up, and twice as wide.
        boxes[12..16].copy_from_slice(&[-5.0, 0.0, 0.0, 5.0 * 2_f32.ln()]);
        let mut scores = [-9.0; 10];
        (scores[6], scores[7], scores[8]) = (9.0, 1.0, 9.0);
        let mut found = Vec::new();
        assert_eq!(head.read(Reals::Float32(&boxes), Reals::Float32(&scores), &mut found), 0);
        let [Candidate { class: 1, score, bounds }] = found[..] else { panic!("{found:?}") };
        assert!((score - 0.731_058_6).abs() < 1e-6);
        let expected = [0.5, 0.5, 0.5, 0.25];
        let close = [bounds.x, bounds.y, bounds.w, bounds.h].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{bounds:?}");
    }

    #[test]
    fn what_is_not_a_number_is_dropped_and_counted() {
        let head = head(&[0.5, 0.5]).expect("it fits");
        let (mut boxes, mut scores) = ([0.0; 20], [-9.0; 10]);
        scores[1] = f32::NAN;
        scores[3] = f32::INFINITY;
        (scores[5], boxes[8]) = (9.0, f32::NAN);
        (scores[7], boxes[14]) = (9.0, 1e9);
        scores[9] = 9.0;
        let mut found = Vec::new();
        assert_eq!(head.read(Reals::Float32(&boxes), Reals::Float32(&scores), &mut found), 4);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_description_that_does_not_fit_is_refused() {
        assert!(head(&[0.5]).expect_err("one label too few").contains("5 anchors and 1 labels"));
        let error = SsdHead::new(&description(), &[output("boxes", &[1, 5, 4])], &[0.5; 2]).expect_err("no scores");
        assert_eq!(error, "the model has no output named scores");
        let mut description = description();
        description.box_scales[0] = 0.0;
        let outputs = [output("scores", &[1, 5, 2]), output("boxes", &[1, 5, 4])];
        assert!(SsdHead::new(&description, &outputs, &[0.5; 2]).is_err());
    }
}
