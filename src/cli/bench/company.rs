//! Who else is at work while `run` looks for objects: without them, all cores are the detector's, and a way of running
//! the model seems the fastest that is not when it has to share.

use std::time::{Duration, Instant};

use super::stand_ins::{Ear, Screen, StillCamera};
use crate::findings::Detection;
use crate::flow::Stop;
use crate::media::SAMPLE_RATE_HZ;
use crate::model::Bundle;

/// Frames a second of most webcams.
const FRAMES_A_SECOND: u32 = 30;

/// A camera whose every frame is shown, and a microphone that is listened to; all on one thread.
pub(super) struct Company {
    camera: StillCamera,
    screen: Screen,
    ear: Ear,
}

impl Company {
    /// One whose screen shows `found`, and which listens with the spotter of `keywords`.
    pub fn new(found: &[Detection], keywords: &Bundle) -> anyhow::Result<Self> {
        Ok(Self { camera: StillCamera::yuyv()?, screen: Screen::new(found)?, ear: Ear::new(keywords)? })
    }

    /// Works in real time until `stop`. What it has no time for is left out, as in a live run.
    pub fn work(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let mut next = Instant::now();
        while stop.sleep_until(next) {
            next = (next + Duration::from_secs(1) / FRAMES_A_SECOND).max(Instant::now());
            let rgb = self.camera.next().rgb().map_err(Clone::clone)?;
            self.screen.draw(rgb)?;
            self.ear.hear((SAMPLE_RATE_HZ / FRAMES_A_SECOND) as usize)?;
        }
        Ok(())
    }
}
