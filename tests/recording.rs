//! Somebody records: every box is on its own frame, picture and sound are both there and of the right length, and the
//! file can be played however the recording ended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lookhear::findings::{BoxInFrame, Detection, Detections, Event, EventKind, Hearing, Keyword};
use lookhear::flow::{Hub, Ledger, Pace, Stage, Stop, handover, ring};
use lookhear::media::{FramePool, Geometry, Levels, MediaTime, PixelFormat, Pool, SAMPLE_RATE_HZ};
use lookhear::output::Recording;
use lookhear::output::draw::colour_of;
use serde_json::Value;

const SIZE: (u32, u32) = (320, 240);
const RATE_HZ: u32 = 10;

/// What is recorded.
#[derive(Clone, Copy)]
struct Scenario {
    pace: Pace,
    frames: u64,
    sound_s: f64,
    /// How long the detector takes for a frame; `None` is no detector.
    detector: Option<Duration>,
    /// When somebody asks to stop.
    stop_after: Option<Duration>,
}

/// In real life: camera, detector, microphone and listener, each on its thread; they know nothing of the recording.
fn record(target: &Path, scenario: Scenario) {
    let Scenario { pace, frames, sound_s, detector, stop_after } = scenario;
    let (stop, ledger) = (Stop::new(), Ledger::new());
    let mut hub = Hub::new(pace, &ledger);
    let (to_detector, detector_frames) = handover(pace, ledger.edge("camera → detector"));
    let (to_recording, recording_frames) = handover(pace, ledger.edge("camera → recording"));
    // Rings that are short beside the sound, so that a sink that does not read holds everybody up.
    let (mut to_listener, mut listener_samples) = ring(4000, pace, ledger.edge("microphone → listener"));
    let (mut to_tape, tape_samples) = ring(4000, pace, ledger.edge("microphone → recording"));
    let detections_of = detector.map(|_| hub.publisher("detector"));
    let heard = hub.publisher("listener");
    let news = hub.aside("supervisor");
    let findings = hub.subscribe("recording", true);
    let recording =
        Recording::new(target, Some(recording_frames), Some(tape_samples), findings, pace, detector.is_some());
    let mut recording = recording.expect("ffmpeg is installed and the folder is there");
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || hub.run(&Stop::new()));
        let at_work = scope.spawn(move || recording.run(stop));
        let camera = scope.spawn(move || {
            let mut pool = FramePool::new(8);
            for sequence in 0..frames {
                let time = MediaTime::of_count(sequence, RATE_HZ, 1);
                let frame = pool.fill(|buffer| {
                    let grey = buffer.begin(Geometry::packed(PixelFormat::Grey, SIZE.0, SIZE.1), sequence, time);
                    grey.resize(SIZE.0 as usize * SIZE.1 as usize, 100);
                    Ok::<_, ()>(())
                });
                let frame = frame.expect("a frame is free").expect("filled");
                to_detector.give(frame.clone(), stop);
                to_recording.give(frame, stop);
                if pace == Pace::Live && !stop.sleep(Duration::from_millis(1000 / u64::from(RATE_HZ))) {
                    break;
                }
            }
        });
        let seeing = scope.spawn(move || {
            let mut pool = Pool::<Detections>::new(16);
            while let (Some(publisher), Some(frame)) = (&detections_of, detector_frames.next(stop)) {
                std::thread::sleep(detector.unwrap_or_default());
                let seen = pool.fill(|detections| {
                    (detections.frame, detections.time) = (frame.sequence(), frame.time());
                    detections.items = vec![person_in(frame.sequence())];
                    Ok::<_, ()>(())
                });
                let kind = EventKind::Detections(seen.expect("one is free").expect("filled"));
                publisher.publish(Event { time: frame.time(), at: None, kind });
            }
        });
        scope.spawn(move || {
            let total = (sound_s * f64::from(SAMPLE_RATE_HZ)) as usize;
            let sine: Vec<f32> = (0..total).map(|n| (n as f32 * 0.2).sin() * 0.5).collect();
            for block in sine.chunks(1600) {
                to_listener.give(block, stop);
                if !to_tape.give(block, stop) || (pace == Pace::Live && !stop.sleep(Duration::from_millis(100))) {
                    break;
                }
            }
        });
        let hearing = scope.spawn(move || {
            let (mut block, mut taken) = (Vec::new(), 0);
            while listener_samples.take_into(&mut block, 1600, stop) > 0 {
                taken += block.len() as u64;
                block.clear();
                let time = MediaTime::of_count(taken, SAMPLE_RATE_HZ, 1);
                let levels = Levels { peak_dbfs: -6.0, rms_dbfs: -9.0 };
                heard.publish(Event { time, at: None, kind: EventKind::Hearing(Hearing { time, levels }) });
                if taken == u64::from(SAMPLE_RATE_HZ) {
                    let keyword = Keyword { label: "go".into(), score: 0.9, time, decided: time };
                    heard.publish(Event { time, at: None, kind: EventKind::Keyword(keyword) });
                }
                heard.reached(time);
            }
        });
        if let Some(after) = stop_after {
            std::thread::sleep(after);
            stop.request();
        }
        // As in the pipeline, the hub stays open until all that feed it have ended, however they do.
        for worker in [camera, seeing, hearing] {
            worker.join().expect("no panic");
        }
        drop(news);
        at_work.join().expect("no panic").expect("it records");
    });
}

/// A box that is somewhere else in each frame.
fn person_in(frame: u64) -> Detection {
    let bounds = BoxInFrame { x: left_of(frame) as f32 / SIZE.0 as f32, y: 0.5, w: 0.2, h: 0.3 };
    Detection { label: "person".into(), score: 0.9, bounds }
}

fn left_of(frame: u64) -> u64 {
    8 + (frame * 24) % 240
}

fn probe(file: &Path) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json"])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("ffprobe writes JSON")
}

fn stream<'a>(probed: &'a Value, kind: &str) -> Option<&'a Value> {
    probed["streams"].as_array()?.iter().find(|stream| stream["codec_type"] == kind)
}

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("a number")
}

/// The frames of a video, as RGB.
fn decoded(file: &Path) -> Vec<Vec<u8>> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .expect("ffmpeg is installed");
    output.stdout.chunks_exact(SIZE.0 as usize * SIZE.1 as usize * 3).map(<[u8]>::to_vec).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = folder.read_dir().expect("the folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// In how many of the rows of its box a column of `picture` has the label's colour, roughly: the video is compressed.
fn is_edge(picture: &[u8], column: u64) -> bool {
    let row = SIZE.1 as usize * 13 / 20;
    let pixel = &picture[(row * SIZE.0 as usize + column as usize) * 3..][..3];
    let wanted = colour_of("person");
    pixel.iter().zip(wanted).map(|(seen, wanted)| u32::from(seen.abs_diff(wanted))).sum::<u32>() < 120
}

const COMPLETE: Scenario = Scenario {
    pace: Pace::Complete,
    frames: 40,
    sound_s: 5.0,
    detector: Some(Duration::from_millis(15)),
    stop_after: None,
};

#[test]
fn with_a_slow_detector_every_frame_carries_its_own_box() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("street.mp4");
    record(&file, COMPLETE);
    let probed = probe(&file);
    let (video, audio) = (stream(&probed, "video").expect("a picture"), stream(&probed, "audio").expect("a sound"));
    assert_eq!((&video["nb_read_frames"], &video["r_frame_rate"]), (&"40".into(), &"10/1".into()));
    assert_eq!((&video["pix_fmt"], &audio["codec_name"]), (&"yuv420p".into(), &"aac".into()));
    assert!((number(&video["duration"]) - 4.0).abs() < 0.05, "{}", video["duration"]);
    assert!((number(&audio["duration"]) - 5.0).abs() < 0.1, "{}", audio["duration"]);
    for (number, picture) in (0..).zip(decoded(&file)) {
        assert!(is_edge(&picture, left_of(number)), "frame {number} lacks its box");
        assert!(!is_edge(&picture, left_of(number + 1)), "frame {number} shows the next one's box");
    }
    assert_eq!(files_in(folder.path()), [file], "nothing else is left behind");
}

#[test]
fn a_folder_gets_a_picture_a_frame_and_the_same_ones_every_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (once, again) = (folder.path().join("once"), folder.path().join("again"));
    record(&once, Scenario { frames: 20, ..COMPLETE });
    record(&again, Scenario { frames: 20, detector: Some(Duration::ZERO), ..COMPLETE });
    let names: Vec<_> = files_in(&once).iter().map(|file| file.file_name().expect("a name").to_owned()).collect();
    assert_eq!((names.len(), names[7].to_str()), (20, Some("frame-000007.png")));
    for name in names {
        let read = |folder: &Path| std::fs::read(folder.join(&name)).expect("a picture");
        assert!(read(&once) == read(&again), "{} differs", name.display());
    }
    if let Some(kept) = std::env::var_os("LOOKHEAR_KEEP_PICTURE") {
        std::fs::copy(once.join("frame-000012.png"), kept).expect("room");
    }
}

#[test]
fn without_a_detector_a_film_longer_than_its_sound_comes_to_its_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("long.mkv");
    record(&file, Scenario { sound_s: 1.5, detector: None, ..COMPLETE });
    let probed = probe(&file);
    assert_eq!(stream(&probed, "video").expect("a picture")["nb_read_frames"], "40");
    assert!((number(&probed["format"]["duration"]) - 4.0).abs() < 0.1, "{}", probed["format"]["duration"]);
    // The command was decided after one second, so the tenth frame is the first that shows it.
    let bright =
        |picture: &[u8]| picture.as_chunks::<3>().0[SIZE.0 as usize * 180..].iter().any(|pixel| pixel[0] > 220);
    let shows: Vec<bool> = decoded(&file).iter().map(|picture| bright(picture)).collect();
    assert_eq!(shows.iter().position(|shows| *shows), Some(10), "{shows:?}");
}

#[test]
fn a_live_recording_that_is_stopped_can_be_played() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("live.mp4");
    let start = Instant::now();
    let scenario = Scenario {
        pace: Pace::Live,
        frames: 1000,
        sound_s: 100.0,
        detector: Some(Duration::from_millis(120)),
        stop_after: Some(Duration::from_millis(2500)),
    };
    record(&file, scenario);
    assert!(start.elapsed() < Duration::from_secs(10), "it stopped {:?} after its start", start.elapsed());
    let probed = probe(&file);
    let (video, audio) = (stream(&probed, "video").expect("a picture"), stream(&probed, "audio").expect("a sound"));
    for track in [video, audio] {
        assert!((number(&track["duration"]) - 2.5).abs() < 0.7, "{}", track["duration"]);
    }
    assert_eq!(video["r_frame_rate"], "25/1");
    assert_eq!(files_in(folder.path()), [file]);
}

#[test]
fn what_cannot_be_recorded_is_told_before_the_start() {
    let refused = |target: &str| {
        let ledger = Ledger::new();
        let (_, frames) = handover(Pace::Live, ledger.edge("test"));
        let findings = Hub::<Event>::new(Pace::Live, &ledger).subscribe("test", true);
        let recording = Recording::new(Path::new(target), Some(frames), None, findings, Pace::Live, true);
        recording.expect_err("it is refused").to_string()
    };
    assert!(refused("clip.webm").ends_with("end it in .mp4 or .mkv, or name a folder for pictures."));
    assert!(refused("/no/such/folder/clip.mp4").ends_with("create its folder first."));
}
