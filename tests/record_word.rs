//! Somebody records a word of their own: a file plays the microphone, two seconds a take.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

/// What is said in a take.
enum Said {
    /// A clip of a word, so many times as loud, from so many samples on.
    Word(&'static str, f32, usize),
    Nothing,
}

/// Takes of two seconds, one after the other, in a room that is not quite silent.
fn recording(path: &Path, takes: &[Said]) {
    let (sample_format, bits_per_sample) = (hound::SampleFormat::Int, 16);
    let spec = hound::WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample, sample_format };
    let mut writer = hound::WavWriter::create(path, spec).expect("room");
    for said in takes {
        let mut take: Vec<f32> = (0..32_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 27) as f32 - 15.5).collect();
        if let Said::Word(clip, gain, from) = said {
            let mut clip = hound::WavReader::open(format!("tests/data/keywords/{clip}.wav")).expect("a clip");
            for (place, sample) in take[*from..].iter_mut().zip(clip.samples::<i16>()) {
                *place += f32::from(sample.expect("whole")) * gain;
            }
        }
        take.iter().for_each(|sample| writer.write_sample(*sample as i16).expect("room"));
    }
    writer.finalize().expect("room");
}

fn record(word: &str, into: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("lookhear").expect("it is built");
    command.args(["record-word", word, "--speaker", "ada", "--into"]).arg(into).args(more).assert()
}

/// The names of the files in a folder, with their numbers of samples.
fn clips(folder: &Path) -> Vec<(String, u32)> {
    let files = fs::read_dir(folder).expect("the folder of the word").flatten();
    let mut clips: Vec<_> = files
        .map(|file| {
            let reader = hound::WavReader::open(file.path()).expect("a WAV file");
            let spec = reader.spec();
            assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 16_000, 16));
            (file.file_name().to_string_lossy().into_owned(), reader.duration())
        })
        .collect();
    clips.sort();
    clips
}

#[test]
fn good_takes_become_clips_and_of_the_others_it_is_said_what_to_do() {
    let room = tempfile::tempdir().expect("room");
    let (sound, words) = (room.path().join("sound.wav"), room.path().join("words"));
    recording(
        &sound,
        &[
            Said::Word("yes", 0.6, 9_000),
            Said::Nothing,
            Said::Word("yes", 0.02, 9_000),
            Said::Word("yes", 6.0, 9_000),
            Said::Word("yes", 0.6, 24_000),
            Said::Word("yes", 0.8, 4_000),
            Said::Word("stop", 0.6, 9_000),
        ],
    );
    let sound = sound.to_string_lossy().into_owned();
    let done = record("yes", &words, &["--takes", "2", "--microphone", &sound]).success();
    let said = String::from_utf8(done.get_output().stdout.clone()).expect("text");
    let said: Vec<&str> = said.lines().map(str::trim).collect();
    let starts = [
        "take 1 of 2",
        "kept ",
        "take 2 of 2",
        "No word was heard: ",
        "take 2 of 2",
        "It was too quiet (peak -",
        "take 2 of 2",
        "It was too loud and is distorted: ",
        "take 2 of 2",
        "Its end is missing: ",
        "take 2 of 2",
        "kept ",
        "2 of 2 takes are in ",
    ];
    assert_eq!(said.len(), starts.len(), "{said:#?}");
    assert!(said.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{said:#?}");
    let folder = words.join("yes");
    let expected = |count: u32| (0..count).map(|n| (format!("fdee430d_nohash_{n}.wav"), 16_000)).collect::<Vec<_>>();
    assert_eq!(clips(&folder), expected(2));

    // The next day: counting goes on, and the file ends before the takes do.
    let before = fs::read(folder.join("fdee430d_nohash_0.wav")).expect("a clip");
    record("yes", &words, &["--takes", "9", "--microphone", &sound]).success().stdout(contains("3 of 9 takes are in"));
    assert_eq!(clips(&folder), expected(5));
    assert_eq!(fs::read(folder.join("fdee430d_nohash_0.wav")).expect("a clip"), before);
}

#[test]
fn a_spotter_hears_the_word_in_the_clips() {
    let room = tempfile::tempdir().expect("room");
    let sound = room.path().join("sound.wav");
    recording(&sound, &[Said::Word("left", 0.9, 11_000), Said::Word("left", 0.3, 2_000)]);
    record("left", room.path(), &["--takes", "2", "--microphone", &sound.to_string_lossy()]).success();
    let mut eval = Command::cargo_bin("lookhear").expect("it is built");
    let measured = eval.args(["eval", "keywords", "--json", "--data"]).arg(room.path()).assert().success();
    let measured: serde_json::Value = serde_json::from_slice(&measured.get_output().stdout).expect("JSON");
    assert_eq!((&measured["clips"], &measured["accuracy"]), (&2.into(), &1.0.into()), "{measured}");
}

#[test]
fn what_cannot_be_recorded_is_said_in_one_sentence() {
    let room = tempfile::tempdir().expect("room");
    for word in ["../escaped", "a/b", "", "_silence_", "two words"] {
        record(word, room.path(), &["--microphone", "none"]).code(2);
    }
    let one_sentence =
        |text: &'static str| contains(text).and(predicate::function(|text: &str| text.trim_end().lines().count() == 1));
    record("yes", room.path(), &["--microphone", "none"])
        .code(1)
        .stderr(one_sentence("Cannot record from no microphone"));
    record("yes", room.path(), &["--microphone", "missing.wav"]).code(1).stderr(one_sentence("there is no such file"));
    let silence = room.path().join("silence.wav");
    recording(&silence, &[Said::Nothing, Said::Nothing]);
    record("yes", room.path(), &["--microphone", &silence.to_string_lossy()])
        .code(1)
        .stderr(one_sentence("No clip of \"yes\" came of it"));
    fs::write(room.path().join("taken"), "no folder").expect("room");
    record("yes", &room.path().join("taken"), &["--microphone", &silence.to_string_lossy()])
        .code(1)
        .stderr(one_sentence("Cannot write into "));
    assert!(!room.path().join("escaped").exists());
}
