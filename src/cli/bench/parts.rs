//! How long each part of the pipeline takes, one after the other on one thread, as on the way of a frame: so each finds the
//! processor's caches as its neighbours leave them.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use super::stand_ins::{Ear, Screen, StillCamera};
use super::times::{FEWEST_RUNS, Runs, Times};
use crate::findings::Detection;
use crate::media::SAMPLE_RATE_HZ;
use crate::vision::ObjectFinder;

/// Frames and sound take turns so many times, so that both are measured on the same machine, warm or busy as it may be.
pub(super) const TURNS: u32 = 5;
/// The share of the time that is the frames'.
const SHARE_OF_FRAMES: f64 = 0.8;

/// What is reported of each part.
#[derive(Debug, Serialize)]
pub(super) struct Parts {
    /// From JPEG to RGB.
    pub decode_mjpeg: Times,
    /// From YUYV to RGB.
    pub convert_yuyv: Times,
    /// From RGB to the model's input.
    pub resize: Times,
    /// The model.
    pub inference: Times,
    /// From the model's output to detections.
    pub post_process: Times,
    /// From RGB to a window's pixels, with all that is drawn over them.
    pub draw: Times,
    /// One second of sound, from samples to the spotter's decisions.
    pub spotter_second: Times,
}

/// All that takes part.
pub(super) struct Bench {
    pub mjpeg: StillCamera,
    pub yuyv: StillCamera,
    pub finder: ObjectFinder,
    pub screen: Screen,
    pub ear: Ear,
}

#[derive(Default)]
struct PartRuns {
    decode_mjpeg: Runs,
    convert_yuyv: Runs,
    resize: Runs,
    inference: Runs,
    post_process: Runs,
    draw: Runs,
    spotter_second: Runs,
}

impl Bench {
    /// Measures every part, for `time` in all. [`TURNS`] steps of `progress`.
    ///
    /// # Errors
    /// What the parts themselves refuse.
    pub fn measure(&mut self, time: Duration, progress: &ProgressBar) -> anyhow::Result<Parts> {
        let mut found = Vec::new();
        // What is used for the first time is allocated and prepared.
        let mut runs = PartRuns::default();
        self.frame(&mut runs, &mut found)?;
        self.second(&mut runs)?;
        let mut runs = PartRuns::default();
        let turn = time / TURNS;
        for _ in 0..TURNS {
            let start = Instant::now();
            while runs.inference.len() < FEWEST_RUNS || start.elapsed() < turn.mul_f64(SHARE_OF_FRAMES) {
                self.frame(&mut runs, &mut found)?;
            }
            while runs.spotter_second.len() < FEWEST_RUNS || start.elapsed() < turn {
                self.second(&mut runs)?;
            }
            progress.inc(1);
        }
        Ok(Parts {
            decode_mjpeg: runs.decode_mjpeg.times(),
            convert_yuyv: runs.convert_yuyv.times(),
            resize: runs.resize.times(),
            inference: runs.inference.times(),
            post_process: runs.post_process.times(),
            draw: runs.draw.times(),
            spotter_second: runs.spotter_second.times(),
        })
    }

    /// The way of one frame, in either format, from the camera's bytes to the window's pixels.
    fn frame(&mut self, runs: &mut PartRuns, found: &mut Vec<Detection>) -> anyhow::Result<()> {
        let Self { mjpeg, yuyv, finder, screen, .. } = self;
        let frame = mjpeg.next();
        runs.decode_mjpeg.time(|| frame.rgb().map(drop)).map_err(Clone::clone)?;
        let frame = yuyv.next();
        let rgb = runs.convert_yuyv.time(|| frame.rgb()).map_err(Clone::clone)?;
        runs.resize.time(|| finder.prepare(rgb))?;
        runs.inference.time(|| finder.infer())?;
        runs.post_process.time(|| finder.read(found))?;
        runs.draw.time(|| screen.draw(rgb))
    }

    /// One second of sound.
    fn second(&mut self, runs: &mut PartRuns) -> anyhow::Result<()> {
        Ok(runs.spotter_second.time(|| self.ear.hear(SAMPLE_RATE_HZ as usize))?)
    }
}
