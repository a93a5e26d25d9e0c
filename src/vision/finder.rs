//! Objects in one picture.

use crate::findings::{Detection, Label};
use crate::media::{FrameError, RgbView};
use crate::model::{Bundle, Delegate, Engine, EngineError, EngineOptions, Head, Reals, Task};

use super::ObjectsConfig;
use super::boxes::{Candidate, sort, suppress};
use super::postprocess_head::PostProcessHead;
use super::preprocess::Preprocess;
use super::ssd_head::SsdHead;

/// Why nothing can be detected.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// The bundle is for something else.
    #[error("The bundle {bundle} finds no objects (its task is {task}); name one that does.")]
    Task {
        /// The bundle's name.
        bundle: String,
        /// What it is for.
        task: &'static str,
    },
    /// The model's inputs or outputs are not what its description says.
    #[error("The model of {bundle} cannot be used as a detector: {reason}; correct its metadata, or take another.")]
    Head {
        /// The bundle's name.
        bundle: String,
        /// What does not fit.
        reason: String,
    },
    /// A label of the configuration is none of the model's.
    #[error(
        "The model of {bundle} has no label \"{label}\"; the nearest is \"{nearest}\" (`lookhear model inspect` lists all)."
    )]
    Label {
        /// The bundle's name.
        bundle: String,
        /// What the configuration says.
        label: String,
        /// What it may have meant.
        nearest: Label,
    },
    /// A number of the configuration is out of its range.
    #[error("objects.{key} is {value}, and must be in 0…1; change it.")]
    Setting {
        /// Which.
        key: String,
        /// What it is.
        value: f32,
    },
    /// The picture cannot be brought to the model's input.
    #[error("A picture of {width}×{height} cannot be looked at: {reason}.")]
    Picture {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// Why.
        reason: String,
    },
    /// The frame has no picture.
    #[error("Frame {sequence} cannot be looked at: {source}.")]
    Frame {
        /// Its number.
        sequence: u64,
        /// Why.
        source: FrameError,
    },
    /// The model does not load or run.
    #[error("The detector's model does not work: {0}.")]
    Engine(#[from] EngineError),
}

/// Finds the objects in pictures, one after the other, with one model.
///
/// - **allocates**: in [`ObjectFinder::new`] and with the first picture of a size
/// - **threads**: those of the engine
#[derive(Debug)]
pub struct ObjectFinder {
    engine: Engine,
    preprocess: Preprocess,
    head: Reader,
    labels: Vec<Label>,
    smallest: f32,
    /// Reused from picture to picture.
    candidates: Vec<Candidate>,
    dropped: u64,
}

#[derive(Debug)]
enum Reader {
    Ssd(SsdHead),
    PostProcess(PostProcessHead),
}

impl ObjectFinder {
    /// Loads the bundle's model and checks that it, its description and `config` fit each other. `config.bundle` is not looked
    /// at: the caller has opened it.
    ///
    /// # Errors
    /// [`DetectorError`]: what does not fit.
    pub fn new(config: &ObjectsConfig, bundle: &Bundle) -> Result<Self, DetectorError> {
        let name = || bundle.name.clone();
        let Task::Detection { head, normalisation, resize, threshold } = &bundle.task else {
            return Err(DetectorError::Task { bundle: name(), task: bundle.task.name() });
        };
        let unfit = |reason: String| DetectorError::Head { bundle: name(), reason };
        if bundle.labels.is_empty() {
            return Err(unfit("it has no labels, and does not say how many classes it has".to_owned()));
        }
        let thresholds = config.thresholds_of(bundle, *threshold)?;
        let options = EngineOptions { threads: config.threads, accelerate: config.accelerate };
        let mut engine = Engine::load(bundle.model.clone(), options)?;
        let [input] = engine.inputs() else {
            return Err(unfit(format!("it has {} inputs, and one picture to take", engine.inputs().len())));
        };
        let preprocess = Preprocess::new(input, *normalisation, *resize).map_err(unfit)?;
        let head = match head {
            Head::RawSsd(head) => Reader::Ssd(SsdHead::new(head, engine.outputs(), &thresholds).map_err(unfit)?),
            Head::PostProcess => {
                Reader::PostProcess(PostProcessHead::new(bundle, &mut engine, &thresholds).map_err(unfit)?)
            }
        };
        let labels = bundle.labels.clone();
        Ok(Self { engine, preprocess, head, labels, smallest: config.smallest, candidates: Vec::new(), dropped: 0 })
    }

    /// The same finder, which reports up to `most` objects a picture where its head is ours to read. A model that ends in
    /// `TFLite_Detection_PostProcess` has its own limit.
    #[must_use]
    pub fn with_max_detections(mut self, most: usize) -> Self {
        if let Reader::Ssd(head) = &mut self.head {
            head.max_detections = most;
        }
        self
    }

    /// Looks at one picture: [`ObjectFinder::prepare`], [`ObjectFinder::infer`], [`ObjectFinder::read`].
    ///
    /// - **out**: `found`, cleared first: what reaches its label's threshold, the surest first
    ///
    /// # Errors
    /// [`DetectorError::Picture`] or [`DetectorError::Engine`]; `found` is empty then.
    pub fn find(&mut self, rgb: RgbView<'_>, found: &mut Vec<Detection>) -> Result<(), DetectorError> {
        found.clear();
        self.prepare(rgb)?;
        self.infer()?;
        self.read(found)
    }

    /// Brings one picture to the model's input.
    ///
    /// # Errors
    /// [`DetectorError::Picture`] if the picture is none.
    pub fn prepare(&mut self, rgb: RgbView<'_>) -> Result<(), DetectorError> {
        self.preprocess.fill(rgb, &mut self.engine)
    }

    /// Runs the model over the picture that was brought to its input last.
    ///
    /// # Errors
    /// [`DetectorError::Engine`].
    pub fn infer(&mut self) -> Result<(), DetectorError> {
        Ok(self.engine.invoke()?)
    }

    /// Reads what the model gave last.
    ///
    /// - **out**: as of [`ObjectFinder::find`]
    ///
    /// # Errors
    /// [`DetectorError::Engine`]; `found` is empty then.
    pub fn read(&mut self, found: &mut Vec<Detection>) -> Result<(), DetectorError> {
        found.clear();
        self.candidates.clear();
        let dropped = match &self.head {
            Reader::Ssd(head) => {
                let (boxes, scores) = (Reals::of(&self.engine, head.boxes)?, Reals::of(&self.engine, head.scores)?);
                let dropped = head.read(boxes, scores, &mut self.candidates);
                suppress(&mut self.candidates, head.nms_iou, head.max_detections);
                dropped
            }
            Reader::PostProcess(head) => {
                let dropped = head.read(&self.engine, &mut self.candidates)?;
                sort(&mut self.candidates);
                dropped
            }
        };
        self.dropped += dropped as u64;
        let large = self.candidates.iter().filter(|candidate| candidate.bounds.area() >= self.smallest);
        // A head gives no class that has no label: it has one threshold for each.
        found.extend(large.filter_map(|&Candidate { class, score, bounds }| {
            Some(Detection { label: self.labels.get(class)?.clone(), score, bounds })
        }));
        Ok(())
    }

    /// Width and height of the model's input in pixels.
    pub fn input_size(&self) -> (u32, u32) {
        self.preprocess.size()
    }

    /// How many results of the model were dropped so far because they were no finite numbers or no class of its own.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whose kernels run the model.
    pub fn delegate(&self) -> Delegate {
        self.engine.delegate()
    }

    /// How many threads run the model.
    pub fn threads(&self) -> usize {
        self.engine.threads()
    }
}
