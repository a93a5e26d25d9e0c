//! Bundles: a folder with a model and what is needed to use it.
//!
//! The native form is AutoML Vision Edge's: `model.tflite`, `dict.txt`, `tflite_metadata.json`, the last with a `lookhear`
//! object where the bundle is ours. What the model says wins over what files say; each decision leaves a note, each
//! contradiction a warning.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::check::{CheckError, LARGEST_MODEL_BYTES, ModelSummary, check};
use super::dictionary::{DictionaryError, LARGEST_DICTIONARY_BYTES, labels_from, without_background};
use super::metadata::{
    DEFAULT_THRESHOLD, Decision, Description, DetectionDescription, FrontEnd, Head, LARGEST_METADATA_BYTES, Metadata,
    MetadataError, Normalisation, Resize,
};
use crate::findings::Label;

/// A model, and all that is known about how to use it.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The folder's name, or the file's without its ending; for messages.
    pub name: String,
    /// What was opened: a folder, or a model file.
    pub path: PathBuf,
    /// The model's file.
    pub model_path: PathBuf,
    /// The model's bytes, checked.
    pub model: Arc<[u8]>,
    /// What they hold.
    pub summary: ModelSummary,
    /// The name of each class, by the number that the model gives it; a background that the model does not count is left
    /// out.
    pub labels: Vec<Label>,
    /// Other names of labels, as public data sets have them; each value is one of [`Bundle::labels`].
    pub also_called: BTreeMap<String, Label>,
    /// What it is for.
    pub task: Task,
    /// How each thing was decided.
    pub notes: Vec<String>,
    /// What contradicts the model or is missing, and what was taken instead.
    pub warnings: Vec<String>,
    /// The metadata as it is written; empty if there is none.
    pub metadata: Metadata,
}

/// What a bundle is for, and how it is used.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Finds objects in pictures.
    Detection {
        /// What the outputs mean.
        head: Head,
        /// From pixels to a float input; integer inputs take pixels as they are.
        normalisation: Normalisation,
        /// From the picture's size to the input's.
        resize: Resize,
        /// The least score worth showing, 0…1.
        threshold: f32,
    },
    /// Finds words in sound.
    Keywords {
        /// From samples to the input.
        front_end: FrontEnd,
        /// From scores to a decision.
        decision: Decision,
    },
    /// Nothing that can be told from the bundle.
    Unknown,
}

impl Task {
    /// The task's name: "detection".
    pub fn name(&self) -> &'static str {
        match self {
            Self::Detection { .. } => "detection",
            Self::Keywords { .. } => "keywords",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a bundle cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file or folder cannot be read.
    #[error("Cannot read {}: {source}; check the path and its permissions.", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder does not hold exactly one of something.
    #[error("The folder {} has {found} {what}; {remedy}.", path.display())]
    Choice {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What is there: "no", or names.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A file is larger than any of its kind.
    #[error("Cannot use {}: it has {found} bytes, and the limit is {most}; take a smaller one.", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The limit in bytes.
        most: u64,
    },
    /// The model is none that can be run.
    #[error("Cannot use {}: {source}.", path.display())]
    Model {
        /// The model's file.
        path: PathBuf,
        /// Why.
        source: CheckError,
    },
    /// The metadata cannot be used.
    #[error("Cannot use {}: {source}.", path.display())]
    Metadata {
        /// The metadata's file.
        path: PathBuf,
        /// Why.
        source: MetadataError,
    },
    /// The dictionary cannot be used.
    #[error("Cannot use {}: {source}.", path.display())]
    Dictionary {
        /// The dictionary's file.
        path: PathBuf,
        /// Why.
        source: DictionaryError,
    },
    /// The description does not fit the model.
    #[error("The metadata of {} does not fit its model: {reason}; correct the metadata.", path.display())]
    Description {
        /// What was opened.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
}

const MODEL: &str = "model.tflite";
const DICTIONARY: &str = "dict.txt";
const METADATA: &str = "tflite_metadata.json";

/// The files that a bundle consists of.
#[derive(Debug)]
struct Files {
    model: PathBuf,
    dictionary: Option<PathBuf>,
    metadata: Option<PathBuf>,
}

impl Bundle {
    /// Opens the bundle at `path`: a folder in the native form, a folder with one model and one other text file with its
    /// labels, or a model file, beside which labels and metadata are looked for.
    ///
    /// Reads the files and checks the model's bytes; nothing of the model runs.
    ///
    /// # Errors
    /// [`BundleError`]: what is missing, damaged, or does not fit.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let mut notes = Vec::new();
        let files = Files::find(path, &mut notes)?;
        let model: Arc<[u8]> = read(&files.model, LARGEST_MODEL_BYTES)?.into();
        let summary = check(&model).map_err(|source| BundleError::Model { path: files.model.clone(), source })?;
        let metadata = match &files.metadata {
            Some(path) => Metadata::parse(&read(path, LARGEST_METADATA_BYTES)?)
                .map_err(|source| BundleError::Metadata { path: path.clone(), source })?,
            None => Metadata::default(),
        };
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut bundle = Self {
            name,
            path: path.to_owned(),
            model_path: files.model.clone(),
            model,
            summary,
            labels: Vec::new(),
            also_called: BTreeMap::new(),
            task: Task::Unknown,
            notes,
            warnings: Vec::new(),
            metadata,
        };
        bundle.decide_task();
        bundle.check_task()?;
        bundle.decide_labels(files.dictionary.as_deref())?;
        bundle.decide_other_names();
        bundle.compare_hints();
        Ok(bundle)
    }

    /// The SHA-256 of the model's bytes, in hexadecimal.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.model).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn decide_task(&mut self) {
        let described = self.metadata.lookhear.clone();
        let note = match (&described, &self.summary.post_process) {
            (Some(_), _) => "task, normalisation and outputs: as the metadata's `lookhear` object describes them",
            (None, Some(_)) => "task: detection, since the model ends in TFLite_Detection_PostProcess",
            (None, None) => "task: not known; the metadata has no `lookhear` object, and the outputs tell nothing",
        };
        self.notes.push(note.to_owned());
        self.task = match described {
            Some(Description::Detection(DetectionDescription { normalisation, resize, head, threshold, .. })) => {
                Task::Detection { head, normalisation, resize, threshold }
            }
            Some(Description::Keywords(keywords)) => {
                Task::Keywords { front_end: keywords.front_end, decision: keywords.decision }
            }
            None if self.summary.post_process.is_some() => {
                self.notes.push(format!("threshold: {DEFAULT_THRESHOLD}, the default; measure a better one"));
                self.notes.push("resize: stretched, as TensorFlow's detectors are trained".to_owned());
                if self.summary.inputs.iter().any(|input| input.element == super::ElementType::Float32) {
                    self.notes.push("normalisation: −1…1, the default for float inputs of detectors".to_owned());
                }
                Task::Detection {
                    head: Head::PostProcess,
                    normalisation: Normalisation::default(),
                    resize: Resize::Stretch,
                    threshold: DEFAULT_THRESHOLD,
                }
            }
            None => Task::Unknown,
        };
    }

    /// Numbers out of the metadata that nothing later could make sense of.
    fn check_task(&self) -> Result<(), BundleError> {
        let fraction = |value: f32| (0.0..=1.0).contains(&value);
        let reason = match &self.task {
            Task::Detection { normalisation, threshold, .. } => {
                if !(normalisation.mean.is_finite() && normalisation.scale.is_normal()) {
                    Some(format!("it normalises by {} and {}", normalisation.mean, normalisation.scale))
                } else if !fraction(*threshold) {
                    Some(format!("its threshold is {threshold}"))
                } else {
                    None
                }
            }
            Task::Keywords { decision, .. } => {
                let mut thresholds = decision.thresholds.values().chain([&decision.threshold]);
                if let Some(threshold) = thresholds.find(|threshold| !fraction(**threshold)) {
                    Some(format!("a threshold is {threshold}"))
                } else if decision.smoothing == 0 || decision.step_ms == 0 {
                    Some("smoothing and step of its decision must be at least 1".to_owned())
                } else {
                    None
                }
            }
            Task::Unknown => None,
        };
        reason.map_or(Ok(()), |reason| Err(BundleError::Description { path: self.path.clone(), reason }))
    }

    fn decide_labels(&mut self, dictionary: Option<&Path>) -> Result<(), BundleError> {
        let classes = self.classes();
        let Some(path) = dictionary else {
            let instead =
                if classes.is_some() { "the labels are the numbers of the classes" } else { "there are no labels" };
            self.warnings.push(format!("There is no dictionary: {instead}."));
            self.labels = (0..classes.unwrap_or(0)).map(|class| class.to_string().into()).collect();
            return Ok(());
        };
        let wrong = |source| BundleError::Dictionary { path: path.to_owned(), source };
        let lines = labels_from(&read(path, LARGEST_DICTIONARY_BYTES)?).map_err(wrong)?;
        let counts_background = matches!(self.task, Task::Keywords { .. })
            || matches!(&self.task, Task::Detection { head: Head::RawSsd(_), .. });
        if counts_background && classes.is_some_and(|classes| classes != lines.len()) {
            let (lines, classes) = (lines.len(), classes.unwrap_or(0));
            return Err(wrong(DictionaryError::Count { lines, classes }));
        }
        let (labels, how) = match self.task {
            Task::Unknown => (lines, "labels: as the dictionary lists them".to_owned()),
            _ => without_background(lines, classes).map_err(wrong)?,
        };
        self.labels = labels;
        self.notes.push(how);
        Ok(())
    }

    fn decide_other_names(&mut self) {
        let Some(Description::Detection(DetectionDescription { also_called, .. })) = &self.metadata.lookhear else {
            return;
        };
        for (other, label) in also_called {
            match self.labels.iter().find(|known| ***known == **label) {
                Some(label) => drop(self.also_called.insert(other.clone(), label.clone())),
                None => self.warnings.push(format!(
                    "The metadata says that \"{other}\" is also called \"{label}\", which is no label: it is left out."
                )),
            }
        }
    }

    /// How many classes the model has; `None` if it does not say.
    fn classes(&self) -> Option<usize> {
        let last_side_of = |name: &str| {
            let output = self.summary.outputs.iter().find(|output| output.name == name)?;
            output.shape.last().copied()
        };
        match &self.task {
            Task::Detection { head: Head::RawSsd(head), .. } => last_side_of(&head.scores),
            Task::Detection { head: Head::PostProcess, .. } => self.summary.post_process.as_ref()?.num_classes,
            Task::Keywords { .. } => self.summary.outputs.first()?.shape.last().copied(),
            Task::Unknown => None,
        }
    }

    /// What the metadata says of the model's own matters is only compared: the model decides.
    fn compare_hints(&mut self) {
        if let (Some(said), Some(input)) = (&self.metadata.input_shape, self.summary.inputs.first())
            && *said != input.shape
        {
            let warning =
                format!("The metadata says that the input is {said:?}, the model {:?}: the model counts.", input.shape);
            self.warnings.push(warning);
        }
        for said in &self.metadata.output_tensors {
            if !self.summary.outputs.iter().any(|output| output.name == *said) {
                self.warnings.push(format!("The metadata names the output {said}, which the model does not have."));
            }
        }
    }
}

impl Files {
    fn find(path: &Path, notes: &mut Vec<String>) -> Result<Self, BundleError> {
        let unreadable = |source| BundleError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            Self::in_folder(path, notes)
        } else {
            Self::beside(path, notes)
        }
    }

    fn in_folder(folder: &Path, notes: &mut Vec<String>) -> Result<Self, BundleError> {
        let names = file_names(folder)?;
        let has = |name: &str| names.iter().any(|found| found == name).then(|| folder.join(name));
        let model = match has(MODEL) {
            Some(model) => model,
            None => match with_ending(&names, "tflite").as_slice() {
                [] => {
                    let remedy = "name a folder with a TensorFlow Lite model, exported as TF Lite";
                    let path = folder.to_owned();
                    return Err(BundleError::Choice {
                        path,
                        what: "TensorFlow Lite model",
                        found: "no".to_owned(),
                        remedy,
                    });
                }
                [model] => folder.join(model),
                several => {
                    let remedy = "name the one that is meant";
                    let (path, found) = (folder.to_owned(), several.join(", "));
                    return Err(BundleError::Choice { path, what: "as models", found, remedy });
                }
            },
        };
        let dictionary = match has(DICTIONARY) {
            Some(dictionary) => Some(dictionary),
            None => only_dictionary(folder, &names)?,
        };
        let files = Self { model, dictionary, metadata: has(METADATA).or_else(|| only_metadata(folder, &names)) };
        files.note(notes);
        Ok(files)
    }

    /// The files of a model that was named itself. What lies beside it is its own only if there is no choice.
    fn beside(model: &Path, notes: &mut Vec<String>) -> Result<Self, BundleError> {
        let folder = match model.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let names = file_names(folder)?;
        let only_model = with_ending(&names, "tflite").len() <= 1;
        let has = |name: &str| names.iter().any(|found| found == name).then(|| folder.join(name));
        let dictionary = has(DICTIONARY).or_else(|| only_dictionary(folder, &names).unwrap_or(None));
        let metadata = has(METADATA).or_else(|| only_metadata(folder, &names));
        let files = Self {
            model: model.to_owned(),
            dictionary: dictionary.filter(|_| only_model),
            metadata: metadata.filter(|_| only_model),
        };
        files.note(notes);
        Ok(files)
    }

    fn note(&self, notes: &mut Vec<String>) {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        notes.push(format!("model: {}", name(&self.model)));
        for (what, path) in [("dictionary", &self.dictionary), ("metadata", &self.metadata)] {
            notes.push(path.as_deref().map_or(format!("{what}: none"), |path| format!("{what}: {}", name(path))));
        }
    }
}

/// Text files that lie beside models and are no dictionaries.
const NO_DICTIONARIES: [&str; 5] = ["readme", "license", "licence", "notice", "source"];

/// The only text file that may be a dictionary; `None` if there is none.
fn only_dictionary(folder: &Path, names: &[String]) -> Result<Option<PathBuf>, BundleError> {
    let mut texts = with_ending(names, "txt");
    texts.retain(|name| !NO_DICTIONARIES.iter().any(|other| name.to_lowercase().starts_with(other)));
    match texts.as_slice() {
        [] => Ok(None),
        [text] => Ok(Some(folder.join(text))),
        several => {
            let remedy = "name the right one dict.txt";
            let (path, found) = (folder.to_owned(), several.join(", "));
            Err(BundleError::Choice { path, what: "as dictionaries", found, remedy })
        }
    }
}

/// The only file whose name ends as AutoML's metadata do once a user has put something in front.
fn only_metadata(folder: &Path, names: &[String]) -> Option<PathBuf> {
    let mut found = names.iter().filter(|name| name.ends_with(METADATA));
    let only = found.next().filter(|_| found.next().is_none());
    only.map(|name| folder.join(name))
}

fn with_ending<'a>(names: &'a [String], ending: &str) -> Vec<&'a str> {
    let ends = |name: &&String| Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    names.iter().filter(ends).map(String::as_str).collect()
}

/// Files in a folder beyond which it is no bundle.
const MOST_FILES: usize = 10_000;

/// The names of a folder's files, sorted, so that a choice among them does not depend on the file system.
fn file_names(folder: &Path) -> Result<Vec<String>, BundleError> {
    let unreadable = |source| BundleError::Read { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)?.take(MOST_FILES) {
        let entry = entry.map_err(unreadable)?;
        if let (true, Ok(name)) = (entry.path().is_file(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The bytes of a regular file, unless it has more than `most`.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, BundleError> {
    let unreadable = |source| BundleError::Read { path: path.to_owned(), source };
    let found = fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")));
    }
    let mut bytes = Vec::with_capacity(found.len().min(most) as usize);
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than allowed tells a file that grew meanwhile.
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        let found = found.len().max(bytes.len() as u64);
        return Err(BundleError::TooLarge { path: path.to_owned(), found, most });
    }
    Ok(bytes)
}
