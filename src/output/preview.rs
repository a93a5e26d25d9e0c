//! The preview: the newest frame with the newest scene over it, for the window.
//!
//! On request it shows what is heard as well.
//!
//! Never waits for the window: it puts each finished picture where the window's process finds it. Composes nothing
//! while there is no window.

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::SinkError;
use super::canvas::{Canvas, Colour, Pixel};
use super::draw::{Overlay, Painter, SoundView, Status};
use super::feature_axis::FeatureAxis;
use super::picture::{Scaler, fitted, window_pixels};
use super::rate::Rate;
use super::supervisor::{Opening, Supervisor, Wish};
use crate::findings::{Event, EventKind, Scene, SoundPicture};
use crate::flow::{Demand, Either, Next, Reader, Stage, StageError, Stop, Subscriber, Way};
use crate::media::{Frame, LARGEST_SIDE, MediaTime, Pooled};

/// The longest time without a new drawing: it moves the level meter, and lets old commands go.
const TICK: Duration = Duration::from_millis(50);
/// The window gets the size of the first picture, so that of a camera is awaited, but no longer than most take.
const FIRST_PICTURE_WITHIN: Duration = Duration::from_secs(3);
/// Where there is no picture.
const PANEL: Colour = [24, 26, 32];
const PANEL_SIZE: (u32, u32) = (640, 480);

/// Whether there is a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PreviewMode {
    /// A window where there is a display.
    #[default]
    Auto,
    /// A window; it is an error if there is no display.
    Window,
    /// No window.
    None,
}

/// The preview's part of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewConfig {
    /// Whether there is a window; default `auto`.
    pub mode: PreviewMode,
    /// Wider pictures are made smaller for the window, in pixels, 1…8192; default 1280.
    pub largest_width: u32,
    /// Higher pictures are made smaller for the window, in pixels, 1…8192; default 720.
    pub largest_height: u32,
    /// The folder for screenshots; default the current one.
    pub screenshots: PathBuf,
}

impl Default for PreviewConfig {
    fn default() -> Self {
        let screenshots = PathBuf::from(".");
        Self { mode: PreviewMode::Auto, largest_width: 1280, largest_height: 720, screenshots }
    }
}

/// How long it takes from a frame's capture until the window can show it.
#[derive(Clone, Debug, Default)]
pub struct PreviewWays {
    /// Until its picture is handed to the window.
    pub picture: Way,
    /// Until what was seen in it is handed to the window.
    pub boxes: Way,
}

/// Where the preview learns what is heard; see [`Preview::hearing`].
#[derive(Debug)]
pub struct Ear {
    /// The newest picture of the sound.
    pub pictures: Reader<Pooled<SoundPicture>>,
    /// Told whether anybody looks at them.
    pub demand: Demand,
    /// What the rows of the pictures are.
    pub axis: FeatureAxis,
}

/// A stage that shows what is seen and heard.
///
/// It draws each frame as it comes, and once more when the detections of just this frame come, so that a fast detector's
/// boxes do not wait for the next frame. One that is slower than the camera has its boxes drawn with the next.
///
/// - **waits for**: frames and findings, 50 ms at most
/// - **skips**: frames that are replaced before it comes to them; frames that are no picture
/// - **allocates**: when a picture is larger than any before, and when the window is started
/// - **ends**: with the hub, or on request; asks everybody to stop when the user closes the window
#[derive(Debug)]
pub struct Preview {
    opening: Opening,
    largest: (u32, u32),
    frames: Option<Reader<Frame>>,
    findings: Subscriber<Event>,
    ear: Option<Ear>,
    painter: Painter,
    ways: PreviewWays,
}

impl Preview {
    /// How to open a window, if `config` wants one and there is a display.
    ///
    /// # Errors
    /// [`SinkError::NoDisplay`] if a window must be and cannot; [`SinkError::Write`] if the folder for screenshots is
    /// not there.
    pub fn wanted(config: &PreviewConfig) -> Result<Option<Opening>, SinkError> {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        match (config.mode, set("WAYLAND_DISPLAY") || set("DISPLAY")) {
            (PreviewMode::None, _) => return Ok(None),
            (PreviewMode::Window, false) => return Err(SinkError::NoDisplay),
            (PreviewMode::Auto, false) => {
                tracing::info!("There is no display: no window is opened (--preview none says so in advance).");
                return Ok(None);
            }
            (_, true) => {}
        }
        let folder = config.screenshots.clone();
        let write = |source| SinkError::Write { target: folder.clone(), source };
        if !folder.is_dir() {
            return Err(write(std::io::ErrorKind::NotFound.into()));
        }
        let program = env::current_exe().map_err(write)?;
        Ok(Some(Opening { program, arguments: vec!["__window".into()], environment: Vec::new(), folder }))
    }

    /// Shows `frames`, if there is a camera, with what comes from `findings`, in a window that `opening` opens.
    ///
    /// # Errors
    /// [`SinkError::Font`].
    pub fn new(
        config: &PreviewConfig,
        opening: Opening,
        frames: Option<Reader<Frame>>,
        findings: Subscriber<Event>,
    ) -> Result<Self, SinkError> {
        let side = |side: u32| side.clamp(1, LARGEST_SIDE);
        let largest = (side(config.largest_width), side(config.largest_height));
        let (painter, ways) = (Painter::new()?, PreviewWays::default());
        Ok(Self { opening, largest, frames, findings, ear: None, painter, ways })
    }

    /// The same preview, which shows what `ear` gives when the user asks for it by the key `m`.
    #[must_use]
    pub fn hearing(mut self, ear: Ear) -> Self {
        self.ear = Some(ear);
        self
    }

    /// The same preview, which tells `ways` how long they take.
    #[must_use]
    pub fn timed(mut self, ways: PreviewWays) -> Self {
        self.ways = ways;
        self
    }
}

impl Stage for Preview {
    fn name(&self) -> &'static str {
        "preview"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        let room = self.largest.0.max(PANEL_SIZE.0) as usize * self.largest.1.max(PANEL_SIZE.1) as usize;
        let mut window = Supervisor::new(self.opening.clone(), room);
        let mut view = View::new(if self.frames.is_some() { AWAITED } else { "no camera" });
        let mut frames = self.frames.as_ref();
        let mut panel = SoundPanel::new(self.ear.as_ref());
        let mut drawn = Instant::now();
        while !stop.is_requested() {
            let patience = TICK.saturating_sub(drawn.elapsed());
            let next = match frames {
                Some(frames) => frames.next_or(&self.findings, patience, stop),
                None => Either::Second(self.findings.next_within(patience, stop)),
            };
            let mut is_due = match next {
                Either::First(Next::Value(frame)) => {
                    view.take_frame(&frame, self.largest);
                    true
                }
                Either::First(Next::Nothing) => false,
                Either::First(Next::Closed) => {
                    frames = None;
                    false
                }
                Either::Second(Next::Value(event)) => view.take_event(&event),
                Either::Second(Next::Nothing) => false,
                Either::Second(Next::Closed) => return Ok(()),
            };
            while let Some(event) = self.findings.try_next() {
                is_due |= view.take_event(&event);
            }
            match window.look() {
                Wish::Stop => {
                    stop.request();
                    break;
                }
                Wish::ToggleSound => {
                    panel.toggle();
                    is_due = true;
                }
                Wish::GoOn => {}
            }
            panel.take_newest();
            if !is_due && drawn.elapsed() < TICK {
                continue;
            }
            drawn = Instant::now();
            if view.may_still_get_its_size() {
                continue;
            }
            let (width, height) = view.size;
            if let Some(pixels) = window.next(width, height) {
                view.compose(pixels, panel.view(), &mut self.painter);
                window.publish();
                view.handed_over(&self.ways);
            }
        }
        Ok(())
    }
}

/// The panel that shows what is heard, while it is wanted.
#[derive(Debug)]
struct SoundPanel<'e> {
    ear: Option<&'e Ear>,
    is_shown: bool,
    /// The newest picture of the sound, with the time at which it came and by how much it is newer than the one before.
    newest: Option<(Pooled<SoundPicture>, Instant, Duration)>,
}

impl<'e> SoundPanel<'e> {
    /// A panel that is not shown.
    fn new(ear: Option<&'e Ear>) -> Self {
        let mut panel = Self { ear, is_shown: true, newest: None };
        // A preview that failed may have left its demand behind.
        panel.toggle();
        panel
    }

    fn toggle(&mut self) {
        (self.is_shown, self.newest) = (!self.is_shown, None);
        if let Some(ear) = self.ear {
            ear.demand.set(self.is_shown);
        }
    }

    fn take_newest(&mut self) {
        let Some(picture) = self.ear.and_then(|ear| ear.pictures.try_next()) else { return };
        // One that was under way when the panel went would be old when it comes back.
        if self.is_shown {
            let before = self.newest.as_ref().map_or(picture.time(), |(before, ..)| before.time());
            let newer = (picture.time() - before.since_start()).since_start().min(LONGEST_SCROLL);
            self.newest = Some((picture, Instant::now(), newer));
        }
    }

    /// What is to be drawn now. The spotter looks ten times a second; in between, the picture scrolls on to the newest
    /// look, evenly and therefore one look late.
    fn view(&self) -> Option<SoundView<'_>> {
        if !self.is_shown {
            return None;
        }
        Some(match (self.ear, &self.newest) {
            (None, _) => SoundView::Nothing("no microphone, or no model for words"),
            (Some(_), None) => SoundView::Nothing("no sound yet"),
            (Some(Ear { axis, .. }), Some((picture, came, newer))) => {
                let until = picture.time() - newer.saturating_sub(came.elapsed());
                SoundView::Heard { picture, axis, until }
            }
        })
    }
}

/// The picture of the sound lags behind by no more than this, whatever the spotter's step.
const LONGEST_SCROLL: Duration = Duration::from_millis(200);

/// Said in place of a picture that may come.
const AWAITED: &str = "no picture yet";

/// What is shown: the last picture, and what was found.
#[derive(Debug)]
struct View {
    /// The last frame that is a picture: drawn anew when something new is found in it, and kept when the camera goes.
    frame: Option<Frame>,
    size: (u32, u32),
    /// Said in place of a picture.
    notice: Option<&'static str>,
    scaler: Scaler,
    scene: Scene,
    /// The latest time that anybody told.
    now: MediaTime,
    epoch: Instant,
    camera: Rate,
    detector: Rate,
    looked_at: u64,
    /// When the picture was captured, until it is in the window.
    new_picture: Option<Instant>,
    /// The same of the frame in which the newest boxes were seen.
    new_boxes: Option<Instant>,
}

impl View {
    fn new(notice: &'static str) -> Self {
        Self {
            frame: None,
            size: PANEL_SIZE,
            notice: Some(notice),
            scaler: Scaler::default(),
            scene: Scene::default(),
            now: MediaTime::ZERO,
            epoch: Instant::now(),
            camera: Rate::default(),
            detector: Rate::default(),
            looked_at: 0,
            new_picture: None,
            new_boxes: None,
        }
    }

    fn may_still_get_its_size(&self) -> bool {
        self.notice == Some(AWAITED) && self.epoch.elapsed() < FIRST_PICTURE_WITHIN
    }

    fn take_frame(&mut self, frame: &Frame, largest: (u32, u32)) {
        self.camera.mark(frame.sequence(), frame.captured().saturating_duration_since(self.epoch).as_secs_f64());
        self.now = self.now.max(frame.time());
        // What is wrong with a picture that cannot be decoded is told by the detector, or by the camera.
        let Ok(rgb) = frame.rgb() else { return };
        let size = fitted((rgb.width, rgb.height), largest);
        if self.scaler.scaled(rgb, size).is_none() {
            return;
        }
        (self.size, self.notice) = (size, None);
        (self.frame, self.new_picture) = (Some(frame.clone()), Some(frame.captured()));
    }

    /// Takes in what was found; returns whether it belongs to the picture on show, and so is to be drawn at once.
    fn take_event(&mut self, event: &Event) -> bool {
        let mut is_of_this_picture = false;
        match &event.kind {
            EventKind::Detections(detections) => {
                is_of_this_picture = self.frame.as_ref().is_some_and(|frame| frame.sequence() == detections.frame);
                self.new_boxes = Some(detections.captured);
                self.looked_at += 1;
                self.detector.mark(self.looked_at, self.epoch.elapsed().as_secs_f64());
            }
            EventKind::Keyword(keyword) => self.now = self.now.max(keyword.decided),
            EventKind::Hearing(hearing) => self.now = self.now.max(hearing.time),
            EventKind::Lost { .. } | EventKind::Found { .. } | EventKind::Ledger(_) => {}
        }
        self.scene.update(event);
        is_of_this_picture
    }

    /// What was drawn last is in the window.
    fn handed_over(&mut self, ways: &PreviewWays) {
        for (captured, way) in [(self.new_picture.take(), &ways.picture), (self.new_boxes.take(), &ways.boxes)] {
            if let Some(captured) = captured {
                way.took(captured.elapsed());
            }
        }
    }

    /// Draws all into `pixels`, which are as many as `size` says.
    fn compose(&self, pixels: &mut [u32], sound: Option<SoundView<'_>>, painter: &mut Painter) {
        match self.frame.as_ref().and_then(|frame| frame.rgb().ok()) {
            Some(rgb) => window_pixels(self.scaler.again(rgb, self.size), pixels),
            None => pixels.fill(u32::from_colour(PANEL)),
        }
        let Some(canvas) = &mut Canvas::new(pixels, self.size.0, self.size.1) else { return };
        if let Some(notice) = self.notice {
            painter.notice(canvas, notice);
        }
        let now_s = self.epoch.elapsed().as_secs_f64();
        let status = Status {
            camera_hz: self.camera.hz(now_s),
            detector_hz: self.detector.hz(now_s),
            result_age: self.scene.detections.as_ref().map(|detections| detections.captured.elapsed()),
        };
        painter.overlay(canvas, &Overlay { scene: &self.scene, now: self.now, status, sound });
    }
}
