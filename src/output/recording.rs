//! The annotated recording: what the preview shows, and the sound, as a video; or the pictures alone, in a folder.
//!
//! Numbers on the picture are of media time, so that a complete recording of the same input is the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::draw::{Overlay, Painter, Status};
use super::picture::Scaler;
use super::rate::Rate;
use super::story::{Story, Wait};
use super::video::{Encoder, PictureTrack, SoundTrack, is_video, join};
use super::{Canvas, SinkError};
use crate::findings::Event;
use crate::flow::{Next, Pace, Reader, RingReader, Stage, StageError, Stop, Subscriber};
use crate::media::{Frame, MediaTime, RgbView, SAMPLE_RATE_HZ};

/// How long a live recording waits for a frame before it shows the last one again, with what was found meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// A live recording has so many pictures a second, whatever the camera gives: players dislike changing rates.
const LIVE_RATE: (u32, u32) = (25, 1);
/// A complete recording has the rate of its source, and no more than this.
const HIGHEST_RATE_HZ: u32 = 240;
/// Samples that are taken at once: a quarter of a second.
const BLOCK: usize = SAMPLE_RATE_HZ as usize / 4;
/// The longest silence written at once in place of samples that were lost: ten minutes.
const LONGEST_GAP: u64 = 600 * SAMPLE_RATE_HZ as u64;

/// A sink that records.
///
/// - **waits for**: frames; in a complete run also for each frame's own detections, so that every box is on the frame
///   in which it was seen. The detector is given a frame before the recording is, so the wait ends.
/// - **skips**: live, frames that come faster than they are encoded, or than 25 a second
/// - **allocates**: a PNG's encoder, for each; else when a picture is larger than any before
/// - **ends**: when frames and sound do, on request, or when it cannot write; the video is playable in each case
#[derive(Debug)]
pub struct Recording {
    target: Target,
    frames: Reader<Frame>,
    samples: Option<RingReader<f32>>,
    findings: Subscriber<Event>,
    pace: Pace,
    wait: Wait,
    painter: Painter,
}

#[derive(Clone, Debug)]
enum Target {
    Video(PathBuf, Encoder),
    Folder(PathBuf),
}

impl Recording {
    /// Records into `target`: a video by its ending, or else a folder that is created, for one PNG a frame
    /// (`frame-000123.png` is the source's frame 123).
    ///
    /// `samples` are mono at 16 kHz, and reach a listener too. `detects`: whether every frame will be followed by its
    /// detections in `findings`; a complete recording then waits for them.
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
        let target = if target.is_dir() || target.extension().is_none() {
            fs::create_dir_all(target).map_err(write)?;
            Target::Folder(target.to_owned())
        } else if is_video(target) {
            let encoder = Encoder::find(target)?;
            // Found out now, and not after an hour of recording.
            fs::File::create(target).map_err(write)?;
            Target::Video(target.to_owned(), encoder)
        } else {
            return Err(SinkError::Kind(target.to_owned()));
        };
        let wait = match (pace, detects) {
            (Pace::Live, _) => Wait::Nothing,
            (Pace::Complete, true) => Wait::Detections,
            (Pace::Complete, false) if samples.is_some() => Wait::Listener,
            (Pace::Complete, false) => Wait::Nothing,
        };
        Ok(Self { target, frames, samples, findings, pace, wait, painter: Painter::new()? })
    }

    fn record(&mut self, stop: &Stop) -> Result<(), SinkError> {
        let Self { target, frames, samples, findings, pace, wait, painter } = self;
        let mut sound = Sound::new(target, samples.as_mut())?;
        let (sound_stop, sound_over) = (Stop::new(), AtomicBool::new(sound.samples.is_none()));
        let sound_is_over = || sound_over.load(Ordering::Acquire);
        let mut pictures = Pictures {
            frames,
            pace: *pace,
            story: Story::new(findings, *wait),
            painter,
            sound_is_over: &sound_is_over,
            base: Vec::new(),
            drawn: Vec::new(),
            last: None,
            rates: Rates::default(),
        };
        let (pictured, heard) = std::thread::scope(|scope| {
            // Samples are taken while the picture waits for a detector, and the other way round.
            let listener = scope.spawn(|| {
                let written = sound.take_all(&sound_stop);
                sound_over.store(true, Ordering::Release);
                written
            });
            let pictured = match &*target {
                Target::Folder(folder) => pictures.draw_pngs(folder, stop),
                Target::Video(file, encoder) => pictures.draw_video(file, *encoder, stop),
            };
            // The sound may be longer than the picture; what comes meanwhile must not fill the queue.
            while pictured.is_ok() && !listener.is_finished() && stop.sleep(LOOK) {
                pictures.story.catch_up();
            }
            sound_stop.request();
            (pictured, listener.join().unwrap_or(Ok(())))
        });
        let is_video = pictured? == Pictured::Video;
        let track = sound.track.filter(|_| heard.is_ok());
        match target {
            Target::Video(file, _) if is_video => join(file, track.as_ref())?,
            // Not one picture came: nothing is better than an empty file that no player opens.
            Target::Video(file, _) => drop(fs::remove_file(file)),
            Target::Folder(_) => {}
        }
        heard
    }
}

impl Stage for Recording {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        // What was recorded is finished; another run would start the file anew.
        self.record(stop).map_err(StageError::last)?;
        while self.findings.next(stop).is_some() {}
        Ok(())
    }
}

/// The sound's half of a recording.
struct Sound<'a> {
    samples: Option<&'a mut RingReader<f32>>,
    track: Option<SoundTrack>,
}

impl<'a> Sound<'a> {
    fn new(target: &Target, samples: Option<&'a mut RingReader<f32>>) -> Result<Self, SinkError> {
        let track = match target {
            Target::Video(file, _) if samples.is_some() => Some(SoundTrack::start(file)?),
            _ => None,
        };
        Ok(Self { samples, track })
    }

    /// Writes what comes, and silence for what was lost, until the source ends or `stop`. After an error it goes on
    /// taking, since a ring that nobody reads would hold a complete run up.
    fn take_all(&mut self, stop: &Stop) -> Result<(), SinkError> {
        let Some(samples) = &mut self.samples else { return Ok(()) };
        let mut written = Ok(());
        let mut block = Vec::with_capacity(BLOCK);
        while samples.take_into(&mut block, BLOCK, stop) > 0 {
            if let (Ok(()), Some(track)) = (&written, &mut self.track) {
                written = silence(track, samples.newly_lost(), stop).and_then(|()| track.write(&block, stop));
            }
            block.clear();
        }
        match &mut self.track {
            Some(track) => written.and_then(|()| track.finish()),
            None => written,
        }
    }
}

fn silence(track: &mut SoundTrack, count: u64, stop: &Stop) -> Result<(), SinkError> {
    let mut left = count.min(LONGEST_GAP) as usize;
    while left > 0 {
        let now = left.min(BLOCK);
        track.write(&[0.0; BLOCK][..now], stop)?;
        left -= now;
    }
    Ok(())
}

/// What became of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pictured {
    Nothing,
    Files,
    Video,
}

/// The picture's half of a recording: takes frames, draws the overlay, hands finished pictures on.
struct Pictures<'a> {
    frames: &'a Reader<Frame>,
    pace: Pace,
    story: Story<'a>,
    painter: &'a mut Painter,
    sound_is_over: &'a dyn Fn() -> bool,
    /// The last frame without its overlay, to be shown again when the camera is lost.
    base: Vec<[u8; 3]>,
    /// The picture that `next` drew.
    drawn: Vec<[u8; 3]>,
    last: Option<Last>,
    rates: Rates,
}

/// The last frame.
#[derive(Clone, Copy)]
struct Last {
    width: u32,
    height: u32,
    sequence: u64,
    time: MediaTime,
    captured: Instant,
}

/// What `next` drew.
#[derive(Clone, Copy)]
struct Drawn {
    size: (u32, u32),
    sequence: u64,
    time: MediaTime,
}

impl Pictures<'_> {
    /// Takes the next frame that has a picture, and draws it; live, the last one again if none comes. `None` at the
    /// end.
    fn next(&mut self, stop: &Stop) -> Option<Drawn> {
        loop {
            let frame = match self.pace {
                Pace::Complete => self.frames.next(stop)?,
                Pace::Live => match self.frames.next_within(LOOK, stop) {
                    Next::Value(frame) => frame,
                    Next::Closed => return None,
                    Next::Nothing => {
                        self.story.catch_up();
                        let Some(last) = self.last else { continue };
                        // By the clock: live sources follow it.
                        let time = last.time + last.captured.elapsed();
                        self.story.tell_until(time);
                        return Some(self.draw(last, time));
                    }
                },
            };
            self.story.up_to(frame.sequence(), frame.time(), self.sound_is_over, stop);
            self.rates.camera.mark(frame.sequence(), frame.time().as_secs());
            // A damaged frame is reported by whoever decodes it first; the picture before it stays.
            let Ok(RgbView { pixels, width, height }) = frame.rgb() else { continue };
            self.base.clear();
            self.base.extend_from_slice(pixels.as_chunks::<3>().0);
            let (sequence, time, captured) = (frame.sequence(), frame.time(), frame.captured());
            let last = Last { width, height, sequence, time, captured };
            self.last = Some(last);
            return Some(self.draw(last, time));
        }
    }

    fn draw(&mut self, last: Last, now: MediaTime) -> Drawn {
        self.drawn.clone_from(&self.base);
        let scene = &self.story.scene;
        if let Some(mut canvas) = Canvas::new(&mut self.drawn, last.width, last.height) {
            let detections = scene.detections.as_ref();
            if let Some(detections) = detections {
                self.rates.saw(detections.frame, detections.time);
            }
            let status = Status {
                camera_hz: self.rates.camera.hz(now.as_secs()),
                detector_hz: self.rates.detector.hz(now.as_secs()),
                result_age: detections.map(|detections| (now - detections.time.since_start()).since_start()),
            };
            self.painter.overlay(&mut canvas, &Overlay { scene, now, status, sound: None });
        }
        Drawn { size: (last.width, last.height), sequence: last.sequence, time: now }
    }

    fn draw_pngs(&mut self, folder: &Path, stop: &Stop) -> Result<Pictured, SinkError> {
        let mut written = None;
        while let Some(Drawn { size: (width, height), sequence, .. }) = self.next(stop) {
            // Shown again because the camera is lost: there is no new picture.
            if written == Some(sequence) {
                continue;
            }
            let target = folder.join(format!("frame-{sequence:06}.png"));
            let pixels = self.drawn.as_flattened();
            image::save_buffer(&target, pixels, width, height, image::ColorType::Rgb8)
                .map_err(|source| SinkError::Picture { target, source })?;
            written = Some(sequence);
        }
        Ok(if written.is_some() { Pictured::Files } else { Pictured::Nothing })
    }

    /// Fills the video's slots of time from the sources' start on, each with the newest picture that was there by then;
    /// in a complete run every picture gets one at least.
    fn draw_video(&mut self, file: &Path, encoder: Encoder, stop: &Stop) -> Result<Pictured, SinkError> {
        let Some(first) = self.next(stop) else { return Ok(Pictured::Nothing) };
        let (mut shown, mut scaler) = (std::mem::take(&mut self.drawn), Scaler::default());
        let mut following = self.next(stop);
        let rate = match (self.pace, following) {
            (Pace::Live, _) => LIVE_RATE,
            (Pace::Complete, Some(second)) => rate_between(first.time, second.time),
            (Pace::Complete, None) => LIVE_RATE,
        };
        let mut track = PictureTrack::start(file, encoder, first.size, rate)?;
        let (mut written, least) = (0, u64::from(self.pace == Pace::Complete));
        while let Some(next) = following {
            let end = slot_of(next.time, rate).max(written + least);
            while written < end {
                track.write(&shown, stop)?;
                written += 1;
            }
            if next.size == first.size {
                std::mem::swap(&mut shown, &mut self.drawn);
            } else {
                // A camera may come back with another format.
                let (width, height) = next.size;
                let view = RgbView { pixels: self.drawn.as_flattened(), width, height };
                if let Some(scaled) = scaler.scaled(view, first.size) {
                    shown.clear();
                    shown.extend_from_slice(scaled.pixels.as_chunks::<3>().0);
                }
            }
            following = self.next(stop);
        }
        track.write(&shown, stop)?;
        track.finish()?;
        Ok(Pictured::Video)
    }
}

/// How fast frames come and are looked at, by media time.
#[derive(Debug, Default)]
struct Rates {
    camera: Rate,
    detector: Rate,
    looked_at: u64,
    newest: Option<u64>,
}

impl Rates {
    /// The detections of this frame are there.
    fn saw(&mut self, frame: u64, time: MediaTime) {
        if self.newest.replace(frame) != Some(frame) {
            self.looked_at += 1;
            self.detector.mark(self.looked_at, time.as_secs());
        }
    }
}

/// The rate, as a fraction, of pictures that follow each other like these two; between 1 and 240 a second.
fn rate_between(first: MediaTime, second: MediaTime) -> (u32, u32) {
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
        let rate = rate_between(time(0), time(1));
        for frame in [0, 1, 2, 29, 30, 1000, 9000] {
            assert_eq!(slot_of(time(frame), rate), frame);
        }
        assert_eq!(rate_between(time(5), time(5)).1, 1_000_000_000 / HIGHEST_RATE_HZ, "a rate stays within reason");
        assert_eq!(slot_of(time(0) - Duration::from_secs(5), rate), 0);
    }
}
