//! A program that runs for months takes all its memory at the start: from the second round over the same scene on,
//! nothing in the whole pipeline allocates for a frame.

mod allocations;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lookhear::config::{Config, PaceConfig};
use lookhear::findings::{BoxInFrame, Detection, Detections, Event, EventKind, Label};
use lookhear::flow::{Demand, Hub, Ledger, Pace, Stage, Stop, handover, ring};
use lookhear::media::{FramePool, Geometry, MediaTime, PixelFormat, Pool};
use lookhear::microphone::read_file;
use lookhear::output::{Ear, FeatureAxis, Opening, Preview, PreviewConfig, PreviewMode, PreviewWays};
use lookhear::pipeline::{Bundles, Pipeline};
use lookhear::speech::{DEFAULT_FRONT_END, Listener};

/// Frames of one round: seven seconds of the demo at its ten frames a second.
const ROUND: u64 = 70;
/// Allocations that are not a frame's: a queue that grows once more, a letter that was not drawn before.
const NOISE: u64 = 20;
/// Ten times what the slowest of these takes on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(300);

/// The tests count what all threads allocate, so one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The demo's first seconds, with their sound, so many times over.
fn scene(folder: &Path, rounds: u64) -> PathBuf {
    let (round, scene) = (folder.join("round.mkv"), folder.join("scene.mkv"));
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let (frames, seconds) = (ROUND.to_string(), (ROUND / 10).to_string());
    let ffmpeg = |configure: &dyn Fn(&mut Command)| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error"]);
        configure(&mut command);
        assert!(command.status().expect("ffmpeg is installed by scripts/setup.sh").success());
    };
    ffmpeg(&|command| {
        command.arg("-i").arg(demo.join("street.mp4")).arg("-i").arg(demo.join("commands.wav"));
        command.args(["-frames:v", &frames, "-t", &seconds, "-c:v", "mjpeg", "-q:v", "2", "-c:a", "pcm_s16le"]);
        command.arg(&round);
    });
    ffmpeg(&|command| {
        command.args(["-stream_loop", &(rounds - 1).to_string(), "-i"]).arg(&round).args(["-c", "copy"]).arg(&scene);
    });
    scene
}

/// Sleeps until `is_so`, without an allocation that is not this thread's.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it did not come to this: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn from_the_second_round_on_the_pipeline_allocates_nothing_for_a_frame() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config::default();
    let bundles = Bundles::open(&config).expect("the bundles that we ship");
    let scene = scene(folder.path(), 3).to_string_lossy().into_owned();
    (config.camera.source, config.microphone.source) = (scene.clone(), scene);
    config.run.pace = PaceConfig::Complete;
    config.preview.mode = PreviewMode::None;
    config.events.file = Some(folder.path().join("events.jsonl"));
    config.recording.file = Some(folder.path().join("recording.mkv"));

    let stop = Stop::new();
    let pipeline = Pipeline::build(&config, &bundles, &stop).expect("it fits together");
    let ledger = pipeline.ledger().clone();
    let running = std::thread::spawn(move || pipeline.run(PATIENCE).expect("there are threads"));
    let looked_at = |count: u64| {
        let edges = ledger.summary();
        edges.iter().any(|edge| edge.edge == "camera → detector" && edge.counts.used >= count)
    };
    wait_until("a round", || looked_at(ROUND));
    let before = allocations::of_other_threads();
    // Short of the end, at which everybody puts things in order.
    wait_until("two rounds more", || looked_at(3 * ROUND - 5));
    let allocated = allocations::of_other_threads() - before;
    let summary = running.join().expect("no panic");
    assert!(summary.failures.is_empty(), "{:?}", summary.failures);
    assert!(summary.ledger.iter().all(|edge| edge.counts.lost == 0), "{:?}", summary.ledger);
    assert!(allocated <= NOISE, "{allocated} allocations for {} frames", 2 * ROUND - 5);
}

/// With the panel that shows what is heard, by a real listener.
#[test]
fn after_the_first_pictures_the_preview_allocates_nothing_for_a_frame() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (stop, ledger, ways) = (Stop::new(), Ledger::new(), PreviewWays::default());
    let (writer, reader) = handover(Pace::Complete, ledger.edge("camera → preview"));
    let mut hub = Hub::new(Pace::Live, &ledger);
    let (publisher, findings) = (hub.publisher("test"), hub.subscribe("preview", false));
    // A window's process that shows nothing, needs no display for it, and says that `m` was pressed.
    let arguments = ["-c", "echo sound; exec sleep 3600"].map(Into::into).to_vec();
    let opening = Opening { program: "sh".into(), arguments, ..Opening::default() };
    let preview = Preview::new(&PreviewConfig::default(), opening, Some(reader), findings).expect("it is whole");
    let edge = ledger.edge("listener → preview");
    let ((pictures, shown), demand) = (handover(Pace::Live, edge.clone()), Demand::default());
    let ear = Ear { pictures: shown, demand: demand.clone(), axis: FeatureAxis::of(&DEFAULT_FRONT_END) };
    let mut preview = preview.timed(ways.clone()).hearing(ear);
    let (config, bundles) = (Config::default(), Bundles::open(&Config::default()).expect("the bundles that we ship"));
    let (mut microphone, samples) = ring(64_000, Pace::Live, ledger.edge("microphone → listener"));
    let listener = Listener::new(&config.keywords, bundles.keywords.as_ref(), samples, hub.publisher("listener"), true);
    let mut listener = listener.expect("it fits").shown(pictures, demand);
    // The same words in both rounds, so that no letter is new in the second.
    let sound = read_file(Path::new("assets/demo/commands.wav")).expect("the demo's sound");
    let (mut frames, mut seen, label) = (FramePool::new(6), Pool::<Detections>::new(6), Label::from("person"));
    let (watched, life) = (ways.clone(), stop.clone());
    let mut show = move |sequence: u64| {
        let time = MediaTime::of_count(sequence, 30, 1);
        let place = (sequence % 200) as usize * 533;
        microphone.push(sound[place..place + 533].iter().copied());
        let frame = frames.fill(|buffer| {
            buffer.begin(Geometry::packed(PixelFormat::Yuyv, 640, 480), sequence, time).resize(640 * 480 * 2, 90);
            Ok::<_, ()>(())
        });
        let frame = frame.and_then(Result::ok).expect("a frame is free");
        let captured = frame.captured();
        writer.give(frame, &life);
        let found = seen.fill(|found| {
            (found.frame, found.time, found.captured) = (sequence, time, captured);
            found.items.clear();
            let bounds = BoxInFrame { x: 0.1, y: 0.15, w: 0.3, h: 0.25 };
            found.items.push(Detection { label: label.clone(), score: (sequence % 100) as f32 / 100.0, bounds });
            Ok::<_, ()>(())
        });
        let kind = EventKind::Detections(found.and_then(Result::ok).expect("one is free"));
        let drawn = watched.boxes.times().count;
        publisher.publish(Event { time, at: None, kind });
        wait_until("a picture in the window", || watched.boxes.times().count > drawn);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| preview.run(&stop).expect("a preview does not fail"));
        let life = stop.clone();
        // The hub ends when nobody publishes any more: the listener goes with its thread.
        scope.spawn(move || listener.run(&life).expect("it listens"));
        scope.spawn(|| hub.run(&Stop::new()));
        (0..200).for_each(&mut show);
        let before = allocations::of_other_threads();
        (200..400).for_each(&mut show);
        let allocated = allocations::of_other_threads() - before;
        stop.request();
        drop(show);
        assert!(allocated <= NOISE, "{allocated} allocations for 200 pictures");
    });
    assert!(ways.picture.times().count >= 400, "{:?}", ways.picture.times());
    assert!(edge.counts().used > 50, "the sound was shown: {:?}", edge.counts());
}
