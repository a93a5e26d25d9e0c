//! What was measured, and what follows from it: for programs as JSON, for people as tables in Markdown.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::choice::{Tried, Way};
use super::machine::Machine;
use super::parts::Parts;
use super::times::Times;
use crate::media::WallTime;

/// Everything that `lookhear bench` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    pub lookhear: &'static str,
    pub runtime: String,
    pub at: WallTime,
    pub machine: Machine,
    pub bundle: &'a Path,
    pub model_sha256: String,
    pub picture: Size,
    /// Every way of running the model, beside the rest of the pipeline.
    pub ways: &'a [Tried],
    /// The fastest of them.
    pub fastest: Way,
    /// Every part alone, the inference in the fastest way.
    pub parts: Parts,
    pub follows: Follows,
    /// Where the fastest way was saved.
    pub saved: Option<PathBuf>,
}

/// A picture's size in pixels.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Size {
    pub width: u32,
    pub height: u32,
}

/// What follows for frames of either format.
#[derive(Debug, Serialize)]
pub(super) struct Follows {
    mjpeg: Rates,
    yuyv: Rates,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Rates {
    /// The detector's time for a frame: decode, resize, inference, post-process.
    detector_ms: f64,
    /// Frames a second that this allows.
    detector_hz: f64,
    /// The preview's time for a frame: decode, draw.
    preview_ms: f64,
    preview_hz: f64,
    /// Everything around one inference: decode, resize, post-process, draw.
    around_ms: f64,
    /// The same as a share of the inference.
    around_share: f64,
}

impl Follows {
    /// What follows from the medians of `parts`.
    pub fn from(parts: &Parts) -> Self {
        let rates = |to_rgb: Times| {
            let [to_rgb, resize, inference, post_process, draw] =
                [to_rgb, parts.resize, parts.inference, parts.post_process, parts.draw].map(|times| times.median_ms);
            let (detector_ms, preview_ms) = (to_rgb + resize + inference + post_process, to_rgb + draw);
            let around_ms = to_rgb + resize + post_process + draw;
            Rates {
                detector_ms: rounded(detector_ms, 1e3),
                detector_hz: rounded(1e3 / detector_ms, 1e2),
                preview_ms: rounded(preview_ms, 1e3),
                preview_hz: rounded(1e3 / preview_ms, 1e2),
                around_ms: rounded(around_ms, 1e3),
                around_share: rounded(around_ms / inference, 1e4),
            }
        };
        Self { mjpeg: rates(parts.decode_mjpeg), yuyv: rates(parts.convert_yuyv) }
    }
}

/// `value` to the nearest `1 / parts`.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lookhear, runtime, at, machine, bundle, picture: Size { width, height }, ways, parts, .. } = self;
        writeln!(f, "lookhear {lookhear}, TensorFlow Lite {runtime}, {at}")?;
        writeln!(f, "{machine}\n")?;
        if machine.is_busy() {
            writeln!(
                f,
                "Other programs kept all cores busy: this machine is faster than these numbers, and the fastest way may be another.\n"
            )?;
        }
        let fastest = ways.iter().find(|tried| tried.way == self.fastest);
        let kernels = |tried: &Tried| format!("{}, {}", tried.delegate, threads(tried.way.threads));

        writeln!(f, "Inference of {}, beside a preview of 30 frames/s and the spotter:\n", bundle.display())?;
        let mut rows = vec![["kernels", "threads at work", "median ms", "p95 ms"].map(str::to_owned)];
        rows.extend(ways.iter().map(|tried| {
            let at_work = tried.threads_at_work.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
            let [median, p95] = in_ms(tried.inference);
            [kernels(tried), at_work, median, p95]
        }));
        table(f, &rows)?;
        writeln!(f, "\nFastest here: {}.\n", fastest.map(kernels).unwrap_or_default())?;

        writeln!(f, "Each part alone, with pictures of {width}×{height}:\n")?;
        let inference = format!("inference: {}", fastest.map(kernels).unwrap_or_default());
        let parts = [
            ("decode MJPEG", parts.decode_mjpeg),
            ("convert YUYV", parts.convert_yuyv),
            ("resize", parts.resize),
            (&inference, parts.inference),
            ("post-process", parts.post_process),
            ("draw", parts.draw),
            ("spotter, a second of sound", parts.spotter_second),
        ];
        let mut rows = vec![["part", "median ms", "p95 ms"].map(str::to_owned)];
        rows.extend(parts.map(|(name, times)| {
            let [median, p95] = in_ms(times);
            [name.to_owned(), median, p95]
        }));
        table(f, &rows)?;

        writeln!(f, "\nWhat follows:\n")?;
        let Follows { mjpeg, yuyv } = &self.follows;
        let row = |name: &str, value: fn(&Rates) -> String| [name.to_owned(), value(mjpeg), value(yuyv)];
        table(
            f,
            &[
                ["", "MJPEG", "YUYV"].map(str::to_owned),
                row("detector, frames/s", |rates| format!("{:.1}", rates.detector_hz)),
                row("preview, frames/s", |rates| format!("{:.1}", rates.preview_hz)),
                row("everything but the inference, ms", |rates| format!("{:.3}", rates.around_ms)),
                row("the same, of the inference", |rates| format!("{:.1} %", 1e2 * rates.around_share)),
            ],
        )?;
        if let Some(file) = &self.saved {
            writeln!(f, "\nSaved to {}: `lookhear run` takes it from there.", file.display())?;
        }
        Ok(())
    }
}

fn threads(count: usize) -> String {
    if count == 1 { "1 thread".to_owned() } else { format!("{count} threads") }
}

fn in_ms(times: Times) -> [String; 2] {
    [times.median_ms, times.p95_ms].map(|ms| format!("{ms:.3}"))
}

/// A table in Markdown that is one to the eye as well: the first of `rows` is its head, the first column is text, the others
/// are numbers.
fn table<const COLUMNS: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; COLUMNS]]) -> fmt::Result {
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => write!(f, "| {cell:width$} |")?,
                _ => write!(f, " {cell:>width$} |")?,
            }
        }
        writeln!(f)?;
        if index == 0 {
            for (column, &width) in widths.iter().enumerate() {
                match column {
                    0 => write!(f, "|{}|", "-".repeat(width + 2))?,
                    _ => write!(f, "{}:|", "-".repeat(width + 1))?,
                }
            }
            writeln!(f)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_from_medians() {
        let times = |median_ms: f64| Times { median_ms, p95_ms: 2.0 * median_ms, runs: 9 };
        let parts = Parts {
            decode_mjpeg: times(2.0),
            convert_yuyv: times(0.5),
            resize: times(0.25),
            inference: times(20.0),
            post_process: times(0.125),
            draw: times(0.625),
            spotter_second: times(10.0),
        };
        let Follows { mjpeg, yuyv } = Follows::from(&parts);
        assert_eq!((mjpeg.detector_ms, mjpeg.detector_hz), (22.375, 44.69));
        assert_eq!((mjpeg.preview_ms, mjpeg.preview_hz), (2.625, 380.95));
        assert_eq!((mjpeg.around_ms, mjpeg.around_share), (3.0, 0.15));
        assert_eq!((yuyv.detector_ms, yuyv.around_ms, yuyv.around_share), (20.875, 1.5, 0.075));
    }

    #[test]
    fn a_table_is_aligned() {
        struct Two;
        impl fmt::Display for Two {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                table(f, &[["part", "ms"], ["640×480", "12.5"]].map(|row| row.map(str::to_owned)))
            }
        }
        assert_eq!(Two.to_string(), "| part    |   ms |\n|---------|-----:|\n| 640×480 | 12.5 |\n");
    }
}
