//! Whoever says a command is heard: the shipped bundle on real streams, and against what its recipe computed.

mod allocations;

use std::fs;
use std::path::Path;

use lookhear::findings::Keyword;
use lookhear::microphone::read_file;
use lookhear::model::Bundle;
use lookhear::model::Task;
use lookhear::speech::{FeatureExtractor, KeywordsConfig, Scorer, Spotter, TfliteScorer};

const COMMANDS: [&str; 10] = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"];

fn bundle() -> Bundle {
    Bundle::open(Path::new("models/keywords")).expect("the bundle that we ship")
}

/// The keywords in a stream that is fed in blocks of this size.
fn heard(samples: &[f32], block: usize) -> Vec<Keyword> {
    let mut spotter = Spotter::new(&KeywordsConfig::default(), &bundle()).expect("it fits");
    let mut found = Vec::new();
    for block in samples.chunks(block) {
        spotter.hear(block, |look| found.extend(look.keyword)).expect("it runs");
    }
    spotter.finish(|look| found.extend(look.keyword)).expect("it runs");
    found
}

fn named(found: &[Keyword]) -> Vec<(String, f64)> {
    found.iter().map(|keyword| (keyword.label.to_string(), keyword.time.as_secs())).collect()
}

/// The values of a `.npy` file of 32-bit floats.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).expect("a file");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[start..].as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

#[test]
fn features_and_scores_equal_those_of_the_recipe() {
    let folder = Path::new("tests/data/keywords");
    let expected = fs::read_to_string(folder.join("expected.json")).expect("the expected numbers");
    let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
    let bundle = bundle();
    assert_eq!(expected["model_sha256"], bundle.sha256(), "the numbers are of another model: run parity.py again");
    let Task::Keywords { front_end, .. } = &bundle.task else { panic!("a bundle for keywords") };
    let mut extractor = FeatureExtractor::new(front_end).expect("right");
    let (rows, labels) = (extractor.rows(), bundle.labels.len());
    let mut scorer = TfliteScorer::new(bundle.model.clone(), 1, rows, labels).expect("it loads");
    let (mut scores, mut worst) = (vec![0.0; labels], (0f32, 0f64));
    for clip in expected["clips"].as_array().expect("clips") {
        let name = clip["wav"].as_str().expect("a name");
        let ours = extractor.columns(&read_file(&folder.join(name)).expect("a clip"));
        let golden = npy(&folder.join(clip["log_mel"].as_str().expect("a name")));
        assert_eq!(ours.len(), golden.len(), "{name}");
        for (our, golden) in ours.iter().zip(&golden) {
            let difference = (our - golden).abs();
            assert!(difference < if *golden > -6.0 { 1e-3 } else { 2e-2 }, "{name}: {our} against {golden}");
            worst.0 = worst.0.max(difference);
        }
        scorer.score_into([&ours, &[]], &mut scores).expect("it runs");
        let golden = clip["scores"].as_array().expect("scores");
        for (our, golden) in scores.iter().zip(golden) {
            let difference = (f64::from(*our) - golden.as_f64().expect("a score")).abs();
            assert!(difference < 0.01, "{name}: {our} against {golden}");
            worst.1 = worst.1.max(difference);
        }
        let best = (0..labels).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).expect("labels");
        assert_eq!(&*bundle.labels[best], clip["answer"].as_str().expect("a label"), "{name}");
    }
    println!("largest differences: log-mel {:.1e}, score {:.1e}", worst.0, worst.1);
}

#[test]
fn at_least_seven_of_the_demo_s_commands_are_heard_once_each_and_at_their_time() {
    let samples = read_file(Path::new("assets/demo/commands.wav")).expect("the demo's sound");
    let found = named(&heard(&samples, 160));
    println!("{found:?}");
    // Word number i begins at 1.5 s + i · 2.6 s (assets/demo/make.sh) and is over within 0.6 s.
    let start =
        |word: &str| 1.5 + 2.6 * COMMANDS.iter().position(|command| *command == word).expect("a command") as f64;
    let right = found.iter().filter(|(word, time)| (start(word) + 0.15..start(word) + 0.7).contains(time)).count();
    assert!(right >= 7, "{right} of ten: {found:?}");
    assert_eq!(right, found.len(), "nothing else is heard: {found:?}");
}

#[test]
fn the_size_of_the_blocks_changes_nothing() {
    let samples = read_file(Path::new("assets/demo/commands.wav")).expect("the demo's sound");
    let expected = heard(&samples[..160_000], 160_000);
    assert!(!expected.is_empty());
    for block in [97, 1_600, 4_001] {
        assert_eq!(heard(&samples[..160_000], block), expected, "blocks of {block}");
    }
}

#[test]
fn a_word_said_twice_is_heard_twice_and_a_word_at_the_edges_of_a_recording_once() {
    for (word, pause_s) in [("yes", 0.0), ("yes", 0.4), ("stop", 0.0), ("left", 0.0), ("left", 1.0)] {
        // Each clip is a second, so between two words without a pause lies half a second.
        let clip = read_file(&Path::new("tests/data/keywords").join(format!("{word}.wav"))).expect("a clip");
        let pause = vec![0.0; (pause_s * 16_000.0) as usize];
        let twice = [vec![0.0; 8_000], clip.clone(), pause, clip, vec![0.0; 8_000]].concat();
        let words: Vec<String> = named(&heard(&twice, 160)).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, [word, word], "with {pause_s} s between the clips");
    }
    let yes = read_file(Path::new("tests/data/keywords/yes.wav")).expect("a clip");
    // The clip alone, whose second ends with the file: only the silence after the end lets it be decided.
    let alone: Vec<String> = named(&heard(&yes, 160)).into_iter().map(|(word, _)| word).collect();
    assert_eq!(alone, ["yes"]);
}

#[test]
fn silence_noise_and_too_short_sounds_are_no_commands() {
    let noise = read_file(Path::new("tests/data/keywords/silence.wav")).expect("a clip");
    assert_eq!(heard(&noise.repeat(20), 160), []);
    assert_eq!(heard(&vec![0.0; 160_000], 160), []);
    assert_eq!(heard(&[], 160), []);
    assert_eq!(heard(&[0.1; 100], 160), []);
}

#[test]
fn thresholds_of_words_that_are_not_known_are_refused_with_the_nearest() {
    let bundle = bundle();
    let with = |word: &str, threshold: f32| {
        let config = KeywordsConfig { thresholds: [(word.to_owned(), threshold)].into(), ..KeywordsConfig::default() };
        Spotter::new(&config, &bundle).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(with("stop", 0.5), Ok(()));
    let text = with("stopp", 0.5).expect_err("no such word");
    assert!(text.starts_with("Cannot set a threshold for \"stopp\": ") && text.contains("it knows stop, "), "{text}");
    assert!(with("silence", 0.5).is_err(), "silence is no command");
    assert!(with("stop", f32::NAN).expect_err("no share").contains("between 0 and 1"));
}

#[test]
fn hearing_allocates_nothing() {
    let samples = read_file(Path::new("assets/demo/commands.wav")).expect("the demo's sound");
    let mut spotter = Spotter::new(&KeywordsConfig::default(), &bundle()).expect("it fits");
    let (mut looks, mut words) = (0, 0);
    let mut tell = |look: lookhear::speech::Look<'_>| {
        looks += 1;
        words += u32::from(look.keyword.is_some());
    };
    // The engine's first inference may still arrange its memory.
    spotter.hear(&samples[..20_000], &mut tell).expect("it runs");
    let before = allocations::of_this_thread();
    spotter.hear(&samples[20_000..], &mut tell).expect("it runs");
    assert_eq!(allocations::of_this_thread() - before, 0);
    assert!(looks > 260 && words >= 7, "{looks} looks, {words} words");
}
