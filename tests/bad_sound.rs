//! Sound that is not what it should be: each case is one clear sentence, and nothing panics.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lookhear::flow::{Ledger, Pace, Stage, StageError, Stop, ring};
use lookhear::microphone::{Microphone, MicrophoneConfig, read_file};
use tempfile::TempDir;

/// A WAV file with this format chunk and so many bytes of data announced and written.
fn wav(format: &[u8], announced: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((4 + 8 + format.len() as u32 + 8 + announced).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend((format.len() as u32).to_le_bytes());
    bytes.extend(format);
    bytes.extend(b"data");
    bytes.extend(announced.to_le_bytes());
    bytes.extend(data);
    bytes
}

/// The format chunk of a kind of samples: 1 is PCM, 3 floats, 2 ADPCM, 0x55 MP3.
fn format(tag: u16, channels: u16, rate_hz: u32, bits: u16) -> Vec<u8> {
    let frame = match bits {
        0 => 1,
        4 => 256,
        _ => channels.wrapping_mul(bits / 8),
    };
    let mut bytes = Vec::new();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend(rate_hz.wrapping_mul(frame.into()).to_le_bytes());
    bytes.extend(frame.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes
}

fn written(folder: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("test.wav");
    fs::write(&path, bytes).expect("room");
    path
}

/// Reads the file and asserts that the message is one sentence that names it and contains `reason`.
fn assert_refused(path: &Path, reason: &str) {
    let text = read_file(path).expect_err(reason).to_string();
    assert!(text.starts_with(&format!("Cannot read {}: ", path.display())), "{text}");
    assert!(text.contains(reason) && text.ends_with('.') && !text.contains('\n'), "{text}");
    // The stage refuses it before anything is started.
    let config = MicrophoneConfig { source: path.display().to_string(), ..MicrophoneConfig::default() };
    if path.extension().is_some() {
        let stage = Microphone::new(&config, Pace::Complete, Instant::now(), Vec::new());
        assert_eq!(stage.expect_err(reason).to_string(), text);
    }
}

#[test]
fn files_that_are_no_sound_are_refused_in_one_sentence() {
    let folder = tempfile::tempdir().expect("room");
    let pcm = format(1, 1, 16_000, 16);
    let cases: [(&str, Vec<u8>); 12] = [
        ("it ends within its header", Vec::new()),
        ("it ends within its header", b"RIFF\x10\0\0\0WA".to_vec()),
        ("no WAV file of plain PCM samples", b"This is a text, and no sound at all. It goes on for a while.".to_vec()),
        ("it has no samples", wav(&pcm, 0, &[])),
        ("no WAV file of plain PCM samples", wav(&format(2, 1, 16_000, 4), 8, &[0; 8])),
        ("no WAV file of plain PCM samples", wav(&format(0x55, 1, 16_000, 0), 8, &[0; 8])),
        ("", wav(&format(1, 1, u32::MAX, 16), 8, &[0; 8])),
        ("0 samples a second, which cannot be", wav(&format(1, 1, 0, 16), 8, &[0; 8])),
        ("", wav(&format(1, 0, 16_000, 16), 8, &[0; 8])),
        ("channels at", wav(&format(1, 500, 16_000, 16), 1000, &[0; 1000])),
        ("", wav(&format(1, 1, 16_000, 13), 8, &[0; 8])),
        ("", wav(&[], 8, &[0; 8])),
    ];
    for (reason, bytes) in cases {
        assert_refused(&written(&folder, &bytes), reason);
    }
}

#[test]
fn a_missing_file_and_a_folder_are_refused() {
    let folder = tempfile::tempdir().expect("room");
    assert_refused(&folder.path().join("missing.wav"), "there is no such file");
    assert_refused(&folder.path().join("missing.mp3"), "there is no such file");
    let text = read_file(folder.path()).expect_err("a folder").to_string();
    assert!(text.contains("it is a folder"), "{text}");
}

#[test]
fn of_a_file_that_was_cut_short_what_there_is_is_heard() {
    let folder = tempfile::tempdir().expect("room");
    let data: Vec<u8> = (0..3_200i16).flat_map(i16::to_le_bytes).collect();
    // A recorder that was killed announces more than it wrote, and may stop within a sample.
    for cut in [0, 1] {
        let path = written(&folder, &wav(&format(1, 1, 16_000, 16), 64_000, &data[..data.len() - cut]));
        let samples = read_file(&path).expect("it is heard");
        assert_eq!(samples.len(), 3_200 - cut);
        assert_eq!(samples[1_600], 1_600.0 / 32_768.0);
    }
    // Nothing at all was written after the header.
    let path = written(&folder, &wav(&format(1, 1, 16_000, 16), 64_000, &[]));
    assert!(read_file(&path).expect_err("empty").to_string().contains("it has no samples"));
}

#[test]
fn samples_of_every_usual_form_are_read() {
    let folder = tempfile::tempdir().expect("room");
    let floats: Vec<u8> = [0.5f32, f32::NAN, f32::INFINITY, -0.25].into_iter().flat_map(f32::to_le_bytes).collect();
    let forms: [(u16, u16, &[u8], &[f32]); 5] = [
        (1, 8, &[128, 192, 0, 64], &[0.0, 0.5, -1.0, -0.5]),
        (1, 16, &[0, 0, 0, 64, 0, 128], &[0.0, 0.5, -1.0]),
        (1, 24, &[0, 0, 0, 0, 0, 64, 0, 0, 128], &[0.0, 0.5, -1.0]),
        (1, 32, &[0, 0, 0, 64, 0, 0, 0, 128], &[0.5, -1.0]),
        (3, 32, &floats, &[0.5, 0.0, 0.0, -0.25]),
    ];
    for (tag, bits, data, expected) in forms {
        let path = written(&folder, &wav(&format(tag, 1, 16_000, bits), data.len() as u32, data));
        assert_eq!(read_file(&path).expect("sound"), expected, "{bits} bits");
    }
}

#[test]
fn no_byte_of_a_header_makes_the_reader_panic() {
    let folder = tempfile::tempdir().expect("room");
    let whole = wav(&format(1, 2, 16_000, 16), 400, &[7; 400]);
    for place in 0..44 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] = value;
            // Some are still sound; what counts is that it comes back.
            let _ = read_file(&written(&folder, &bytes));
        }
        let _ = read_file(&written(&folder, &whole[..place]));
    }
}

#[test]
fn a_microphone_of_that_name_is_looked_for_again_and_told_of() {
    let config = MicrophoneConfig { source: "no such microphone".to_owned(), ..MicrophoneConfig::default() };
    let (writer, _reader) = ring(16, Pace::Live, Ledger::new().edge("test"));
    let mut microphone = Microphone::new(&config, Pace::Live, Instant::now(), vec![writer]).expect("checked later");
    let Err(StageError::Retry(error)) = microphone.run(&Stop::new()) else { panic!("it may be plugged in later") };
    assert!(error.to_string().starts_with("Cannot find the microphone no such microphone: "), "{error}");
}

#[test]
fn raw_samples_on_standard_input_need_a_believable_rate() {
    let config = MicrophoneConfig { source: "-".to_owned(), pipe_rate_hz: 7, ..MicrophoneConfig::default() };
    let text = Microphone::new(&config, Pace::Complete, Instant::now(), Vec::new()).expect_err("7 Hz").to_string();
    assert!(text.starts_with("Cannot convert the sound: 7 samples a second "), "{text}");
}

#[test]
fn a_flac_file_has_the_samples_of_the_wav_it_was_made_of() {
    let folder = Path::new("tests/data/keywords");
    let flac = read_file(&folder.join("yes.flac")).expect("a FLAC file");
    assert_eq!(flac, read_file(&folder.join("yes.wav")).expect("a WAV file"));
}

#[test]
fn flac_that_is_none_or_is_cut_short_is_refused() {
    let folder = tempfile::tempdir().expect("room");
    let whole = fs::read("tests/data/keywords/yes.flac").expect("a FLAC file");
    let path = folder.path().join("test.flac");
    for (bytes, reason) in [
        (&b""[..], "it ends too early to be a FLAC file"),
        (b"fLa", "it ends too early to be a FLAC file"),
        (b"RIFF and no FLAC at all", "it is no sound FLAC file"),
        (&whole[..20], "it ends too early to be a FLAC file"),
    ] {
        fs::write(&path, bytes).expect("room");
        assert_refused(&path, reason);
    }
    assert_refused(&folder.path().join("gone.flac"), "there is no such file; check the path");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn no_damage_to_a_flac_file_makes_it_panic(
        damage in proptest::collection::vec((0usize..2000, 0u8..=255), 1..8), end in 0usize..20_000
    ) {
        let mut bytes = fs::read("tests/data/keywords/yes.flac").expect("a FLAC file");
        damage.iter().for_each(|(place, value)| bytes[*place] = *value);
        bytes.truncate(end.max(42));
        let folder = tempfile::tempdir().expect("room");
        let path = folder.path().join("damaged.flac");
        fs::write(&path, &bytes).expect("room");
        if let Ok(samples) = read_file(&path) {
            proptest::prop_assert!(samples.iter().all(|sample| sample.is_finite()));
        }
    }
}
