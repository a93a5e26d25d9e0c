//! `lookhear eval detector`: how good a detector is, on photos in which people have marked what there is.
//!
//! ```text
//! $ lookhear eval detector --model models/objects --images coco128/images/train2017 --boxes coco128/instances.json
//! 128 photos, 421 boxes of 13 classes
//!
//!                              AP   AP50   AP75
//! all                  421  0.204  0.313  0.225
//! up to 32²                 0.005  0.017  0.003
//! up to 96²                 0.119  0.318  0.062
//! larger                    0.367  0.600  0.431
//!
//! class              boxes     AP   AP50   AP75
//! bicycle                6  0.118  0.168  0.168
//! laptop                 3  0.110  0.430  0.048
//! person               254  0.176  0.365  0.161
//! …
//! recall with 1, 10, 100 boxes of a class: 0.219, 0.273, 0.283
//! recall up to 32², up to 96², larger: 0.007, 0.145, 0.595
//! not measured, since the model does not know them: motorcycle, airplane, bus, …
//! not measured, since the boxes are of no such class: boot, desk, box, …
//! $ lookhear eval detector --images coco128/images/train2017 --boxes coco128/instances.json --labels person --json
//! {
//!   "model": "models/objects",
//!   …
//!   "ap": 0.17587523941680636,
//!   …
//! ```
//! The numbers are those of COCO: AP is the mean over overlaps of 0.5 to 0.95, AP50 and AP75 are those at 0.5 and 0.75; sizes
//! are areas in pixels of the photo; a mean is over the classes that have a box. All of the model's results count, however
//! unsure, up to 100 boxes a photo. Classes are the same if their names are, or if the bundle's metadata say that a label
//! is `also_called` so; others are left out.
//!
//! Boxes come as COCO's JSON, or as YOLO's text: a file a photo, with the photo's name and the ending .txt; a photo without
//! one has nothing in it. YOLO numbers its classes; `--names` or a file `classes.txt` says what they are called.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::shared_classes::SharedClasses;
use super::truth::Truth;
use crate::cli::progress;
use crate::config::find_data;
use crate::findings::{Detection, Label};
use crate::media::read_photo;
use crate::model::{Bundle, trial};
use crate::vision::{
    AveragePrecision, BySize, FoundBox, Measured, ObjectFinder, ObjectsConfig, PixelBox, Precision, Recall, TrueBox,
};

/// Boxes a photo, as in COCO's protocol; a model that ends in `TFLite_Detection_PostProcess` has its own limit.
const MOST_BOXES: usize = 100;

/// The arguments of `lookhear eval detector`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle of the detector: a folder, or a model file
    #[arg(long, value_name = "BUNDLE", default_value = "models/objects")]
    model: PathBuf,
    /// The folder of the photos, JPEG or PNG
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// What is in them: COCO's JSON file, a folder with one, or a folder of YOLO's text files
    #[arg(long, value_name = "DIR")]
    boxes: PathBuf,
    /// The names of YOLO's classes, one a line [default: classes.txt with the boxes, or one folder up]
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// Measures only these labels of the bundle
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    labels: Vec<String>,
    /// Prints one JSON object, with everything
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Why bundle, photos or marks cannot be used. A photo that cannot be read ends it: a number without it would be another.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&find_data(&args.model))?;
    trial::ensure(&bundle)?;
    // COCO counts boxes however unsure: where to cut is another question.
    let config = ObjectsConfig { threshold: Some(0.0), ..ObjectsConfig::default() };
    let mut finder = ObjectFinder::new(&config, &bundle)?.with_max_detections(MOST_BOXES);
    let truth = Truth::read(&args.images, &args.boxes, args.names.as_deref())?;
    let classes = SharedClasses::between(&bundle, &truth.classes, &args.labels)?;
    let measured = measure(&mut finder, &truth, &classes)?;
    if finder.dropped() > 0 {
        tracing::warn!(results = finder.dropped(), "the model gave results that are no numbers; they were dropped");
    }
    let report = Report::new(&args, &truth, classes, measured);
    super::print(&report, args.json, as_text)
}

/// Looks at every photo and compares.
fn measure(finder: &mut ObjectFinder, truth: &Truth, classes: &SharedClasses) -> anyhow::Result<Measured> {
    let mut measure = AveragePrecision::new(classes.labels.len());
    let (mut detections, mut found) = (Vec::new(), Vec::new());
    let progress = progress::bar(truth.photos.len(), "photos");
    for marked in &truth.photos {
        let photo = read_photo(&marked.path)?;
        let (size, boxes) = marked.boxes(photo.dimensions())?;
        finder.find((&photo).into(), &mut detections)?;
        let boxes: Vec<TrueBox> =
            boxes.iter().filter_map(|one| Some(TrueBox { class: classes.of_truth(one.class)?, ..*one })).collect();
        found.clear();
        found.extend(detections.iter().filter_map(|one| found_box(one, classes, size)));
        measure.add(&boxes, &found);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(measure.measured())
}

/// A detection in pixels of a picture of `size`; `None` if its class is not measured.
fn found_box(detection: &Detection, classes: &SharedClasses, (width, height): (u32, u32)) -> Option<FoundBox> {
    let Detection { label, score, bounds } = detection;
    let (width, height) = (f64::from(width), f64::from(height));
    let bounds = PixelBox {
        x: f64::from(bounds.x) * width,
        y: f64::from(bounds.y) * height,
        w: f64::from(bounds.w) * width,
        h: f64::from(bounds.h) * height,
    };
    Some(FoundBox { class: classes.of_label(label)?, bounds, score: f64::from(*score) })
}

/// What is printed. Numbers are 0…1, and `null` where there is nothing to measure.
#[derive(Serialize)]
struct Report {
    model: String,
    images: String,
    boxes: String,
    /// Photos that were looked at.
    photos: usize,
    /// Of these, those without a label file: nothing is in them.
    photos_unlabelled: usize,
    /// Photos in the folder that the marks do not list: not looked at.
    photos_unlisted: usize,
    /// Marked pictures that are not in the folder: not looked at.
    photos_absent: usize,
    /// Marked boxes of the measured classes, crowds not counted.
    true_boxes: usize,
    ap: Option<f64>,
    ap50: Option<f64>,
    ap75: Option<f64>,
    by_size: BySize<Precision>,
    recall: Recall,
    classes: Vec<ClassLine>,
    classes_only_in_boxes: Vec<String>,
    classes_only_in_model: Vec<Label>,
}

#[derive(Serialize)]
struct ClassLine {
    label: Label,
    true_boxes: usize,
    ap: Option<f64>,
    ap50: Option<f64>,
    ap75: Option<f64>,
}

impl Report {
    fn new(args: &Args, truth: &Truth, classes: SharedClasses, measured: Measured) -> Self {
        let Measured { precision, by_size, recall, classes: each } = measured;
        let lines = classes.labels.into_iter().zip(&each).map(|(label, one)| ClassLine {
            label,
            true_boxes: one.boxes,
            ap: one.precision.map(|precision| precision.ap),
            ap50: one.precision.map(|precision| precision.ap50),
            ap75: one.precision.map(|precision| precision.ap75),
        });
        Self {
            model: args.model.display().to_string(),
            images: args.images.display().to_string(),
            boxes: args.boxes.display().to_string(),
            photos: truth.photos.len(),
            photos_unlabelled: truth.unlabelled,
            photos_unlisted: truth.unlisted,
            photos_absent: truth.absent,
            true_boxes: each.iter().map(|one| one.boxes).sum(),
            ap: precision.map(|precision| precision.ap),
            ap50: precision.map(|precision| precision.ap50),
            ap75: precision.map(|precision| precision.ap75),
            by_size,
            recall,
            classes: lines.collect(),
            classes_only_in_boxes: classes.only_in_truth,
            classes_only_in_model: classes.only_in_bundle,
        }
    }
}

/// Precisions, or dashes where there is nothing to measure.
struct Columns(Option<f64>, Option<f64>, Option<f64>);

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in [self.0, self.1, self.2] {
            write!(f, "  {}", shown(value))?;
        }
        Ok(())
    }
}

impl From<Option<Precision>> for Columns {
    fn from(precision: Option<Precision>) -> Self {
        Self(precision.map(|one| one.ap), precision.map(|one| one.ap50), precision.map(|one| one.ap75))
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or("    –".to_owned(), |value| format!("{value:.3}"))
}

fn as_text(to: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { photos, true_boxes, classes, by_size, recall, .. } = report;
    let plural = |count: usize, one: &'static str, more: &'static str| if count == 1 { one } else { more };
    let (photo, class) = (plural(*photos, "photo", "photos"), plural(classes.len(), "class", "classes"));
    writeln!(to, "{photos} {photo}, {true_boxes} boxes of {} {class}", classes.len())?;
    let notes = [
        (report.photos_unlabelled, "of the photos without a label file: taken as empty"),
        (report.photos_unlisted, "more photos in the folder, not listed with the boxes: not looked at"),
        (report.photos_absent, "more pictures with boxes, not in the folder: not looked at"),
    ];
    for (count, what) in notes.iter().filter(|(count, _)| *count > 0) {
        writeln!(to, "{count} {what}")?;
    }
    let widest = classes.iter().map(|line| line.label.chars().count()).max().unwrap_or(0).max("up to 96²".len());
    writeln!(to, "\n{:widest$}  {:>6}     AP   AP50   AP75", "", "")?;
    writeln!(to, "{:widest$}  {:>6}{}", "all", true_boxes, Columns(report.ap, report.ap50, report.ap75))?;
    let sizes = [("up to 32²", by_size.small), ("up to 96²", by_size.medium), ("larger", by_size.large)];
    for (name, precision) in sizes {
        writeln!(to, "{name:widest$}  {:>6}{}", "", Columns::from(precision))?;
    }
    writeln!(to)?;
    writeln!(to, "{:widest$}  {:>6}     AP   AP50   AP75", "class", "boxes")?;
    for ClassLine { label, true_boxes, ap, ap50, ap75 } in classes {
        writeln!(to, "{label:widest$}  {true_boxes:>6}{}", Columns(*ap, *ap50, *ap75))?;
    }
    let Recall { at_1, at_10, at_100, by_size } = recall;
    let [at_1, at_10, at_100] = [at_1, at_10, at_100].map(|value| shown(*value));
    writeln!(to, "\nrecall with 1, 10, 100 boxes of a class: {at_1}, {at_10}, {at_100}")?;
    let [small, medium, large] = [by_size.small, by_size.medium, by_size.large].map(shown);
    writeln!(to, "recall up to 32², up to 96², larger: {small}, {medium}, {large}")?;
    if !report.classes_only_in_boxes.is_empty() {
        writeln!(to, "not measured, since the model does not know them: {}", report.classes_only_in_boxes.join(", "))?;
    }
    if !report.classes_only_in_model.is_empty() {
        let names: Vec<&str> = report.classes_only_in_model.iter().map(|label| &**label).collect();
        writeln!(to, "not measured, since the boxes are of no such class: {}", names.join(", "))?;
    }
    Ok(())
}
