//! Where sound comes from, as the user writes it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The microphone's part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MicrophoneConfig {
    /// Where sound comes from: `auto` (the system's default microphone), `none`, the name of a microphone as
    /// `lookhear devices` prints it, a WAV or FLAC file, anything else that ffmpeg reads (a film, an address), or `-` for raw
    /// 16-bit samples on standard input. Default: `auto`.
    pub source: String,
    /// Samples a second on standard input, 4000 to 768000. Default: 16000.
    pub pipe_rate_hz: u32,
    /// Channels on standard input, 1 to 64. Default: 1.
    pub pipe_channels: u16,
}

impl Default for MicrophoneConfig {
    fn default() -> Self {
        Self { source: "auto".to_owned(), pipe_rate_hz: 16_000, pipe_channels: 1 }
    }
}

impl MicrophoneConfig {
    /// Whether nothing is to be heard.
    pub fn is_none(&self) -> bool {
        Source::parse(&self.source) == Source::None
    }

    /// Whether the source runs in real time by itself; see [`Source::is_live`].
    pub fn is_live(&self) -> bool {
        Source::parse(&self.source).is_live()
    }
}

/// Where sound comes from, as decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    None,
    /// The system's default microphone, or the first that works.
    Default,
    /// The microphone of this name.
    Device(String),
    /// A WAV file.
    Wav(PathBuf),
    /// A FLAC file.
    Flac(PathBuf),
    /// A file of another form, or an address: for ffmpeg.
    Track(String),
    /// Raw samples on standard input.
    Pipe,
}

impl Source {
    /// What the user means by `text`; the grammar is [`MicrophoneConfig::source`]'s.
    ///
    /// A name with a slash, and the name of a file that exists, is a file; a name with `://` an address; any other name
    /// that does not end in `.wav` or `.flac` a device. Nothing is opened.
    pub fn parse(text: &str) -> Self {
        let path = Path::new(text);
        let ends_in =
            |ending| path.extension().and_then(OsStr::to_str).is_some_and(|end| end.eq_ignore_ascii_case(ending));
        match text.trim() {
            "" | "auto" => Self::Default,
            "none" => Self::None,
            "-" => Self::Pipe,
            address if address.contains("://") => Self::Track(address.to_owned()),
            _ if ends_in("wav") => Self::Wav(path.to_owned()),
            _ if ends_in("flac") => Self::Flac(path.to_owned()),
            _ if text.contains('/') || path.exists() => Self::Track(text.to_owned()),
            name => Self::Device(name.to_owned()),
        }
    }

    /// Whether sound comes in real time whatever the reader does: of a microphone, and of a stream from the network.
    ///
    /// Standard input is not: who writes waits for who reads.
    pub fn is_live(&self) -> bool {
        const LIVE_SCHEMES: [&str; 7] = ["rtsp", "rtsps", "rtmp", "rtp", "udp", "srt", "mms"];
        match self {
            Self::Default | Self::Device(_) => true,
            Self::Track(track) => track.split_once("://").is_some_and(|(scheme, _)| LIVE_SCHEMES.contains(&scheme)),
            Self::None | Self::Wav(_) | Self::Flac(_) | Self::Pipe => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_what_its_name_looks_like() {
        let track = |text: &str| Source::Track(text.to_owned());
        let expected = [
            ("auto", Source::Default, true),
            ("none", Source::None, false),
            ("-", Source::Pipe, false),
            ("hw:CARD=Device,DEV=0", Source::Device("hw:CARD=Device,DEV=0".to_owned()), true),
            ("USB Audio", Source::Device("USB Audio".to_owned()), true),
            ("speech.wav", Source::Wav("speech.wav".into()), false),
            ("a/b.WAV", Source::Wav("a/b.WAV".into()), false),
            ("speech.Flac", Source::Flac("speech.Flac".into()), false),
            ("missing/film.mp4", track("missing/film.mp4"), false),
            ("Cargo.toml", track("Cargo.toml"), false),
            ("rtsp://camera/live", track("rtsp://camera/live"), true),
            ("https://host/talk.wav", track("https://host/talk.wav"), false),
        ];
        for (text, source, is_live) in expected {
            assert_eq!(Source::parse(text), source, "{text}");
            assert_eq!(source.is_live(), is_live, "{text}");
        }
    }
}
