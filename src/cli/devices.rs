//! `lookhear devices`: the cameras and microphones of this machine, as `--camera` and `--microphone` name them.
//!
//! ```text
//! $ lookhear devices
//! Cameras (the first is what `--camera auto` takes)
//!   /dev/video0  HD Pro Webcam C920
//!       YUYV  640×480 at 30/s, 1280×720 at 10/s
//!       MJPG  17 sizes from 160×90 at 30/s to 1920×1080 at 30/s
//!
//! Microphones (* is what `--microphone auto` takes)
//! * default              Default Audio Device    16000 Hz, 48000 Hz · 1 or 2 channels
//! ```
//! With `--json`: `{"cameras": […], "microphones": […]}`, with every size and rate. Formats that lookhear does not read
//! are left out.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::Serialize;

use crate::camera::{self, CameraInfo, SizeInfo};
use crate::microphone::{self, MicrophoneInfo};

/// The arguments of `lookhear devices`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON, with every size and rate
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Devices {
    cameras: Vec<CameraInfo>,
    microphones: Vec<MicrophoneInfo>,
}

/// More sizes than these are told by the smallest and the largest alone.
const SIZES_ON_A_LINE: usize = 3;

/// Runs the command.
///
/// # Errors
/// If standard output cannot be written to.
pub fn run(args: Args) -> anyhow::Result<()> {
    let devices = Devices { cameras: camera::list(), microphones: microphone::list() };
    let text = if args.json { serde_json::to_string_pretty(&devices)? + "\n" } else { devices.in_words() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

impl Devices {
    fn in_words(&self) -> String {
        let mut text = String::from("Cameras (the first is what `--camera auto` takes)\n");
        for CameraInfo { path, name, formats } in &self.cameras {
            line(&mut text, format_args!("  {path}  {name}"));
            if formats.is_empty() {
                line(&mut text, format_args!("      no format that lookhear reads"));
            }
            for format in formats {
                line(&mut text, format_args!("      {:4}  {}", format.format, sizes_in_words(&format.sizes)));
            }
        }
        if self.cameras.is_empty() {
            text.push_str(
                "  No camera found: plug one in, or, if one is plugged in, add yourself to the group `video` \
                 and log in again.\n",
            );
        }
        text.push_str("\nMicrophones (* is what `--microphone auto` takes)\n");
        let widest = |column: fn(&MicrophoneInfo) -> &str| {
            self.microphones.iter().map(|microphone| column(microphone).chars().count()).max().unwrap_or(0)
        };
        let (names, descriptions) =
            (widest(|microphone| &microphone.name), widest(|microphone| &microphone.description));
        for microphone in &self.microphones {
            let MicrophoneInfo { name, description, is_default, .. } = microphone;
            let star = if *is_default { '*' } else { ' ' };
            let offer = offer_in_words(microphone);
            line(&mut text, format_args!("{star} {name:names$}  {description:descriptions$}  {offer}"));
        }
        if self.microphones.is_empty() {
            text.push_str(
                "  No microphone found: plug one in, or, if one is plugged in, add yourself to the group `audio` \
                 and log in again.\n",
            );
        }
        text
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = writeln!(text, "{line}");
}

fn sizes_in_words(sizes: &[SizeInfo]) -> String {
    let size = |[width, height]: [u32; 2]| format!("{width}×{height}");
    let fastest =
        |info: &SizeInfo| info.rates_hz.last().map_or(String::new(), |rate| format!(" at {}/s", rounded(*rate)));
    let one = |info: &SizeInfo| match info.is_range() {
        true => format!("any size from {} to {}{}", size(info.smallest), size(info.largest), fastest(info)),
        false => format!("{}{}", size(info.largest), fastest(info)),
    };
    let mut sorted: Vec<&SizeInfo> = sizes.iter().collect();
    sorted.sort_by_key(|info| u64::from(info.largest[0]) * u64::from(info.largest[1]));
    match sorted.as_slice() {
        [] => "it does not tell its sizes".to_owned(),
        [smallest, .., largest] if sizes.len() > SIZES_ON_A_LINE => {
            format!("{} sizes from {} to {}", sizes.len(), one(smallest), one(largest))
        }
        few => few.iter().map(|info| one(info)).collect::<Vec<_>>().join(", "),
    }
}

/// A rate to the hundredth, without needless zeros.
fn rounded(rate_hz: f64) -> f64 {
    (rate_hz * 100.0).round() / 100.0
}

fn offer_in_words(microphone: &MicrophoneInfo) -> String {
    if microphone.rates_hz.is_empty() {
        return "in use".to_owned();
    }
    let rates: Vec<String> = microphone.rates_hz.iter().map(|rate| format!("{rate} Hz")).collect();
    let rates = match rates.as_slice() {
        [lowest, _, _, _, .., highest] => format!("{lowest} to {highest}"),
        few => few.join(", "),
    };
    match (microphone.channels.iter().min(), microphone.channels.iter().max()) {
        (Some(1), Some(1)) => format!("{rates} · 1 channel"),
        (Some(few), Some(many)) if few == many => format!("{rates} · {many} channels"),
        (Some(few), Some(many)) => format!("{rates} · {few} to {many} channels"),
        _ => rates,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::FormatInfo;

    fn size(width: u32, height: u32, rates_hz: &[f64]) -> SizeInfo {
        SizeInfo::one(width, height, rates_hz)
    }

    #[test]
    fn the_table_is_plain_and_aligned() {
        let formats = vec![
            FormatInfo {
                format: "YUYV".to_owned(),
                sizes: vec![size(1280, 720, &[5.0, 10.0]), size(640, 480, &[15.0, 30_000.0 / 1001.0])],
            },
            FormatInfo {
                format: "MJPG".to_owned(),
                sizes: [160, 320, 640, 1280].map(|width| size(width, width / 4 * 3, &[30.0])).into(),
            },
            FormatInfo { format: "GREY".to_owned(), sizes: vec![] },
        ];
        let camera = CameraInfo { path: "/dev/video0".to_owned(), name: "HD Webcam".to_owned(), formats };
        let microphone = |name: &str, is_default, rates_hz: &[u32], channels: &[u16]| MicrophoneInfo {
            name: name.to_owned(),
            description: format!("{name}, USB Audio"),
            is_default,
            rates_hz: rates_hz.to_vec(),
            channels: channels.to_vec(),
        };
        let microphones = vec![
            microphone("default", true, &[16_000, 48_000], &[1]),
            microphone("hw:CARD=C920,DEV=0", false, &[8_000, 16_000, 32_000, 44_100, 48_000], &[1, 2]),
            microphone("hw:CARD=Busy,DEV=0", false, &[], &[]),
        ];
        insta::assert_snapshot!(Devices { cameras: vec![camera], microphones }.in_words());
    }

    #[test]
    fn nothing_found_comes_with_a_remedy() {
        insta::assert_snapshot!(Devices { cameras: vec![], microphones: vec![] }.in_words());
    }
}
