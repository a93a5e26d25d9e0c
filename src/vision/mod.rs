//! Finds objects in pictures. Nothing here knows where frames come from.
//!
//! [`Detector`] is the stage; [`ObjectFinder`] does its work and is what a program without a pipeline uses: a picture is
//! brought to the model's input (`preprocess`), the model runs, one of the heads (`ssd_head`, `postprocess_head`) reads what
//! it gives, and of boxes that overlap the best stay (`boxes`).
//!
//! How good it is, [`AveragePrecision`] measures against what people have marked (`ground_truth`).

mod average_precision;
mod boxes;
mod detector;
mod finder;
mod ground_truth;
mod postprocess_head;
mod preprocess;
mod ssd_head;

pub use average_precision::{
    AveragePrecision, BySize, ClassMeasured, FoundBox, Measured, PixelBox, Precision, Recall, TrueBox,
};
pub use detector::{Audience, Detector, ObjectsConfig};
pub use finder::{DetectorError, ObjectFinder};
pub use ground_truth::{
    CocoPicture, CocoTruth, GroundTruthError, LARGEST_COCO_BYTES, LARGEST_YOLO_BYTES, YoloBox, yolo_boxes, yolo_classes,
};
