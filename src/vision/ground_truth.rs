//! What is in pictures, as people have marked it: COCO's JSON and YOLO's text.
//!
//! Both come from others, so their bytes are taken for hostile: sizes are bounded, numbers are checked, and a name of a
//! file cannot lead out of its folder.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::average_precision::{PixelBox, TrueBox};

/// A larger file of COCO's form is none: that of COCO's 118,000 pictures for training has 448 MiB.
pub const LARGEST_COCO_BYTES: u64 = 1 << 29;
/// A larger label or class file of YOLO's form is none.
pub const LARGEST_YOLO_BYTES: u64 = 1 << 20;
/// Boxes in one picture; COCO's fullest has 93.
const MOST_BOXES: usize = 10_000;
/// How far a YOLO box may leave the picture, as a share of its side: what rounding does.
const OUTSIDE: f64 = 1e-3;

/// Why marks cannot be used. Each message is the rest of a sentence that begins with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum GroundTruthError {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text; save it as UTF-8")]
    Text(#[source] std::str::Utf8Error),
    /// It is not JSON in COCO's form.
    #[error("it is not COCO's JSON with `images`, `annotations` and `categories` ({0}); correct it there")]
    Json(#[source] serde_json::Error),
    /// Two pictures or two classes are one.
    #[error("{what} {id} is in it twice; remove one")]
    Twice {
        /// "image" or "category".
        what: &'static str,
        /// Its id.
        id: i64,
    },
    /// A box belongs to nothing.
    #[error("annotation number {number} is of {what} {id}, which is not in the file; correct its `{what}_id`")]
    Unknown {
        /// Which annotation, from 1.
        number: usize,
        /// "image" or "category".
        what: &'static str,
        /// The id that is not there.
        id: i64,
    },
    /// A picture's size or name cannot be.
    #[error("image {id} {reason}")]
    Image {
        /// Its id.
        id: i64,
        /// What cannot be, and what to do.
        reason: &'static str,
    },
    /// A box of COCO's form cannot be.
    #[error("annotation number {number} {reason}")]
    Annotation {
        /// Which, from 1.
        number: usize,
        /// What cannot be, and what to do.
        reason: &'static str,
    },
    /// A line of YOLO's form cannot be.
    #[error("line {line} {reason}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What cannot be, and what to do.
        reason: &'static str,
    },
    /// A line names a class that has no name.
    #[error(
        "line {line} is of class {class}, and there are names for {classes}; give the names that these labels were made with"
    )]
    Class {
        /// Which, from 1.
        line: usize,
        /// The class.
        class: usize,
        /// How many names there are.
        classes: usize,
    },
    /// There are more boxes in one picture than can be meant.
    #[error("it has more than {MOST_BOXES} boxes for one picture; check how it was made")]
    TooMany,
}

/// A COCO file.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoTruth {
    /// The names of the classes, in the order of their ids.
    pub classes: Vec<String>,
    /// The pictures, in the order of their ids, which decides between boxes of equal score.
    pub pictures: Vec<CocoPicture>,
}

/// A picture in a COCO file.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoPicture {
    /// Its file, relative to the folder of the pictures and within it.
    pub file: PathBuf,
    /// Width in pixels, 1 or more.
    pub width: u32,
    /// Height in pixels, 1 or more.
    pub height: u32,
    /// The boxes in it; each class is a number of [`CocoTruth::classes`].
    pub boxes: Vec<TrueBox>,
}

impl CocoTruth {
    /// Reads COCO's JSON for detection (<https://cocodataset.org/#format-data>); outlines are not looked at.
    ///
    /// A box without `area` has that of its rectangle, one without `iscrowd` is none. A box may leave its picture, and may
    /// be without area: COCO has such.
    ///
    /// # Errors
    /// [`GroundTruthError`]: what cannot be, and where it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, GroundTruthError> {
        let CocoFile { mut images, annotations, mut categories } =
            serde_json::from_slice(bytes).map_err(GroundTruthError::Json)?;
        images.sort_by_key(|image| image.id);
        categories.sort_by_key(|category| category.id);
        let class_of = numbers("category", categories.iter().map(|category| category.id))?;
        let picture_of = numbers("image", images.iter().map(|image| image.id))?;
        let mut pictures = images.into_iter().map(CocoImage::picture).collect::<Result<Vec<_>, _>>()?;
        for (index, annotation) in annotations.iter().enumerate() {
            let (number, CocoAnnotation { image_id, category_id, .. }) = (index + 1, *annotation);
            let unknown = |what, id| GroundTruthError::Unknown { number, what, id };
            let class = *class_of.get(&category_id).ok_or_else(|| unknown("category", category_id))?;
            let picture = *picture_of.get(&image_id).ok_or_else(|| unknown("image", image_id))?;
            let boxes = &mut pictures[picture].boxes;
            if boxes.len() == MOST_BOXES {
                return Err(GroundTruthError::TooMany);
            }
            boxes.push(annotation.true_box(class).map_err(|reason| GroundTruthError::Annotation { number, reason })?);
        }
        Ok(Self { classes: categories.into_iter().map(|category| category.name).collect(), pictures })
    }
}

#[derive(Deserialize)]
struct CocoFile {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoCategory {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct CocoImage {
    id: i64,
    file_name: PathBuf,
    width: u32,
    height: u32,
}

#[derive(Clone, Copy, Deserialize)]
struct CocoAnnotation {
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

impl CocoImage {
    fn picture(self) -> Result<CocoPicture, GroundTruthError> {
        let Self { id, file_name, width, height } = self;
        let wrong = |reason| Err(GroundTruthError::Image { id, reason });
        if width == 0 || height == 0 {
            return wrong("has no pixels; correct its width and height");
        }
        if !is_within(&file_name) {
            return wrong("lies outside of the folder of the pictures; make its `file_name` relative to that");
        }
        Ok(CocoPicture { file: file_name, width, height, boxes: Vec::new() })
    }
}

impl CocoAnnotation {
    fn true_box(&self, class: usize) -> Result<TrueBox, &'static str> {
        let [x, y, w, h] = self.bbox;
        if w < 0.0 || h < 0.0 {
            return Err("has a negative width or height; its `bbox` is left, top, width, height");
        }
        let bounds = PixelBox { x, y, w, h };
        let area = self.area.unwrap_or(bounds.area());
        if !(area.is_finite() && area >= 0.0) {
            return Err("has no possible area; correct or remove its `area`");
        }
        Ok(TrueBox { class, bounds, area, is_crowd: self.iscrowd != 0 })
    }
}

/// The place of each id in its list.
fn numbers(what: &'static str, ids: impl Iterator<Item = i64>) -> Result<HashMap<i64, usize>, GroundTruthError> {
    let mut places = HashMap::new();
    for (place, id) in ids.enumerate() {
        if places.insert(id, place).is_some() {
            return Err(GroundTruthError::Twice { what, id });
        }
    }
    Ok(places)
}

/// Whether a relative path cannot leave the folder it starts in.
fn is_within(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) && path.file_name().is_some()
}

/// A box of YOLO's form: 0…1 of its picture's sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YoloBox {
    /// The number of its class.
    pub class: usize,
    /// Centre from the left.
    pub centre_x: f64,
    /// Centre from the top.
    pub centre_y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl YoloBox {
    /// The box in a picture of `width` by `height` pixels.
    pub fn in_pixels(&self, width: u32, height: u32) -> TrueBox {
        let (width, height) = (f64::from(width), f64::from(height));
        let bounds = PixelBox {
            x: (self.centre_x - self.w / 2.0) * width,
            y: (self.centre_y - self.h / 2.0) * height,
            w: self.w * width,
            h: self.h * height,
        };
        TrueBox { class: self.class, bounds, area: bounds.area(), is_crowd: false }
    }
}

/// Reads a label file of YOLO's form: a line a box, of `class centre_x centre_y width height`; blank lines are none. A file
/// without lines is a picture with nothing in it.
///
/// `classes` is how many classes have names.
///
/// # Errors
/// [`GroundTruthError`]: what cannot be, and on which line.
pub fn yolo_boxes(bytes: &[u8], classes: usize) -> Result<Vec<YoloBox>, GroundTruthError> {
    let mut boxes = Vec::new();
    for (index, text) in text_of(bytes)?.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = index + 1;
        let wrong = |reason| GroundTruthError::Line { line, reason };
        let words: Vec<&str> = text.split_ascii_whitespace().take(6).collect();
        let [class, numbers @ ..] = words.as_slice() else { continue };
        let &[centre_x, centre_y, w, h] = numbers else {
            return Err(wrong(
                "must be five numbers: class, centre x, centre y, width, height; take labels for detection",
            ));
        };
        let class = class.parse().map_err(|_| wrong("must begin with the number of a class, from 0; correct it"))?;
        if class >= classes {
            return Err(GroundTruthError::Class { line, class, classes });
        }
        let share = |word: &str| {
            let value = word.parse::<f64>().ok().filter(|value| (-OUTSIDE..=1.0 + OUTSIDE).contains(value));
            value.ok_or_else(|| wrong("has a number that is not in 0…1; give shares of the picture's width and height"))
        };
        let one = YoloBox { class, centre_x: share(centre_x)?, centre_y: share(centre_y)?, w: share(w)?, h: share(h)? };
        if one.w < 0.0 || one.h < 0.0 {
            return Err(wrong("has a negative width or height; correct it"));
        }
        if boxes.len() == MOST_BOXES {
            return Err(GroundTruthError::TooMany);
        }
        boxes.push(one);
    }
    Ok(boxes)
}

/// Reads the names of YOLO's classes: one a line, by the number of the class; a blank line between others is a class
/// without a name.
///
/// # Errors
/// [`GroundTruthError::Text`].
pub fn yolo_classes(bytes: &[u8]) -> Result<Vec<String>, GroundTruthError> {
    Ok(text_of(bytes)?.trim_end().lines().map(|line| line.trim().to_owned()).collect())
}

fn text_of(bytes: &[u8]) -> Result<&str, GroundTruthError> {
    let text = std::str::from_utf8(bytes).map_err(GroundTruthError::Text)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COCO: &str = r#"{"info": {}, "images": [{"id": 7, "file_name": "b/7.jpg", "width": 640, "height": 480, "license": 1},
        {"id": 3, "file_name": "3.jpg", "width": 10, "height": 20}],
        "annotations": [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [1, 2.5, 3, 4], "area": 5, "iscrowd": 1, "segmentation": [[1, 2]]},
        {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 3, 0]}],
        "categories": [{"id": 90, "name": "toothbrush", "supercategory": "indoor"}, {"id": 2, "name": "bicycle"}]}"#;

    #[test]
    fn coco_s_pictures_and_classes_come_in_the_order_of_their_ids() {
        let truth = CocoTruth::parse(COCO.as_bytes()).expect("right");
        assert_eq!(truth.classes, ["bicycle", "toothbrush"]);
        let bounds = |x, y, w, h| PixelBox { x, y, w, h };
        let boxes = vec![
            TrueBox { class: 1, bounds: bounds(1.0, 2.5, 3.0, 4.0), area: 5.0, is_crowd: true },
            TrueBox { class: 0, bounds: bounds(0.0, 0.0, 3.0, 0.0), area: 0.0, is_crowd: false },
        ];
        let picture = |file: &str, width, height, boxes| CocoPicture { file: file.into(), width, height, boxes };
        assert_eq!(truth.pictures, [picture("3.jpg", 10, 20, Vec::new()), picture("b/7.jpg", 640, 480, boxes)]);
    }

    #[test]
    fn what_is_wrong_in_a_coco_file_is_said_with_its_place() {
        let check = |from: &str, to: &str, message: &str| {
            let error = CocoTruth::parse(COCO.replace(from, to).as_bytes()).expect_err("wrong").to_string();
            assert!(error.contains(message), "{error}");
        };
        check("\"info\": {}", "\"info\": {", "line 1");
        check("\"annotations\"", "\"boxes\"", "missing field `annotations`");
        check("\"id\": 3", "\"id\": 7", "image 7 is in it twice");
        check("\"id\": 90", "\"id\": 2", "category 2 is in it twice");
        check(
            "\"image_id\": 7, \"category_id\": 2",
            "\"image_id\": 8, \"category_id\": 2",
            "annotation number 2 is of image 8",
        );
        check("\"category_id\": 90", "\"category_id\": 1", "annotation number 1 is of category 1");
        check("[0, 0, 3, 0]", "[0, 0, -3, 0]", "annotation number 2 has a negative width");
        check("[0, 0, 3, 0]", "[0, 0, 3]", "line 5");
        check("[0, 0, 3, 0]", "[0, 0, 1e200, 1e200]", "annotation number 2 has no possible area");
        check("\"area\": 5", "\"area\": -5", "annotation number 1 has no possible area");
        check("\"width\": 10", "\"width\": 0", "image 3 has no pixels");
        assert!(is_within(Path::new("./a/3.jpg")));
        for path in ["../3.jpg", "/etc/3.jpg", "a/../../3.jpg", ".", ""] {
            check("\"3.jpg\"", &format!("\"{path}\""), "image 3 lies outside");
        }
    }

    #[test]
    fn yolo_boxes_are_shares_of_their_picture() {
        let boxes = yolo_boxes(b"\xef\xbb\xbf1 0.5 0.25 0.5 0.5\r\n\n  0\t1 1 0 1e-3\n", 2).expect("right");
        assert_eq!(boxes.len(), 2);
        let expected = PixelBox { x: 50.0, y: 0.0, w: 100.0, h: 100.0 };
        assert_eq!(boxes[0].in_pixels(200, 200), TrueBox { class: 1, bounds: expected, area: 1e4, is_crowd: false });
        assert_eq!(yolo_boxes(b"", 0).expect("nothing is in it"), []);
        assert_eq!(yolo_classes(b"person\r\n\n traffic light \n\n").expect("text"), ["person", "", "traffic light"]);
    }

    #[test]
    fn what_is_wrong_in_a_label_file_is_said_with_its_line() {
        let check = |line: &str, message: &str| {
            let error = yolo_boxes(format!("0 0.5 0.5 1 1\n{line}").as_bytes(), 2).expect_err("wrong").to_string();
            assert!(error.starts_with("line 2 ") && error.contains(message), "{error}");
        };
        check("0 0.5 0.5 1", "five numbers");
        check("0 0.1 0.1 0.2 0.1 0.2 0.2", "five numbers");
        check("person 0.5 0.5 1 1", "number of a class");
        check("-1 0.5 0.5 1 1", "number of a class");
        check("2 0.5 0.5 1 1", "is of class 2, and there are names for 2");
        check("0 320 240 10 10", "not in 0…1");
        check("0 0.5 NaN 1 1", "not in 0…1");
        check("0 0.5 0.5 -0.0005 1", "negative");
        assert!(matches!(yolo_boxes(b"\xff", 1), Err(GroundTruthError::Text(_))));
        let many = "0 0.5 0.5 1 1\n".repeat(MOST_BOXES + 1);
        assert!(matches!(yolo_boxes(many.as_bytes(), 1), Err(GroundTruthError::TooMany)));
    }

    proptest! {
        /// What `fuzz/fuzz_targets/ground_truth.rs` looks for without end: a file with some bytes changed is read or refused.
        #[test]
        fn damaged_files_are_refused_or_read_and_nothing_else(
            changes in proptest::collection::vec((0_usize..2000, any::<u8>()), 1..6)
        ) {
            let damaged = |text: &str| {
                let mut bytes = text.as_bytes().to_vec();
                for (place, byte) in &changes {
                    let place = place % bytes.len();
                    bytes[place] = *byte;
                }
                bytes
            };
            if let Ok(truth) = CocoTruth::parse(&damaged(COCO)) {
                for picture in &truth.pictures {
                    prop_assert!(picture.width > 0 && picture.height > 0 && is_within(&picture.file));
                    prop_assert!(picture.boxes.iter().all(|one| one.class < truth.classes.len() && one.area >= 0.0));
                }
            }
            if let Ok(boxes) = yolo_boxes(&damaged("1 0.5 0.5 1 1\n0 0.25 0.75 0.1 0.2\n"), 2) {
                prop_assert!(boxes.iter().all(|one| one.class < 2 && one.in_pixels(640, 480).area.is_finite()));
            }
        }
    }
}
