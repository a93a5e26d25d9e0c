//! Reads the outputs of `TFLite_Detection_PostProcess`, the operator that ends TensorFlow's detectors.
//!
//! It gives boxes `[1, N, 4]` (top, left, bottom, right; may leave 0…1), classes `[1, N]`, scores `[1, N]` and a count `[1]`,
//! all as floats, in an order that differs from model to model. Rows past the count are whatever the memory held.

use super::boxes::Candidate;
use crate::findings::BoxInFrame;
use crate::model::{Bundle, Engine, EngineError, TensorInfo};

/// Which output is what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Roles {
    boxes: usize,
    classes: usize,
    scores: usize,
    count: usize,
}

/// How the outputs of one model are read.
#[derive(Debug)]
pub(super) struct PostProcessHead {
    roles: Roles,
    rows: usize,
    /// For each class the least score that is a detection; infinite for those nobody wants.
    thresholds: Vec<f32>,
}

impl PostProcessHead {
    /// A head for the loaded model of `bundle`, which reports a class from `thresholds` (0…1) up. Where nothing else tells
    /// classes from scores, the model runs once.
    ///
    /// # Errors
    /// What does not fit, or cannot be told apart.
    pub fn new(bundle: &Bundle, engine: &mut Engine, thresholds: &[f32]) -> Result<Self, String> {
        let outputs = engine.outputs().to_vec();
        let roles = roles_of_operator(bundle)
            .or_else(|| roles_of_metadata(bundle, &outputs))
            .or_else(|| roles_of_names(&outputs))
            .map_or_else(|| roles_of_shapes(&outputs, engine), Ok)?;
        let Roles { boxes, classes, scores, count } = roles;
        let rows = outputs[scores].len();
        let lengths = [boxes, classes, count].map(|output| outputs[output].len());
        if lengths != [4 * rows, rows, 1] {
            return Err(format!("boxes, classes and count have {lengths:?} elements, and there are {rows} scores"));
        }
        Ok(Self { roles, rows, thresholds: thresholds.to_vec() })
    }

    /// Adds what reaches its class's threshold to `candidates`. Returns how many rows were dropped because a number was not
    /// finite or a class does not exist.
    ///
    /// # Errors
    /// [`EngineError`] if the outputs are not floats.
    pub fn read(&self, engine: &Engine, candidates: &mut Vec<Candidate>) -> Result<usize, EngineError> {
        let Roles { boxes, classes, scores, count } = self.roles;
        let (boxes, classes) = (engine.output::<f32>(boxes)?, engine.output::<f32>(classes)?);
        let (scores, count) = (engine.output::<f32>(scores)?, engine.output::<f32>(count)?);
        Ok(self.decode(boxes, classes, scores, count[0], candidates))
    }

    fn decode(
        &self,
        boxes: &[f32],
        classes: &[f32],
        scores: &[f32],
        count: f32,
        candidates: &mut Vec<Candidate>,
    ) -> usize {
        // A count that is not a number becomes 0.
        let count = (count.round() as usize).min(self.rows);
        let mut dropped = 0;
        for ((corners, class), score) in boxes.chunks_exact(4).zip(classes).zip(scores).take(count) {
            let sound = corners.iter().chain([class, score]).all(|number| number.is_finite()) && *class > -0.5;
            let class = class.round() as usize;
            let Some(threshold) = self.thresholds.get(class).filter(|_| sound) else {
                dropped += 1;
                continue;
            };
            if *score >= *threshold {
                let bounds = BoxInFrame::from_corners(corners[1], corners[0], corners[3], corners[2]);
                let score = score.clamp(0.0, 1.0);
                candidates.extend(bounds.map(|bounds| Candidate { class, score, bounds }));
            }
        }
        dropped
    }
}

/// The operator's outputs have a fixed order; the checked model says which of its own outputs they are.
fn roles_of_operator(bundle: &Bundle) -> Option<Roles> {
    let [boxes, classes, scores, count] = bundle.summary.post_process.as_ref()?.outputs;
    Some(Roles { boxes: boxes?, classes: classes?, scores: scores?, count: count? })
}

fn roles_of_metadata(bundle: &Bundle, outputs: &[TensorInfo]) -> Option<Roles> {
    let find = |role: &str| {
        let at = bundle.metadata.output_roles.iter().position(|found| found == role)?;
        let name = bundle.metadata.output_tensors.get(at)?;
        outputs.iter().position(|output| output.name == *name)
    };
    Some(Roles {
        boxes: find("bounding_boxes")?,
        classes: find("class_labels")?,
        scores: find("class_confidences")?,
        count: find("num_of_boxes")?,
    })
}

/// TensorFlow's converter gives the four the same name, and all but the first a number.
fn roles_of_names(outputs: &[TensorInfo]) -> Option<Roles> {
    let find = |suffix: &str| {
        let fits = |name: &str| name.strip_suffix(suffix).is_some_and(|name| name.ends_with("PostProcess"));
        outputs.iter().position(|output| fits(&output.name))
    };
    Some(Roles { boxes: find("")?, classes: find(":1")?, scores: find(":2")?, count: find(":3")? })
}

/// Boxes and count have shapes of their own. Of the other two the one that holds whole numbers after a run is the classes.
fn roles_of_shapes(outputs: &[TensorInfo], engine: &mut Engine) -> Result<Roles, String> {
    const UNCLEAR: &str = "its four outputs cannot be told apart; name them in the metadata's outputTensors";
    let only = |fits: &dyn Fn(&TensorInfo) -> bool| {
        let mut found = (0..outputs.len()).filter(|index| fits(&outputs[*index]));
        found.next().filter(|_| found.next().is_none())
    };
    let boxes = only(&|output| matches!(output.shape[..], [1, _, 4])).ok_or(UNCLEAR)?;
    let count = only(&|output| matches!(output.shape[..], [] | [1])).ok_or(UNCLEAR)?;
    let [a, b] = (0..outputs.len()).filter(|index| ![boxes, count].contains(index)).collect::<Vec<_>>()[..] else {
        return Err(UNCLEAR.to_owned());
    };
    engine.invoke().map_err(|error| error.to_string())?;
    let whole = |index: usize| {
        let values = engine.output::<f32>(index).map_err(|error| error.to_string())?;
        Ok::<_, String>(values.iter().all(|value| value.fract() == 0.0))
    };
    match (whole(a)?, whole(b)?) {
        (true, false) => Ok(Roles { boxes, classes: a, scores: b, count }),
        (false, true) => Ok(Roles { boxes, classes: b, scores: a, count }),
        _ => Err(UNCLEAR.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ElementType;

    fn head(rows: usize, thresholds: &[f32]) -> PostProcessHead {
        let roles = Roles { boxes: 0, classes: 1, scores: 2, count: 3 };
        PostProcessHead { roles, rows, thresholds: thresholds.to_vec() }
    }

    #[test]
    fn rows_past_the_count_are_never_looked_at() {
        let boxes = [0.1, 0.2, 0.5, 0.6, f32::NAN, 9.9, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let head = head(3, &[0.5, 0.5]);
        let mut found = Vec::new();
        assert_eq!(head.decode(&boxes, &[1.0, 7.0, 0.0], &[0.9, 0.8, 0.7], 1.0, &mut found), 0);
        let bounds = BoxInFrame::from_corners(0.2, 0.1, 0.6, 0.5).expect("a box");
        assert_eq!(found, [Candidate { class: 1, score: 0.9, bounds }]);
        for count in [0.0, -1.0, f32::NAN] {
            found.clear();
            head.decode(&boxes, &[1.0, 7.0, 0.0], &[0.9, 0.8, 0.7], count, &mut found);
            assert!(found.is_empty(), "{count}");
        }
    }

    #[test]
    fn rows_that_make_no_sense_are_dropped_and_counted() {
        let boxes = [
            [f32::NAN, 0.0, 1.0, 1.0],
            [0.0, 0.0, f32::INFINITY, 1.0],
            [0.0, 0.0, 1.0, 1.0],
            [0.0, 0.0, 1.0, 1.0],
            [-0.53, -0.1, 0.5, 1.48],
        ]
        .concat();
        let mut found = Vec::new();
        let dropped =
            head(5, &[0.5; 2]).decode(&boxes, &[0.0, 0.0, 2.0, -1.0, 1.0], &[0.9; 5], f32::INFINITY, &mut found);
        assert_eq!((dropped, found.len()), (4, 1));
        assert_eq!(found[0].bounds, BoxInFrame { x: 0.0, y: 0.0, w: 1.0, h: 0.5 });
    }

    #[test]
    fn each_class_has_its_threshold() {
        let mut found = Vec::new();
        let boxes = [[0.0, 0.0, 1.0, 1.0]; 3].concat();
        head(3, &[0.3, f32::INFINITY, 0.7]).decode(&boxes, &[0.0, 1.0, 2.0], &[0.5; 3], 3.0, &mut found);
        assert_eq!(found.iter().map(|candidate| candidate.class).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn names_tell_the_outputs_apart_in_any_order() {
        let output = |name: &str| TensorInfo {
            name: name.to_owned(),
            shape: vec![1],
            element: ElementType::Float32,
            quantisation: None,
        };
        let base = "TFLite_Detection_PostProcess";
        let outputs = [":3", "", ":2", ":1"].map(|suffix| output(&format!("{base}{suffix}")));
        assert_eq!(roles_of_names(&outputs), Some(Roles { boxes: 1, classes: 3, scores: 2, count: 0 }));
        assert_eq!(roles_of_names(&outputs[1..]), None);
    }
}
