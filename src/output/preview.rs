//! The preview: the newest frame with the newest scene over it, for the window.
//!
//! Never waits for the window: it puts each finished picture where the window's process finds it. Composes nothing
//! while there is no window.

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;
use serde::{Deserialize, Serialize};

use super::SinkError;
use super::canvas::{Canvas, Colour, Pixel};
use super::draw::{Overlay, Painter, Status};
use super::picture::{Scaler, fitted};
use super::rate::Rate;
use super::supervisor::{Opening, Supervisor, Wish};
use crate::findings::{Event, EventKind, Scene};
use crate::flow::{Reader, Stage, StageError, Stop, Subscriber};
use crate::media::{Frame, LARGEST_SIDE, MediaTime, RgbView};

/// The longest wait for a frame: the window's keys and the level meter are looked after in between.
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

/// A stage that shows what is seen and heard.
///
/// - **waits for**: frames, 50 ms at most
/// - **skips**: frames that are replaced before it comes to them; frames that are no picture
/// - **allocates**: when a picture is larger than any before, and when the window is started
/// - **ends**: with the hub, or on request; asks everybody to stop when the user closes the window
#[derive(Debug)]
pub struct Preview {
    opening: Opening,
    largest: (u32, u32),
    frames: Option<Reader<Frame>>,
    findings: Subscriber<Event>,
    painter: Painter,
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
        Ok(Self { opening, largest, frames, findings, painter: Painter::new()? })
    }

    /// Waits for the next frame, but not for long.
    fn next_frame(&self, stop: &Stop) -> Option<Frame> {
        match &self.frames {
            // A reader whose writer is gone would not wait.
            Some(frames) if !frames.is_finished() => frames.next_within(TICK, stop),
            _ => {
                stop.sleep(TICK);
                None
            }
        }
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
        while !stop.is_requested() {
            if let Some(frame) = self.next_frame(stop) {
                view.take_frame(&frame, self.largest);
            }
            loop {
                match self.findings.receiver().try_recv() {
                    Ok(event) => {
                        self.findings.took();
                        view.take_event(&event);
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            if window.look() == Wish::Stop {
                stop.request();
                break;
            }
            if view.may_still_get_its_size() {
                continue;
            }
            let (width, height) = view.size;
            if let Some(mut canvas) = window.next(width, height).and_then(|pixels| Canvas::new(pixels, width, height)) {
                view.compose(&mut canvas, &mut self.painter);
                window.publish();
            }
        }
        Ok(())
    }
}

/// Said in place of a picture that may come.
const AWAITED: &str = "no picture yet";

/// What is shown: the last picture, and what was found.
#[derive(Debug)]
struct View {
    /// The last picture as window pixels. A copy: a frame that is kept would be missing in its pool, and this one stays
    /// when the camera goes.
    picture: Vec<u32>,
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
}

impl View {
    fn new(notice: &'static str) -> Self {
        let size = PANEL_SIZE;
        Self {
            picture: vec![u32::from_colour(PANEL); size.0 as usize * size.1 as usize],
            size,
            notice: Some(notice),
            scaler: Scaler::default(),
            scene: Scene::default(),
            now: MediaTime::ZERO,
            epoch: Instant::now(),
            camera: Rate::default(),
            detector: Rate::default(),
            looked_at: 0,
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
        let Some(RgbView { pixels, width, height }) = self.scaler.scaled(rgb, size) else { return };
        (self.size, self.notice) = ((width, height), None);
        let (pixels, _) = pixels.as_chunks::<3>();
        self.picture.clear();
        self.picture.extend(pixels.iter().map(|pixel| u32::from_colour(*pixel)));
    }

    fn take_event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Detections(_) => {
                self.looked_at += 1;
                self.detector.mark(self.looked_at, self.epoch.elapsed().as_secs_f64());
            }
            EventKind::Keyword(keyword) => self.now = self.now.max(keyword.decided),
            EventKind::Hearing(hearing) => self.now = self.now.max(hearing.time),
            EventKind::Lost { .. } | EventKind::Found { .. } | EventKind::Ledger(_) => {}
        }
        self.scene.update(event);
    }

    fn compose(&self, canvas: &mut Canvas<'_, u32>, painter: &mut Painter) {
        canvas.copy_from(&self.picture);
        if let Some(notice) = self.notice {
            painter.notice(canvas, notice);
        }
        let now_s = self.epoch.elapsed().as_secs_f64();
        let status = Status {
            camera_hz: self.camera.hz(now_s),
            detector_hz: self.detector.hz(now_s),
            result_age: self.scene.detections.as_ref().map(|detections| detections.captured.elapsed()),
        };
        painter.overlay(canvas, &Overlay { scene: &self.scene, now: self.now, status });
    }
}
