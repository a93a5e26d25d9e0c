//! Microphones of the sound system, by cpal.
//!
//! ```text
//!  thread of the sound system                  │ thread of the stage
//!  callback: to f32, mean of channels ─▶ ring ─┼─▶ take_into
//!  error callback: sets a flag ────────────────┼─▶ take_into fails, the stream is dropped
//! ```
//! Neither callback locks, allocates, logs or calls the system. After an error a stream may call back tens of thousands
//! of times a second for ever, so it is never kept: whoever opened it drops it and opens anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    Device, ErrorKind, FromSample, Host, SampleFormat, SizedSample, Stream, StreamConfig, SupportedStreamConfig,
};

use super::hush::hushed;
use super::{MicrophoneError, audible};
use crate::flow::{Edge, Pace, RingReader, RingWriter, ring};
use crate::media::SAMPLE_RATE_HZ;

/// How much the ring between the two threads holds: the stage may be kept from its work for so long.
const RING_SECONDS: usize = 2;
/// How long the sound system may take to open a device.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// The rates that are told of a device that offers a range.
const KNOWN_RATES_HZ: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000];

/// More channels are not told of.
const MOST_CHANNELS: u16 = 8;

/// A microphone that was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MicrophoneInfo {
    /// What to write as `--microphone`.
    pub name: String,
    /// What the sound system says of it, for people.
    pub description: String,
    /// Whether `auto` means this one.
    pub is_default: bool,
    /// Usual rates that it offers, in samples a second; empty if it is in use or gone.
    pub rates_hz: Vec<u32>,
    /// How many channels it offers, up to 8: converters claim any number.
    pub channels: Vec<u16>,
}

/// The microphones of this machine, the default first. Empty without a sound system.
pub fn list() -> Vec<MicrophoneInfo> {
    hushed(|| {
        let host = cpal::default_host();
        let default = host.default_input_device().filter(|device| configs(device).next().is_some());
        let mut found: Vec<_> = default.iter().map(|device| info(device, true)).collect();
        for device in hardware(&host) {
            let info = info(&device, false);
            if found.iter().all(|known| known.name != info.name) {
                found.push(info);
            }
        }
        found
    })
}

fn info(device: &Device, is_default: bool) -> MicrophoneInfo {
    let offered: Vec<_> = configs(device).collect();
    let is_offered = |rate_hz: &u32| {
        offered.iter().any(|range| (range.min_sample_rate()..=range.max_sample_rate()).contains(rate_hz))
    };
    let mut channels: Vec<u16> =
        offered.iter().map(|range| range.channels()).filter(|channels| *channels <= MOST_CHANNELS).collect();
    channels.sort_unstable();
    channels.dedup();
    MicrophoneInfo {
        name: name_of(device),
        description: device.description().map(|about| about.name().to_owned()).unwrap_or_default(),
        is_default,
        rates_hz: KNOWN_RATES_HZ.into_iter().filter(is_offered).collect(),
        channels,
    }
}

fn configs(device: &Device) -> impl Iterator<Item = cpal::SupportedStreamConfigRange> {
    device.supported_input_configs().into_iter().flatten()
}

/// The name by which a device is found again.
fn name_of(device: &Device) -> String {
    device.id().map_or_else(|_| device.to_string(), |id| id.id().to_owned())
}

/// The input devices, one for each piece of hardware.
///
/// ALSA knows some twenty names of a card, for ways of mixing and converting; of those its `hw:` names are kept, and of
/// these the ones with the card's name, which stays when cards are plugged in another order. Without any, what is left
/// may lead to a sound server; only `null`, which gives silence for ever, hears nobody. Elsewhere all are kept.
fn hardware(host: &Host) -> Vec<Device> {
    let devices: Vec<_> = host.input_devices().map(Iterator::collect).unwrap_or_default();
    let names: Vec<String> = devices.iter().map(name_of).collect();
    let is_numbered =
        |name: &str| name.strip_prefix("hw:CARD=").is_some_and(|card| card.starts_with(|c: char| c.is_ascii_digit()));
    let has_hardware = names.iter().any(|name| name.starts_with("hw:"));
    let has_named = names.iter().any(|name| name.starts_with("hw:") && !is_numbered(name));
    let is_kept = |name: &String| {
        (!has_hardware && name != "null") || (name.starts_with("hw:") && !(has_named && is_numbered(name)))
    };
    devices.into_iter().zip(names).filter(|(_, name)| is_kept(name)).map(|(device, _)| device).collect()
}

/// What the error callback saw, as the flag's value.
mod trouble {
    pub(super) const NONE: u8 = 0;
    pub(super) const GONE: u8 = 1;
    pub(super) const BROKEN: u8 = 2;
}

/// An open microphone.
pub(super) struct Capture {
    name: String,
    rate_hz: u32,
    samples: RingReader<f32>,
    trouble: Arc<AtomicU8>,
    /// Dropping it ends the callbacks.
    _stream: Stream,
}

impl Capture {
    /// Opens the microphone called `name`, or the default one; if the system's default does not hear, the first
    /// hardware that does. (On a Raspberry Pi ALSA's default is the built-in output, whatever is plugged in.)
    pub(super) fn open(name: Option<&str>) -> Result<Self, MicrophoneError> {
        hushed(|| {
            let host = cpal::default_host();
            match name {
                Some(name) => Self::open_device(&find(&host, name)?),
                None => Self::open_any(&host),
            }
        })
    }

    fn open_any(host: &Host) -> Result<Self, MicrophoneError> {
        let mut first_error = None;
        for device in host.default_input_device().into_iter().chain(hardware(host)) {
            match Self::open_device(&device) {
                Ok(capture) => return Ok(capture),
                Err(error) => {
                    tracing::debug!(%error, "tried");
                    first_error.get_or_insert(error);
                }
            }
        }
        // Without hardware the default's own failure ("no such device") would only puzzle.
        match (first_error, hardware(host).is_empty()) {
            (Some(error), false) => Err(error),
            _ => Err(MicrophoneError::Missing {
                name: "auto".to_owned(),
                found: "this machine has none that the sound system knows; plug one in, or name a WAV file".to_owned(),
            }),
        }
    }

    fn open_device(device: &Device) -> Result<Self, MicrophoneError> {
        let name = name_of(device);
        let refuse = |error: cpal::Error| MicrophoneError::Device { name: name.clone(), reason: reason_of(&error) };
        let chosen = best_config(device).map_err(refuse)?;
        let (config, rate_hz) = (chosen.config(), chosen.sample_rate());
        let (writer, samples) = ring(RING_SECONDS * rate_hz as usize, Pace::Live, Edge::default());
        let trouble = Arc::new(AtomicU8::new(trouble::NONE));
        let stream = build_stream(device, config, chosen.sample_format(), writer, &trouble).map_err(refuse)?;
        stream.play().map_err(refuse)?;
        Ok(Self { name: name.clone(), rate_hz, samples, trouble, _stream: stream })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Appends the samples that have come, mono, to `out`; fails when no more will come.
    pub(super) fn take_into(&mut self, out: &mut Vec<f32>) -> Result<(), MicrophoneError> {
        self.samples.try_take_into(out, usize::MAX);
        let reason = match self.trouble.load(Ordering::Acquire) {
            trouble::NONE => return Ok(()),
            trouble::GONE => "it was unplugged",
            _ => "the sound system reports an error",
        };
        Err(MicrophoneError::Lost { name: self.name.clone(), reason })
    }
}

/// The device called `name`: by what [`list`] prints, by any name that the sound system knows, or by its description.
fn find(host: &Host, name: &str) -> Result<Device, MicrophoneError> {
    let mut devices: Vec<Device> = host.input_devices().map(Iterator::collect).unwrap_or_default();
    let is_meant = |device: &Device| name_of(device) == name;
    let is_described = |device: &Device| device.description().is_ok_and(|about| about.name() == name);
    let index = devices.iter().position(is_meant).or_else(|| devices.iter().position(is_described));
    if let Some(index) = index {
        return Ok(devices.swap_remove(index));
    }
    let default = host.default_input_device().filter(is_meant);
    // A name of the configuration of ALSA, such as `plughw:1`, need not be listed to be valid.
    let by_id = || host.device_by_id(&cpal::DeviceId::new(host.id(), name));
    default.or_else(by_id).ok_or_else(|| MicrophoneError::Missing { name: name.to_owned(), found: found_instead(host) })
}

fn found_instead(host: &Host) -> String {
    let names: Vec<String> = hardware(host).iter().map(name_of).collect();
    match names.is_empty() {
        true => "there is none at all; plug one in, or name a WAV file".to_owned(),
        false => format!("found {}; name one of these, or `auto`", names.join(", ")),
    }
}

/// 16 kHz if the device offers it, else its default; few channels, and samples that lose nothing.
fn best_config(device: &Device) -> Result<SupportedStreamConfig, cpal::Error> {
    let rank = |format: SampleFormat| match format {
        SampleFormat::F32 => 0,
        SampleFormat::I16 => 1,
        SampleFormat::I32 => 2,
        _ => 3,
    };
    let at_16_khz = device
        .supported_input_configs()?
        .filter(|range| range.channels() > 0 && is_known(range.sample_format()))
        .filter_map(|range| range.try_with_sample_rate(SAMPLE_RATE_HZ))
        .min_by_key(|config| (config.channels(), rank(config.sample_format())));
    at_16_khz.map_or_else(|| device.default_input_config(), Ok)
}

fn is_known(format: SampleFormat) -> bool {
    use SampleFormat::{F32, F64, I8, I16, I32, U8, U16, U32};
    matches!(format, F32 | F64 | I8 | I16 | I32 | U8 | U16 | U32)
}

fn build_stream(
    device: &Device,
    config: StreamConfig,
    format: SampleFormat,
    writer: RingWriter<f32>,
    trouble: &Arc<AtomicU8>,
) -> Result<Stream, cpal::Error> {
    match format {
        SampleFormat::F32 => stream_of::<f32>(device, config, writer, trouble),
        SampleFormat::F64 => stream_of::<f64>(device, config, writer, trouble),
        SampleFormat::I8 => stream_of::<i8>(device, config, writer, trouble),
        SampleFormat::I16 => stream_of::<i16>(device, config, writer, trouble),
        SampleFormat::I32 => stream_of::<i32>(device, config, writer, trouble),
        SampleFormat::U8 => stream_of::<u8>(device, config, writer, trouble),
        SampleFormat::U16 => stream_of::<u16>(device, config, writer, trouble),
        SampleFormat::U32 => stream_of::<u32>(device, config, writer, trouble),
        _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
    }
}

fn stream_of<T>(
    device: &Device,
    config: StreamConfig,
    mut writer: RingWriter<f32>,
    trouble: &Arc<AtomicU8>,
) -> Result<Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let scale = 1.0 / channels as f32;
    let mean = move |frame: &[T]| audible(frame.iter().map(|sample| sample.to_sample::<f32>()).sum::<f32>() * scale);
    let flag = Arc::clone(trouble);
    device.build_input_stream::<T, _, _>(
        config,
        move |frames, _| writer.push(frames.chunks_exact(channels).map(mean)),
        move |error| match error.kind() {
            // The stream goes on: a little was lost, which shows as time without samples.
            ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            ErrorKind::DeviceNotAvailable => flag.store(trouble::GONE, Ordering::Release),
            _ => flag.store(trouble::BROKEN, Ordering::Release),
        },
        Some(OPEN_WITHIN),
    )
}

/// The end of a sentence that begins with "Cannot open the microphone X: ".
fn reason_of(error: &cpal::Error) -> String {
    match error.kind() {
        ErrorKind::DeviceBusy => "another program uses it; end that, or choose another".to_owned(),
        ErrorKind::DeviceNotAvailable => "it is not there; see `lookhear devices`".to_owned(),
        ErrorKind::PermissionDenied => "permission denied; add yourself to the group `audio`".to_owned(),
        ErrorKind::UnsupportedOperation => "it cannot record; see `lookhear devices`".to_owned(),
        _ => format!("{}; see `lookhear devices`", error.to_string().trim_end_matches('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_microphone_is_named_with_what_was_found() {
        let error = hushed(|| Capture::open(Some("no such microphone")).err()).expect("not there");
        let text = error.to_string();
        assert!(text.starts_with("Cannot find the microphone no such microphone: "), "{text}");
        assert!(text.ends_with('.') && !text.ends_with(".."), "{text}");
    }

    #[test]
    fn the_list_is_quick_and_names_each_microphone_once() {
        let begun = std::time::Instant::now();
        let mut names: Vec<String> = list().into_iter().map(|info| info.name).collect();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
