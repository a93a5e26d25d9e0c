//! The annotated recording: what the preview shows, and the sound, as a video; or the pictures alone, in a folder.
//!
//! ```text
//! frames ─▶ overlay ─▶ ffmpeg ─▶ .NAME.video.mkv ┐
//! samples ─▶ (a thread of its own) ─▶ .NAME.wav ─┴─▶ ffmpeg ─▶ NAME.mp4
//! ```
//! Picture and sound are joined at the end, so neither ever waits for the other: a sink that took both in turn could
//! stop a complete run for ever, with the camera waiting for the picture and the microphone for the sound.
//!
//! - **waits for**: frames; in a complete run also for each frame's own detections, so that every box is on the frame
//!   in which it was seen. The detector is given a frame before the recording is, so the wait ends.
//! - **skips**: live, frames that come faster than they are encoded
//! - **ends**: with the frames, on request, or when it cannot write; the video is finished and playable in each case

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::draw::{Overlay, Painter, Status};
use super::{Canvas, SinkError};
use crate::findings::{Event, EventKind, Keyword, Scene};
use crate::flow::{Pace, Reader, RingReader, Stage, StageError, Stop, Subscriber};
use crate::media::{Frame, MediaTime};

use super::video::{Video, check_encoder};

/// How long a live recording waits for a frame before it looks at what was found meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// A live recording has this many pictures a second, whatever the camera gives: players dislike changing rates.
const LIVE_RATE_HZ: u32 = 25;
/// A complete recording has the rate of its source, and no more than this.
const HIGHEST_RATE_HZ: u32 = 240;
/// Endings of videos that are written.
const VIDEOS: [&str; 4] = ["mp4", "mkv", "mov", "m4v"];

/// A sink that records.
#[derive(Debug)]
pub struct Recording {
    target: Target,
    frames: Reader<Frame>,
    samples: Option<RingReader<f32>>,
    findings: Subscriber<Event>,
    pace: Pace,
    /// Whether each frame gets its detections.
    detects: bool,
    painter: Painter,
}

#[derive(Clone, Debug)]
enum Target {
    Video(PathBuf),
    Folder(PathBuf),
}

impl Recording {
    /// Records into `target`: a video by its ending, or else a folder that is created, for one PNG a frame.
    ///
    /// `samples` are mono at 16 kHz. `detects`: whether every frame will be followed by its detections in `findings`;
    /// a complete recording then waits for them.
    ///
    /// # Errors
    /// [`SinkError`]: without pictures, of another ending, without ffmpeg, or where nothing can be written.
    pub fn new(
        target: &Path,
        frames: Option<Reader<Frame>>,
        samples: Option<RingReader<f32>>,
        findings: Subscriber<Event>,
        pace: Pace,
        detects: bool,
    ) -> Result<Self, SinkError> {
        let frames = frames.ok_or_else(|| SinkError::NoPicture(target.to_owned()))?;
        let write = |source| SinkError::Write { target: target.to_owned(), source };
        let ending = target.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let target = match ending {
            Some(ending) if VIDEOS.contains(&ending.as_str()) => {
                check_encoder(target)?;
                // Found out now, and not after an hour of recording.
                fs::File::create(target).map_err(write)?;
                Target::Video(target.to_owned())
            }
            Some(_) if !target.is_dir() => return Err(SinkError::Kind(target.to_owned())),
            _ => {
                fs::create_dir_all(target).map_err(write)?;
                Target::Folder(target.to_owned())
            }
        };
        // A folder of pictures has no sound, and a ring that nobody reads would hold a complete run up.
        let samples = samples.filter(|_| matches!(target, Target::Video(_)));
        Ok(Self { target, frames, samples, findings, pace, detects, painter: Painter::new()? })
    }
}

impl Stage for Recording {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        let Self { target, frames, samples, findings, pace, detects, painter } = self;
        let mut pictures = Pictures {
            story: Story::new(findings, *pace, *detects),
            painter,
            drawn: Vec::new(),
            clock: FrameClock::default(),
        };
        let result = match target {
            Target::Folder(folder) => pictures.into_folder(folder, frames, stop),
            Target::Video(file) => std::thread::scope(|scope| {
                let mut video = Video::new(file);
                let sound = samples.as_mut().map(|samples| {
                    let path = video.sound_path();
                    scope.spawn(move || super::video::write_sound(&path, samples, stop))
                });
                let drawn = pictures.into_video(&mut video, *pace, frames, stop);
                let sound = sound.and_then(|thread| thread.join().ok()).transpose();
                drawn.and_then(|()| video.finish(sound?.is_some()))
            }),
        };
        // What was recorded is finished; another run would start the file anew.
        result.map_err(StageError::last)
    }
}

/// Takes frames, draws the overlay, and hands finished pictures on.
struct Pictures<'a> {
    story: Story<'a>,
    painter: &'a mut Painter,
    drawn: Vec<[u8; 3]>,
    clock: FrameClock,
}

impl Pictures<'_> {
    /// Takes the next frame that has a picture, and draws it; `None` at the end.
    fn next(&mut self, frames: &Reader<Frame>, stop: &Stop) -> Option<Drawn> {
        loop {
            let frame = match self.story.pace {
                Pace::Complete => frames.next(stop)?,
                Pace::Live => match frames.next_within(LOOK, stop) {
                    Some(frame) => frame,
                    None if stop.is_requested() || frames.is_finished() => return None,
                    None => {
                        self.story.catch_up();
                        continue;
                    }
                },
            };
            self.story.up_to(&frame, stop);
            // A damaged frame is reported by whoever decodes it first; the picture before it stays.
            let Ok(rgb) = frame.rgb() else { continue };
            self.drawn.clear();
            self.drawn.extend_from_slice(rgb.pixels.as_chunks::<3>().0);
            let overlay = Overlay {
                scene: &self.story.scene,
                now: frame.time(),
                status: self.clock.status(frame.time(), &self.story.scene),
            };
            let drawn = Drawn { width: rgb.width, height: rgb.height, time: frame.time(), sequence: frame.sequence() };
            if let Some(mut canvas) = Canvas::new(&mut self.drawn, rgb.width, rgb.height) {
                self.painter.overlay(&mut canvas, &overlay);
                return Some(drawn);
            }
        }
    }

    fn into_folder(&mut self, folder: &Path, frames: &Reader<Frame>, stop: &Stop) -> Result<(), SinkError> {
        while let Some(Drawn { width, height, sequence, .. }) = self.next(frames, stop) {
            let target = folder.join(format!("frame-{sequence:06}.png"));
            let pixels = self.drawn.as_flattened();
            image::save_buffer(&target, pixels, width, height, image::ColorType::Rgb8)
                .map_err(|source| SinkError::Picture { target, source })?;
        }
        Ok(())
    }

    /// Fills the video's time slots: each shows the newest picture that was there by then.
    fn into_video(
        &mut self,
        video: &mut Video,
        pace: Pace,
        frames: &Reader<Frame>,
        stop: &Stop,
    ) -> Result<(), SinkError> {
        let Some(first) = self.next(frames, stop) else { return Ok(()) };
        let mut shown = std::mem::take(&mut self.drawn);
        let mut second = self.next(frames, stop);
        let rate = match (pace, &second) {
            (Pace::Live, _) => (LIVE_RATE_HZ, 1),
            (Pace::Complete, Some(second)) => rate_of(first.time, second.time),
            (Pace::Complete, None) => (1, 1),
        };
        video.start((first.width, first.height), rate)?;
        let mut written = 0;
        while let Some(next) = second {
            let slot = slot_of(next.time - first.time.since_start(), rate);
            while written < slot {
                video.picture(&shown, stop)?;
                written += 1;
            }
            if (next.width, next.height) == (first.width, first.height) {
                std::mem::swap(&mut shown, &mut self.drawn);
            } else {
                video.fit(&self.drawn, (next.width, next.height), &mut shown)?;
            }
            second = self.next(frames, stop);
        }
        video.picture(&shown, stop)
    }
}

/// A picture that lies ready in `Pictures::drawn`.
struct Drawn {
    width: u32,
    height: u32,
    time: MediaTime,
    sequence: u64,
}

/// What is known at the time of a frame.
struct Story<'a> {
    findings: &'a Subscriber<Event>,
    pace: Pace,
    detects: bool,
    scene: Scene,
    /// Commands that are decided after the frame on show: they come with their word's time, which is earlier.
    later: Vec<Keyword>,
    /// The newest frame whose detections have come.
    detected: Option<u64>,
    is_over: bool,
}

impl<'a> Story<'a> {
    fn new(findings: &'a Subscriber<Event>, pace: Pace, detects: bool) -> Self {
        let (scene, later) = (Scene::default(), Vec::new());
        Self { findings, pace, detects, scene, later, detected: None, is_over: false }
    }

    /// Takes in what belongs to `frame`.
    fn up_to(&mut self, frame: &Frame, stop: &Stop) {
        let complete = self.pace == Pace::Complete && self.detects;
        while complete && !self.is_over && self.detected.is_none_or(|detected| detected < frame.sequence()) {
            match self.findings.next(stop) {
                Some(event) => self.take(event),
                None => self.is_over = true,
            }
        }
        if !complete {
            self.catch_up();
        }
        let now = frame.time();
        let scene = &mut self.scene;
        self.later.retain(|keyword| {
            let due = keyword.decided <= now;
            if due {
                scene.update(&Event { time: keyword.time, at: None, kind: EventKind::Keyword(keyword.clone()) });
            }
            !due
        });
    }

    /// Takes in what has come, without waiting.
    fn catch_up(&mut self) {
        while let Some(event) = self.findings.try_next() {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match &event.kind {
            EventKind::Keyword(keyword) => self.later.push(keyword.clone()),
            EventKind::Detections(detections) => {
                self.detected = Some(detections.frame);
                self.scene.update(&event);
            }
            _ => self.scene.update(&event),
        }
    }
}

/// Frames a second by media time, smoothed over about a second.
#[derive(Default)]
struct FrameClock {
    last: Option<MediaTime>,
    period_s: Option<f64>,
}

impl FrameClock {
    /// One frame's weight in the mean.
    const WEIGHT: f64 = 0.1;

    fn status(&mut self, now: MediaTime, scene: &Scene) -> Status {
        if let Some(last) = self.last.replace(now) {
            let period = now.as_secs() - last.as_secs();
            let mean = self.period_s.get_or_insert(period);
            *mean += Self::WEIGHT * (period - *mean);
        }
        let camera_hz = self.period_s.filter(|period| *period > 0.0).map(|period| (1.0 / period) as f32);
        let seen = scene.detections.as_ref();
        let result_age = seen.map(|detections| (now - detections.time.since_start()).since_start());
        Status { camera_hz, detector_hz: None, result_age }
    }
}

/// The rate, as a fraction, of pictures that follow each other like these two.
fn rate_of(first: MediaTime, second: MediaTime) -> (u32, u32) {
    const NANOS: i64 = 1_000_000_000;
    let period = (second.as_nanos() - first.as_nanos()).clamp(NANOS / i64::from(HIGHEST_RATE_HZ), NANOS);
    (NANOS as u32, period as u32)
}

/// How many slots of 1/rate lie before `time`, to the nearest.
fn slot_of(time: MediaTime, (numerator, denominator): (u32, u32)) -> u64 {
    (time.as_secs() * f64::from(numerator) / f64::from(denominator)).round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_rate_of_the_source() {
        let time = |frame: u64| MediaTime::of_count(frame, 30_000, 1001);
        let rate = rate_of(time(0), time(1));
        for frame in [0, 1, 2, 29, 30, 1000, 9000] {
            assert_eq!(slot_of(time(frame), rate), frame);
        }
        assert_eq!(rate_of(time(5), time(5)).1, 1_000_000_000 / HIGHEST_RATE_HZ, "a rate stays within reason");
    }
}
