//! Where the truth about photos comes from: a COCO file, or a folder of YOLO's label files.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use super::photos::{files_with, photos_in};
use crate::vision::{
    CocoTruth, GroundTruthError, LARGEST_COCO_BYTES, LARGEST_YOLO_BYTES, TrueBox, YoloBox, yolo_boxes, yolo_classes,
};

/// The names of YOLO's classes, beside the labels or above them, as labelling programs write it.
const CLASS_FILE: &str = "classes.txt";

/// Photos with what is in them.
#[derive(Debug)]
pub(super) struct Truth {
    /// The names of the classes that boxes are marked with.
    pub classes: Vec<String>,
    /// The photos to look at, in the order that decides between boxes of equal score.
    pub photos: Vec<MarkedPhoto>,
    /// YOLO: photos without a label file, which have nothing in them.
    pub unlabelled: usize,
    /// COCO: photos in the folder that the file does not list; they are not looked at.
    pub unlisted: usize,
    /// Pictures that are marked and are not in the folder; they are not looked at.
    pub absent: usize,
}

/// A photo with what is in it.
#[derive(Debug)]
pub(super) struct MarkedPhoto {
    /// Its file.
    pub path: PathBuf,
    marks: Marks,
}

#[derive(Debug)]
enum Marks {
    /// In pixels of a picture of this width and height, which the file may have been reduced from.
    Coco((u32, u32), Vec<TrueBox>),
    /// In shares of the picture.
    Yolo(Vec<YoloBox>),
}

impl MarkedPhoto {
    /// Width and height of the picture that was marked, and the boxes in its pixels, for a file of `size` pixels.
    ///
    /// # Errors
    /// That the file is another picture than the marked one: its sides have another proportion.
    pub fn boxes(&self, size: (u32, u32)) -> anyhow::Result<((u32, u32), Vec<TrueBox>)> {
        match &self.marks {
            Marks::Yolo(boxes) => Ok((size, boxes.iter().map(|one| one.in_pixels(size.0, size.1)).collect())),
            Marks::Coco(marked, boxes) if have_one_shape(*marked, size) => Ok((*marked, boxes.clone())),
            Marks::Coco(marked, _) => bail!(
                "The photo {} is {}×{}, and was {}×{} when its boxes were marked: take the photo that was marked, or correct the size in the marks.",
                self.path.display(),
                size.0,
                size.1,
                marked.0,
                marked.1
            ),
        }
    }
}

/// Whether one picture may be the other, made smaller: a pixel may be lost to rounding on each side.
fn have_one_shape(a: (u32, u32), b: (u32, u32)) -> bool {
    let product = |width: u32, height: u32| i64::from(width) * i64::from(height);
    let slack = i64::from(a.0.max(a.1));
    (product(a.0, b.1) - product(a.1, b.0)).abs() <= slack
}

impl Truth {
    /// Reads the marks at `boxes` for the photos in `images`: a JSON file, a folder with one, or a folder of label files,
    /// whose classes are named in `names` (default `classes.txt` beside them or one folder up).
    ///
    /// # Errors
    /// What is missing, ambiguous or wrong, with file and remedy.
    pub fn read(images: &Path, boxes: &Path, names: Option<&Path>) -> anyhow::Result<Self> {
        let photos = photos_in(images)?;
        if fs::metadata(boxes).is_ok_and(|found| found.is_file()) {
            return Self::from_coco(images, &photos, boxes);
        }
        match files_with(boxes, &["json"])?.as_slice() {
            [] => Self::from_yolo(images, photos, boxes, names),
            [only] => Self::from_coco(images, &photos, only),
            [first, ..] => bail!(
                "The folder {} has several JSON files; name the one that is meant, such as --boxes {}.",
                boxes.display(),
                first.display()
            ),
        }
    }

    fn from_coco(images: &Path, photos: &[PathBuf], file: &Path) -> anyhow::Result<Self> {
        let CocoTruth { classes, pictures } =
            CocoTruth::parse(&read(file, LARGEST_COCO_BYTES)?).map_err(|reason| unusable(file, &reason))?;
        let listed = pictures.len();
        let first = pictures.first().map(|picture| picture.file.clone());
        let present: Vec<MarkedPhoto> = pictures
            .into_iter()
            .map(|picture| MarkedPhoto {
                path: images.join(&picture.file),
                marks: Marks::Coco((picture.width, picture.height), picture.boxes),
            })
            .filter(|photo| photo.path.is_file())
            .collect();
        if present.is_empty() {
            let first = first.map_or(String::new(), |first| format!(" (the first is {})", first.display()));
            bail!(
                "None of the {listed} pictures that {} lists{first} is in {}; name the folder that its `file_name` starts from.",
                file.display(),
                images.display()
            );
        }
        let known: HashSet<&Path> = present.iter().map(|photo| photo.path.as_path()).collect();
        let unlisted = photos.iter().filter(|photo| !known.contains(photo.as_path())).count();
        let absent = listed - present.len();
        Ok(Self { classes, photos: present, unlabelled: 0, unlisted, absent })
    }

    fn from_yolo(images: &Path, photos: Vec<PathBuf>, labels: &Path, names: Option<&Path>) -> anyhow::Result<Self> {
        if photos.is_empty() {
            bail!("There is no JPEG or PNG file in {}; name the folder of the photos.", images.display());
        }
        let class_file = class_file(labels, names)?;
        let classes = yolo_classes(&read(&class_file, LARGEST_YOLO_BYTES)?).map_err(|e| unusable(&class_file, &e))?;
        let label_files: HashSet<PathBuf> =
            files_with(labels, &["txt"])?.into_iter().filter(|file| *file != class_file).collect();
        let (mut marked, mut unlabelled) = (Vec::new(), 0);
        for path in photos {
            let mut name = path.file_stem().unwrap_or_default().to_owned();
            name.push(".txt");
            let file = labels.join(name);
            let boxes = if label_files.contains(&file) {
                yolo_boxes(&read(&file, LARGEST_YOLO_BYTES)?, classes.len()).map_err(|e| unusable(&file, &e))?
            } else {
                unlabelled += 1;
                Vec::new()
            };
            marked.push(MarkedPhoto { path, marks: Marks::Yolo(boxes) });
        }
        if unlabelled == marked.len() {
            bail!(
                "No photo in {} has a label file of its name in {}; name the folder with YOLO's .txt files, or COCO's JSON file.",
                images.display(),
                labels.display()
            );
        }
        let absent = label_files.len().saturating_sub(marked.len() - unlabelled);
        Ok(Self { classes, photos: marked, unlabelled, unlisted: 0, absent })
    }
}

/// The file with the names of YOLO's classes.
fn class_file(labels: &Path, names: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(names) = names {
        return Ok(names.to_owned());
    }
    let places = [labels.join(CLASS_FILE), labels.join("..").join(CLASS_FILE)];
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        anyhow!(
            "The label files in {} number their classes, and nothing names them: put the names, one a line, into {}, or name such a file with --names.",
            labels.display(),
            labels.join(CLASS_FILE).display()
        )
    })
}

fn unusable(file: &Path, reason: &GroundTruthError) -> anyhow::Error {
    anyhow!("Cannot use {}: {reason}.", file.display())
}

/// The bytes of a regular file, unless it has more than `most`.
fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let unreadable =
        |error: &io::Error| format!("Cannot read {}: {error}; check the path and its permissions.", path.display());
    let found = fs::metadata(path).map_err(|error| anyhow!(unreadable(&error)))?;
    if !found.is_file() {
        bail!("Cannot read {}: it is not a file; name one.", path.display());
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large, or grew meanwhile.
    let file = File::open(path).map_err(|error| anyhow!(unreadable(&error)))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| anyhow!(unreadable(&error)))?;
    if bytes.len() as u64 > most {
        bail!("Cannot read {}: it has more than {most} bytes; split it.", path.display());
    }
    Ok(bytes)
}
