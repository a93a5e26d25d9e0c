//! Stand-ins for camera, window and microphone: the pipeline's real work without their devices.

use anyhow::{Context, anyhow};
use yuv::{
    BufferStoreMut, YuvChromaSubsampling, YuvConversionMode, YuvPackedImageMut, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};

use crate::findings::{Detection, Detections, Keyword, Scene};
use crate::media::{
    FrameBuffer, Geometry, Levels, MediaTime, PixelFormat, Pooled, RgbView, SAMPLE_RATE_HZ, jpeg_size, rgb_from,
};
use crate::model::Bundle;
use crate::output::draw::{Overlay, Painter, Status};
use crate::output::{Canvas, window_pixels};
use crate::speech::{KeywordsConfig, ListenerError, Spotter};

/// A picture of the demo's street as a webcam sends it: 640×480, JPEG with halved colour (`assets/README.md`).
const STREET: &[u8] = include_bytes!("../../../assets/demo/street.jpg");

/// Samples that are heard at once: what a sound card gives in 20 ms.
const BLOCK: usize = 320;

/// A camera that gives one picture over and over, in one of two formats.
#[derive(Debug)]
pub(super) struct StillCamera {
    frame: FrameBuffer,
    geometry: Geometry,
    bytes: Vec<u8>,
}

impl StillCamera {
    /// One that gives JPEG.
    pub fn mjpeg() -> anyhow::Result<Self> {
        let (width, height) = jpeg_size(STREET).context("The built-in picture is none: build lookhear again.")?;
        let geometry = Geometry::packed(PixelFormat::Mjpeg, width, height);
        Ok(Self { frame: FrameBuffer::default(), geometry, bytes: STREET.to_vec() })
    }

    /// One that gives the same picture as YUYV.
    pub fn yuyv() -> anyhow::Result<Self> {
        let Self { frame, geometry: Geometry { width, height, .. }, .. } = Self::mjpeg()?;
        let mut rgb = Vec::new();
        rgb_from(PixelFormat::Mjpeg, STREET, (width, height), 0, &mut rgb)?;
        let geometry = Geometry::packed(PixelFormat::Yuyv, width, height);
        let mut planes = YuvPlanarImageMut::alloc(width, height, YuvChromaSubsampling::Yuv422);
        let (range, matrix, mode) = (YuvRange::Limited, YuvStandardMatrix::Bt601, YuvConversionMode::Balanced);
        yuv::rgb_to_yuv422(&mut planes, &rgb, width * 3, range, matrix, mode)?;
        let mut bytes = vec![0; geometry.stride_bytes * height as usize];
        let (yuy, yuy_stride) = (BufferStoreMut::Borrowed(&mut bytes), geometry.stride_bytes as u32);
        yuv::yuv422_to_yuyv422(&mut YuvPackedImageMut { yuy, yuy_stride, width, height }, &planes.to_fixed())?;
        Ok(Self { frame, geometry, bytes })
    }

    /// Its width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.geometry.width, self.geometry.height)
    }

    /// The next frame; nobody has asked for its RGB yet.
    pub fn next(&mut self) -> &FrameBuffer {
        self.frame.begin(self.geometry, 0, MediaTime::ZERO).extend_from_slice(&self.bytes);
        &self.frame
    }
}

/// What the preview does with a picture: window pixels, and everything drawn over them.
#[derive(Debug)]
pub(super) struct Screen {
    painter: Painter,
    window: Vec<u32>,
    scene: Scene,
    status: Status,
}

impl Screen {
    /// One that shows `found`, a command and the level of the microphone.
    pub fn new(found: &[Detection]) -> anyhow::Result<Self> {
        let detections = Detections { items: found.to_vec(), ..Detections::default() };
        let word = Keyword { label: "yes".into(), score: 0.97, time: MediaTime::ZERO, decided: MediaTime::ZERO };
        let scene = Scene {
            detections: Some(Pooled::alone(detections)),
            keywords: [word].into(),
            levels: Some(Levels { peak_dbfs: -12.0, rms_dbfs: -30.0 }),
            lost: Vec::new(),
        };
        let status = Status { camera_hz: Some(30.0), detector_hz: Some(10.0), result_age: None };
        Ok(Self { painter: Painter::new()?, window: Vec::new(), scene, status })
    }

    pub fn draw(&mut self, rgb: RgbView<'_>) -> anyhow::Result<()> {
        let Self { painter, window, scene, status } = self;
        window.resize(rgb.width as usize * rgb.height as usize, 0);
        window_pixels(rgb, window);
        let mut canvas =
            Canvas::new(window, rgb.width, rgb.height).ok_or_else(|| anyhow!("A picture has no pixels."))?;
        painter.overlay(&mut canvas, &Overlay { scene, now: MediaTime::ZERO, status: *status, sound: None });
        Ok(())
    }
}

/// A spotter that looks at every second. What is said makes no difference to its work, for its gate stays open.
pub(super) struct Ear {
    spotter: Spotter,
    second: Vec<f32>,
    heard: usize,
}

impl Ear {
    /// An ear that is past the first second, in which a spotter has nothing to look at yet.
    pub fn new(bundle: &Bundle) -> anyhow::Result<Self> {
        let spotter = Spotter::new(&KeywordsConfig { gate: false, ..KeywordsConfig::default() }, bundle)?;
        // Noise and not silence: numbers next to nothing take some processors longer. 50 dB below full scale; Knuth's
        // generator (The Art of Computer Programming, volume 2, 3.3.4, line 26) makes the same on every machine.
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            0.005 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        };
        let second = (0..SAMPLE_RATE_HZ).map(|_| noise()).collect();
        let mut ear = Self { spotter, second, heard: 0 };
        ear.hear(SAMPLE_RATE_HZ as usize)?;
        Ok(ear)
    }

    /// Hears the next `samples` samples, in the blocks of a sound card.
    pub fn hear(&mut self, samples: usize) -> Result<(), ListenerError> {
        let end = self.heard + samples;
        while self.heard < end {
            let from = self.heard % self.second.len();
            let block = BLOCK.min(end - self.heard).min(self.second.len() - from);
            self.spotter.hear(&self.second[from..from + block], |_| {})?;
            self.heard += block;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cameras_show_the_same_picture() {
        let (mut mjpeg, mut yuyv) = (StillCamera::mjpeg().expect("a picture"), StillCamera::yuyv().expect("a picture"));
        assert_eq!((mjpeg.size(), yuyv.size()), ((640, 480), (640, 480)));
        let (mjpeg, yuyv) = (mjpeg.next().rgb().expect("a picture"), yuyv.next().rgb().expect("a picture"));
        let off: u64 = mjpeg.pixels.iter().zip(yuyv.pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = off as f64 / mjpeg.pixels.len() as f64;
        // YUV in limited range has fewer levels than RGB, and both halve the colour.
        assert!(mean < 2.0, "a pixel is off by {mean}");
    }
}
