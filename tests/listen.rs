//! Whoever says a command is heard: the shipped bundle on real streams, and against what its recipe computed.

mod allocations;

use std::fs;
use std::path::Path;

use lookhear::findings::Keyword;
use lookhear::microphone::read_file;
use lookhear::model::{Bundle, Decision, Task};
use lookhear::speech::{ActivityGate, FeatureExtractor, GainConfig, KeywordsConfig, Scorer, Spotter, TfliteScorer};
use proptest::prelude::*;

const COMMANDS: [&str; 10] = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"];

fn bundle() -> Bundle {
    Bundle::open(Path::new("models/keywords")).expect("the bundle that we ship")
}

/// The keywords in a stream that is fed in blocks of this size.
fn heard(samples: &[f32], block: usize) -> Vec<Keyword> {
    heard_with(&KeywordsConfig::default(), samples, &[block])
}

/// The same with this configuration, in blocks of these sizes over and over.
fn heard_with(config: &KeywordsConfig, samples: &[f32], blocks: &[usize]) -> Vec<Keyword> {
    let mut spotter = Spotter::new(config, &bundle()).expect("it fits");
    let (mut found, mut rest, mut blocks) = (Vec::new(), samples, blocks.iter().cycle());
    while !rest.is_empty() {
        let (block, later) = rest.split_at(rest.len().min(*blocks.next().expect("a size")));
        spotter.hear(block, |look| found.extend(look.keyword)).expect("it runs");
        rest = later;
    }
    spotter.finish(|look| found.extend(look.keyword)).expect("it runs");
    found
}

fn scaled(samples: &[f32], gain_db: f32) -> Vec<f32> {
    let factor = 10f32.powf(gain_db / 20.0);
    samples.iter().map(|sample| sample * factor).collect()
}

fn clip(word: &str) -> Vec<f32> {
    read_file(&Path::new("tests/data/keywords").join(format!("{word}.wav"))).expect("a clip")
}

fn demo() -> Vec<f32> {
    read_file(Path::new("assets/demo/commands.wav")).expect("the demo's sound")
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
fn all_ten_of_the_demo_s_commands_are_heard_once_each_and_at_their_time() {
    let samples = demo();
    let found = named(&heard(&samples, 160));
    println!("{found:?}");
    // Word number i begins at 1.5 s + i · 2.6 s (assets/demo/make.sh) and is over within 0.6 s.
    let start =
        |word: &str| 1.5 + 2.6 * COMMANDS.iter().position(|command| *command == word).expect("a command") as f64;
    let right = found.iter().filter(|(word, time)| (start(word) + 0.15..start(word) + 0.7).contains(time)).count();
    assert_eq!(right, 10, "{found:?}");
    assert_eq!(right, found.len(), "nothing else is heard: {found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_size_of_the_blocks_changes_nothing(
        blocks in prop::collection::vec(1usize..5_000, 1..20), gain_db in -40f32..0.0, gate in any::<bool>()
    ) {
        // Gate, gain and spotter together; quiet sound, so that there is something to raise.
        let samples = scaled(&demo()[..160_000], gain_db);
        let config = KeywordsConfig { gate, ..KeywordsConfig::default() };
        let expected = heard_with(&config, &samples, &[160_000]);
        prop_assert!(!expected.is_empty());
        prop_assert_eq!(heard_with(&config, &samples, &blocks), expected);
    }

    #[test]
    fn the_gate_is_open_wherever_somebody_speaks(gain_db in -40f32..0.0, noise_db in 0f32..40.0, place in 0usize..5) {
        // A word in steady noise that is as loud as the word, over its second, or quieter.
        let word = scaled(&clip(["yes", "stop", "left", "camera", "go-in-noise"][place]), gain_db);
        let power = |samples: &[f32]| samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32;
        let mut state = 1u32;
        let mut noise: Vec<f32> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        }).take(96_000).collect();
        noise = scaled(&noise, 10.0 * (power(&word) / power(&noise)).log10() - noise_db);
        // The loudest tenth of a second is the word's.
        let loudest = (0..word.len() - 1_600).step_by(160)
            .max_by(|a, b| power(&word[*a..a + 1_600]).total_cmp(&power(&word[*b..b + 1_600]))).expect("a place");
        for (sample, spoken) in noise[64_000..].iter_mut().zip(&word) {
            *sample += spoken;
        }
        let mut gate = ActivityGate::new(16_000);
        let mut is_open = |hop: &[f32]| { gate.hear(hop); gate.is_open() };
        let open: Vec<bool> = noise.chunks_exact(160).map(&mut is_open).collect();
        // From the end of the loudest tenth until it has left the window: every look that can see the word is taken.
        let first = (64_000 + loudest + 1_600) / 160;
        prop_assert!(open[first..(first + 90).min(open.len())].iter().all(|open| *open));
        prop_assert!(!open[200..400].contains(&true), "it is closed in the noise before");
    }
}

#[test]
fn the_gate_spares_the_looks_at_silence_and_changes_no_command() {
    // The demo's gaps are noise, so that they have to be told from words by more than their level.
    let samples = [demo(), vec![0.0; 160_000], scaled(&demo(), -30.0), vec![0.0; 160_000]].concat();
    let all = heard_with(&KeywordsConfig { gate: false, ..KeywordsConfig::default() }, &samples, &[320]);
    assert!(all.len() >= 14, "{all:?}");
    assert_eq!(heard(&samples, 320), all);

    let (mut looks, mut active) = (0, 0);
    let mut spotter = Spotter::new(&KeywordsConfig::default(), &bundle()).expect("it fits");
    spotter
        .hear(&vec![0.0; 960_000], |look| {
            looks += 1;
            active += u32::from(look.is_active);
            assert!(look.is_active || look.scores[0] == 1.0, "silence is told as silence");
        })
        .expect("it runs");
    assert!(looks == 591 && active < 5, "{active} of {looks} looks at a minute of silence");
}

#[test]
fn a_quiet_microphone_is_raised_and_heard_more_like_a_loud_one() {
    // The scores of all looks at the second of two rounds, by when the gain has come up.
    let scores = |gain, samples: &[f32]| {
        let mut spotter =
            Spotter::new(&KeywordsConfig { gain, ..KeywordsConfig::default() }, &bundle()).expect("it fits");
        let mut scores = Vec::new();
        spotter.hear(samples, |_| {}).expect("it runs");
        spotter.hear(samples, |look| scores.extend_from_slice(look.scores)).expect("it runs");
        scores
    };
    let (loud, quiet) = (scores(GainConfig::Off, &demo()), scaled(&demo(), -50.0));
    let distance = |gain| -> f32 { scores(gain, &quiet).iter().zip(&loud).map(|(a, b)| (a - b).abs()).sum() };
    let (off, auto, fixed) = (distance(GainConfig::Off), distance(GainConfig::Auto), distance(GainConfig::Fixed(40.0)));
    println!("off by {off} without, {auto} with the automatic gain, {fixed} with 40 dB");
    assert!(auto < off && fixed < off, "{auto} or {fixed} against {off}");
}

#[test]
fn after_a_wake_word_the_others_are_told_for_a_while() {
    let words = |listen_after: &str, listen_for_s| {
        let listen_after = Some(listen_after.to_owned());
        let config = KeywordsConfig { listen_after, listen_for_s, ..KeywordsConfig::default() };
        named(&heard_with(&config, &demo(), &[320])).into_iter().map(|(word, _)| word).collect::<Vec<_>>()
    };
    let all: Vec<String> = named(&heard(&demo(), 320)).into_iter().map(|(word, _)| word).collect();
    let wake = all.iter().position(|word| word == "left").expect("the demo says left");
    // A word every 2.6 s: each keeps it awake for the next, or none does.
    assert_eq!(words("left", 5.5), all[wake..]);
    assert_eq!(words("left", 1.5), ["left"]);

    let refused = |listen_after: &str, listen_for_s| {
        let listen_after = Some(listen_after.to_owned());
        let config = KeywordsConfig { listen_after, listen_for_s, ..KeywordsConfig::default() };
        Spotter::new(&config, &bundle()).map(drop).expect_err("refused").to_string()
    };
    let text = refused("goo", 5.0);
    assert!(text.starts_with("Cannot listen after \"goo\": ") && text.contains("it knows go, "), "{text}");
    assert!(refused("silence", 5.0).contains("does not know that word"));
    assert!(refused("go", 0.0).contains("more than 0 s") && refused("go", f64::NAN).contains("NaN"));
}

#[test]
fn a_bundle_s_own_threshold_of_a_word_is_honoured() {
    let bundle = bundle();
    let Task::Keywords { front_end, decision } = &bundle.task else { panic!("a bundle for keywords") };
    let words = |thresholds: &[(&str, f32)], config: &KeywordsConfig| {
        let thresholds = thresholds.iter().map(|(word, threshold)| ((*word).to_owned(), *threshold)).collect();
        let decision = Decision { thresholds, ..decision.clone() };
        let rows = FeatureExtractor::new(front_end).expect("right").rows();
        let scorer = TfliteScorer::new(bundle.model.clone(), 1, rows, bundle.labels.len()).expect("it loads");
        let mut spotter =
            Spotter::with_scorer(config, front_end, &decision, &bundle.labels, Box::new(scorer)).expect("it fits");
        let mut found = Vec::new();
        spotter.hear(&demo(), |look| found.extend(look.keyword)).expect("it runs");
        named(&found).into_iter().map(|(word, _)| word).collect::<Vec<_>>()
    };
    let config = KeywordsConfig::default();
    let all = words(&[], &config);
    assert!(all.contains(&"yes".to_owned()));
    let others: Vec<String> = all.iter().filter(|word| *word != "yes").cloned().collect();
    assert_eq!(words(&[("yes", 1.0)], &config), others);
    // The user's own wins over the bundle's.
    let of_user = KeywordsConfig { thresholds: [("yes".to_owned(), 0.5)].into(), ..KeywordsConfig::default() };
    assert_eq!(words(&[("yes", 1.0)], &of_user), all);
}

#[test]
fn a_word_said_twice_is_heard_twice_and_a_word_at_the_edges_of_a_recording_once() {
    for (word, pause_s) in [("yes", 0.0), ("yes", 0.4), ("stop", 0.0), ("left", 0.0), ("left", 1.0)] {
        // Each clip is a second, so between two words without a pause lies half a second.
        let clip = clip(word);
        let pause = vec![0.0; (pause_s * 16_000.0) as usize];
        let twice = [vec![0.0; 8_000], clip.clone(), pause, clip, vec![0.0; 8_000]].concat();
        let words: Vec<String> = named(&heard(&twice, 160)).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, [word, word], "with {pause_s} s between the clips");
    }
    let yes = clip("yes");
    // The clip alone, whose second ends with the file: only the silence after the end lets it be decided.
    let alone: Vec<String> = named(&heard(&yes, 160)).into_iter().map(|(word, _)| word).collect();
    assert_eq!(alone, ["yes"]);
}

#[test]
fn silence_noise_and_too_short_sounds_are_no_commands() {
    let noise = clip("silence");
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
    let samples = demo();
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
