//! Who is joined to whom: the only file that knows everybody.
//!
//! ```text
//!  camera ──▶ detector ──▶┐        ┌──▶ event log
//!       ├──▶ preview ◀─┐  │  hub ──┼──▶ recording, preview
//!       └──▶ recording │  │        └──▶ terminal
//!  microphone ─▶ listener ▶┘
//! ```
//! Two crews: the *workers* (sources and their readers) end by themselves when the sources do; then the ledger is
//! published, the hub closes, and the *sinks* flush what is left.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::camera::{Camera, CameraError};
use crate::config::{Config, find_data};
use crate::findings::{Account, Event, EventKind};
use crate::flow::{
    Crew, Demand, EdgeCounts, Hub, Ledger, Pace, Publisher, Report, Restart, RingReader, RingWriter, Stage, StageError,
    Stop, Timed, WayTimes, Writer, handover, ring,
};
use crate::media::{Frame, MediaTime, SAMPLE_RATE_HZ, WallTime};
use crate::microphone::{Microphone, MicrophoneError};
use crate::model::{Bundle, BundleError, Task};
use crate::output::{Ear, EventLog, FeatureAxis, Preview, PreviewWays, Recording, SinkError, Terminal};
use crate::speech::{Listener, ListenerError};
use crate::vision::{Audience, Detector, DetectorError};

/// Two seconds of sound: what a listener may fall behind before samples are lost.
const RING_SAMPLES: usize = 2 * SAMPLE_RATE_HZ as usize;

/// The reader of frames that finds something in them, as the ledger names it.
const DETECTOR: &str = "detector";
/// The reader of samples that finds something in them.
const LISTENER: &str = "listener";

impl Timed for Event {
    type Time = MediaTime;
    fn time(&self) -> MediaTime {
        self.time
    }
}

/// Why a pipeline could not be built or run.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum PipelineError {
    /// There is nothing to look at and nothing to hear.
    #[error("There is neither a camera nor a microphone to work with: name a source, or unplug the `none`.")]
    NoSource,
    /// A bundle.
    Bundle(#[from] BundleError),
    /// The camera.
    Camera(#[from] CameraError),
    /// The microphone.
    Microphone(#[from] MicrophoneError),
    /// The detector.
    Detector(#[from] DetectorError),
    /// The listener.
    Listener(#[from] ListenerError),
    /// The event log, the recording or the preview.
    Sink(#[from] SinkError),
    /// The system has no thread left.
    #[error("Cannot start a thread: {0}; close other programs.")]
    Thread(#[from] std::io::Error),
}

/// The models that a configuration asks for.
#[derive(Debug, Default)]
pub struct Bundles {
    /// For the detector.
    pub objects: Option<Bundle>,
    /// For the spotter.
    pub keywords: Option<Bundle>,
}

impl Bundles {
    /// Opens what `config` names and its sources need.
    ///
    /// # Errors
    /// Why a bundle cannot be read.
    pub fn open(config: &Config) -> Result<Self, PipelineError> {
        let open = |wanted: bool, path: &Path| {
            let wanted = wanted && path != Path::new("none");
            wanted.then(|| Bundle::open(&find_data(path))).transpose()
        };
        Ok(Self {
            objects: open(!config.camera.is_none(), &config.objects.bundle)?,
            keywords: open(!config.microphone.is_none(), &config.keywords.bundle)?,
        })
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct Summary {
    /// The stages that failed for good, with the reason.
    pub failures: Vec<(&'static str, String)>,
    /// The counts of every edge.
    pub ledger: Vec<EdgeCounts>,
    /// The times of every way.
    pub times: Vec<WayTimes>,
}

/// A pipeline, ready to run.
pub struct Pipeline {
    ledger: Ledger,
    stop: Stop,
    epoch: Instant,
    pace: Pace,
    /// Whether a source belongs to the clock of the world.
    live: bool,
    workers: Vec<Box<dyn Stage>>,
    sinks: Vec<Box<dyn Stage>>,
    /// For news of the program itself: what is lost, found, and the ledger.
    news: [Publisher<Event>; 2],
}

impl Pipeline {
    /// Joins everybody that `config` asks for; opens no device yet.
    ///
    /// # Errors
    /// What can be known to be wrong before a device is opened.
    pub fn build(config: &Config, bundles: &Bundles, stop: &Stop) -> Result<Self, PipelineError> {
        if config.camera.is_none() && config.microphone.is_none() {
            return Err(PipelineError::NoSource);
        }
        let (ledger, epoch) = (Ledger::new(), Instant::now());
        // Pace belongs to the sources: one that is live makes everybody follow the clock.
        let live = config.camera.is_live() || config.microphone.is_live();
        let pace = if live { Pace::Live } else { config.run.pace.into() };
        let mut hub = Hub::new(pace, &ledger);
        let mut frames = FrameWriters { pace, ledger: &ledger, has_camera: !config.camera.is_none(), writers: vec![] };
        let mut sound =
            SoundWriters { pace, ledger: &ledger, has_sound: !config.microphone.is_none(), writers: vec![] };
        let mut workers: Vec<Box<dyn Stage>> = Vec::new();
        let mut sinks: Vec<Box<dyn Stage>> = Vec::new();

        let opening = Preview::wanted(&config.preview)?;
        let mut ear = None;
        // The detector is first, so that a recording never waits for detections of a frame it has not been given.
        if let Some(bundle) = &bundles.objects
            && let Some(reader) = frames.reader(DETECTOR)
        {
            let shown = config.recording.file.is_some() || opening.is_some();
            let audience = if shown { Audience::Shared } else { Audience::Alone };
            let detector = Detector::new(&config.objects, bundle, reader, hub.publisher(DETECTOR), live, audience)?;
            workers.push(Box::new(detector.timed(ledger.way("capture → result"))));
        }
        if let Some(samples) = sound.reader(LISTENER) {
            let findings = hub.publisher(LISTENER);
            let mut listener = Listener::new(&config.keywords, bundles.keywords.as_ref(), samples, findings, live)?;
            if opening.is_some()
                && let Some(axis) = bundles.keywords.as_ref().and_then(feature_axis)
            {
                // Even a complete run waits for no window.
                let (writer, pictures) = handover(Pace::Live, ledger.edge("listener → preview"));
                let demand = Demand::default();
                listener = listener.shown(writer, demand.clone());
                ear = Some(Ear { pictures, demand, axis });
            }
            workers.push(Box::new(listener));
        }
        match &config.events.file {
            Some(file) => sinks.push(Box::new(EventLog::new(file, hub.subscribe("event log", true))?)),
            None => sinks.push(Box::new(Terminal::new(hub.subscribe("terminal", true)))),
        }
        if let Some(file) = &config.recording.file {
            let (frames, samples) = (frames.reader("recording"), sound.reader("recording"));
            let detects = bundles.objects.is_some();
            sinks.push(Box::new(Recording::new(
                file,
                frames,
                samples,
                hub.subscribe("recording", true),
                pace,
                detects,
            )?));
        }
        if let Some(opening) = opening {
            let (frames, findings) = (frames.reader("preview"), hub.subscribe("preview", false));
            let ways = PreviewWays {
                picture: ledger.way("capture → picture in the window"),
                boxes: ledger.way("capture → boxes in the window"),
            };
            let preview = Preview::new(&config.preview, opening, frames, findings)?.timed(ways);
            sinks.push(Box::new(match ear {
                Some(ear) => preview.hearing(ear),
                None => preview,
            }));
        }
        if !config.camera.is_none() {
            workers.push(Box::new(Camera::new(&config.camera, pace, epoch, frames.writers)?));
        }
        if !config.microphone.is_none() {
            workers.push(Box::new(Microphone::new(&config.microphone, pace, epoch, sound.writers)?));
        }
        let news = [hub.aside("supervisor"), hub.aside("ledger")];
        sinks.push(Box::new(Relay(Some(hub))));
        Ok(Self { ledger, stop: stop.clone(), epoch, pace, live, workers, sinks, news })
    }

    /// The counts of every edge and the times of every way, which go on while the pipeline runs.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Runs until the sources end or somebody asks to stop, and no longer than `deadline` after that.
    ///
    /// # Errors
    /// [`PipelineError::Thread`].
    pub fn run(self, deadline: Duration) -> Result<Summary, PipelineError> {
        let Self { ledger, stop, epoch, pace, live, workers, sinks, news: [supervisor, last_word] } = self;
        let news = move |kind| Event { time: epoch.elapsed().into(), at: live.then(WallTime::now), kind };

        let mut sink_crew = Crew::new(&stop, Restart::default(), |part, report| log(part, &report));
        for sink in sinks {
            sink_crew.spawn(sink)?;
        }
        let sink_crew = std::thread::Builder::new().name("sinks".to_owned()).spawn(move || sink_crew.wait(deadline))?;
        let mut crew = Crew::new(&stop, Restart::default(), move |part, report| {
            log(part, &report);
            supervisor.publish(news(event_kind(part, report)));
        });
        for worker in workers {
            crew.spawn(worker)?;
        }
        let mut failures = crew.wait(deadline);

        // The sinks' edges are still at work, so their counts would differ from run to run.
        let ended = |edge: &EdgeCounts| edge.edge.ends_with(DETECTOR) || edge.edge.ends_with(LISTENER);
        let accounts = ledger.summary().into_iter().filter(ended).map(account).collect();
        // Of a complete run the log is the same byte for byte, so its end must not tell how long the machine took.
        let time = if pace == Pace::Live { epoch.elapsed().into() } else { MediaTime::ZERO };
        last_word.publish(Event { time, ..news(EventKind::Ledger(accounts)) });
        drop(last_word);
        failures.extend(sink_crew.join().unwrap_or_default());
        Ok(Summary { failures, ledger: ledger.summary(), times: ledger.times() })
    }
}

/// What the rows of the features are that the spotter of `bundle` looks at.
fn feature_axis(bundle: &Bundle) -> Option<FeatureAxis> {
    match &bundle.task {
        Task::Keywords { front_end, .. } => Some(FeatureAxis::of(front_end)),
        _ => None,
    }
}

/// The writers that the camera gets, one for each that wants frames.
struct FrameWriters<'a> {
    pace: Pace,
    ledger: &'a Ledger,
    has_camera: bool,
    writers: Vec<Writer<Frame>>,
}

impl FrameWriters<'_> {
    fn reader(&mut self, name: &str) -> Option<crate::flow::Reader<Frame>> {
        self.has_camera.then(|| {
            let (writer, reader) = handover(self.pace, self.ledger.edge(&format!("camera → {name}")));
            self.writers.push(writer);
            reader
        })
    }
}

/// The writers that the microphone gets, one for each that wants samples.
struct SoundWriters<'a> {
    pace: Pace,
    ledger: &'a Ledger,
    has_sound: bool,
    writers: Vec<RingWriter<f32>>,
}

impl SoundWriters<'_> {
    fn reader(&mut self, name: &str) -> Option<RingReader<f32>> {
        self.has_sound.then(|| {
            let edge = self.ledger.edge(&format!("microphone → {name}"));
            let (writer, reader) = ring(RING_SAMPLES, self.pace, edge);
            self.writers.push(writer);
            reader
        })
    }
}

/// The hub's thread.
struct Relay(Option<Hub<Event>>);

impl Stage for Relay {
    fn name(&self) -> &'static str {
        "hub"
    }
    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        if let Some(hub) = self.0.take() {
            hub.run(stop);
        }
        Ok(())
    }
}

fn account(edge: EdgeCounts) -> Account {
    let EdgeCounts { edge, counts } = edge;
    Account { edge, delivered: counts.delivered, used: counts.used, skipped: counts.skipped, lost: counts.lost }
}

fn event_kind(part: &'static str, report: Report) -> EventKind {
    match report {
        Report::Failed { reason, retry_in } => {
            EventKind::Lost { part, reason, retry_in_s: retry_in.map(|wait| wait.as_secs_f64()) }
        }
        Report::Stalled(silent) => {
            let reason = format!("it has not been seen at work for {} s", silent.as_secs());
            EventKind::Lost { part, reason, retry_in_s: None }
        }
        Report::Recovered => EventKind::Found { part },
    }
}

/// Each report once, as a line for people.
fn log(part: &'static str, report: &Report) {
    match report {
        Report::Failed { reason, retry_in: Some(wait) } => {
            tracing::warn!("{part}: {reason} It is tried again, first in {:.1} s.", wait.as_secs_f64());
        }
        Report::Failed { reason, retry_in: None } => tracing::error!("{part}: {reason}"),
        Report::Stalled(silent) => tracing::warn!("{part}: not seen at work for {} s.", silent.as_secs()),
        Report::Recovered => tracing::info!("{part}: works again."),
    }
}
