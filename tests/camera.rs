//! Pictures from files and pipes: films, folders, standard input.

mod allocations;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lookhear::camera::{Camera, CameraConfig, CameraCounts, PipeFormat};
use lookhear::flow::{Counts, Ledger, Pace, Reader, Stage, StageError, Stop, handover};
use lookhear::media::{Frame, PixelFormat};

/// A camera at work on its own thread.
struct Work {
    reader: Reader<Frame>,
    stop: Stop,
    ledger: Ledger,
    thread: JoinHandle<(Result<(), StageError>, CameraCounts)>,
}

impl Work {
    fn start(config: &CameraConfig, pace: Pace, stdin: Option<std::io::PipeReader>) -> Self {
        let (ledger, stop) = (Ledger::new(), Stop::new());
        let (writer, reader) = handover(pace, ledger.edge("camera → test"));
        let mut camera = Camera::new(config, pace, Instant::now(), vec![writer]).expect("a camera");
        if let Some(stdin) = stdin {
            camera = camera.with_stdin(stdin);
        }
        let life = stop.clone();
        let thread = std::thread::spawn(move || (camera.run(&life), camera.counters().counts()));
        Self { reader, stop, ledger, thread }
    }

    /// All that comes until the end.
    fn frames(&self) -> Vec<Seen> {
        std::iter::from_fn(|| self.reader.next(&self.stop)).map(|frame| Seen::of(&frame)).collect()
    }

    fn end(self) -> (Result<(), String>, CameraCounts, Counts) {
        let (result, counts) = self.thread.join().expect("the camera does not panic");
        drop(self.reader);
        (result.map_err(|error| error.to_string()), counts, self.ledger.summary()[0].counts)
    }
}

/// What a test wants to know of a frame.
#[derive(Debug, PartialEq)]
struct Seen {
    sequence: u64,
    time_ms: i64,
    format: PixelFormat,
    size: (u32, u32),
    /// The mean of all red, green and blue values.
    colour: [u8; 3],
}

impl Seen {
    fn of(frame: &Frame) -> Self {
        let rgb = frame.rgb().expect("a picture");
        let count = rgb.pixels.len() / 3;
        let mean =
            |channel| rgb.pixels.iter().skip(channel).step_by(3).map(|&v| u64::from(v)).sum::<u64>() / count as u64;
        Self {
            sequence: frame.sequence(),
            time_ms: frame.time().as_nanos() / 1_000_000,
            format: frame.geometry().format,
            size: (rgb.width, rgb.height),
            colour: [0, 1, 2].map(|channel| mean(channel) as u8),
        }
    }
}

fn from(source: impl AsRef<Path>) -> CameraConfig {
    CameraConfig { source: source.as_ref().display().to_string(), ..CameraConfig::default() }
}

/// What lavfi's `source` gives, as a file made with the further `arguments`; `None`, said aloud, without ffmpeg.
fn film(folder: &Path, name: &str, source: &str, arguments: &[&str]) -> Option<PathBuf> {
    let path = folder.join(name);
    let ffmpeg = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source])
        .args(arguments)
        .arg(&path)
        .status();
    match ffmpeg {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            eprintln!("skipped: ffmpeg does not run ({error}); install it with `sudo apt install ffmpeg`");
            return None;
        }
    }
    Some(path)
}

fn picture(path: &Path, size: (u32, u32), colour: [u8; 3]) {
    image::RgbImage::from_pixel(size.0, size.1, image::Rgb(colour)).save(path).expect("a picture is written");
}

fn jpeg(size: (u32, u32), colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(size.0, size.1, image::Rgb(colour));
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a picture is encoded");
    bytes.into_inner()
}

#[test]
fn every_frame_of_a_film_comes_once_in_order_and_with_its_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(path) = film(folder.path(), "film.avi", "testsrc=size=160x120:rate=25:duration=2", &["-c:v", "mjpeg"])
    else {
        return;
    };
    let work = Work::start(&from(path), Pace::Complete, None);
    let frames = work.frames();
    assert_eq!(frames.len(), 50);
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!((frame.sequence, frame.time_ms), (index as u64, index as i64 * 40));
        assert_eq!((frame.format, frame.size), (PixelFormat::I420, (160, 120)));
    }
    let (result, camera, edge) = work.end();
    assert_eq!((result, camera), (Ok(()), CameraCounts::default()));
    assert_eq!(edge, Counts { delivered: 50, used: 50, skipped: 0, lost: 0 });
}

#[test]
fn odd_sizes_other_colours_and_odd_rates_come_out_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, source: &str, arguments: &[&str], size: (u32, u32), last_ms: i64, colour: [u8; 3]| {
        let Some(path) = film(folder.path(), name, source, arguments) else { return };
        let work = Work::start(&from(path), Pace::Complete, None);
        let frames = work.frames();
        assert_eq!(work.end().0, Ok(()), "{name}");
        let last = frames.last().unwrap_or_else(|| panic!("{name} has frames"));
        assert_eq!((last.size, last.time_ms), (size, last_ms), "{name}");
        let off = last.colour.iter().zip(colour).map(|(a, b)| a.abs_diff(b)).max();
        assert!(off <= Some(4), "{name}: {:?}, not {colour:?}", last.colour);
    };
    let (orange, orange_rgb) = ("color=c=0xC86414:size=64x48:rate=10:duration=0.5", [0xc8, 0x64, 0x14]);
    let ntsc = "color=c=0xC86414:size=64x48:rate=30000/1001:duration=0.2";
    let odd = ["-vf", "scale=33:17", "-c:v", "ffv1", "-pix_fmt", "gbrp"];
    check("odd.mkv", ntsc, &odd, (33, 17), 166, orange_rgb);
    check("full-range.avi", orange, &["-c:v", "mjpeg", "-q:v", "2"], (64, 48), 400, orange_rgb);
    let bt709 = ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-c:v", "ffv1", "-pix_fmt", "yuv420p"];
    check("bt709.mkv", orange, &bt709, (64, 48), 400, orange_rgb);
    check("animated.gif", orange, &[], (64, 48), 400, orange_rgb);
}

#[test]
fn a_film_in_real_time_waits_for_nobody_and_what_is_skipped_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = "testsrc=size=64x48:rate=50:duration=1";
    let Some(path) = film(folder.path(), "film.avi", source, &["-c:v", "mjpeg"]) else { return };
    let work = Work::start(&from(path), Pace::Live, None);
    let (start, mut frames) = (Instant::now(), Vec::new());
    while let Some(frame) = work.reader.next(&work.stop) {
        frames.push(frame.sequence());
        // A slow reader, which is what this is about.
        std::thread::sleep(Duration::from_millis(150));
    }
    assert!(start.elapsed() >= Duration::from_millis(980), "it is not faster than the film");
    assert!(frames.is_sorted() && frames.last() == Some(&49), "{frames:?}");
    let (result, camera, edge) = work.end();
    assert_eq!((result, camera), (Ok(()), CameraCounts::default()));
    assert_eq!((edge.delivered, edge.used, edge.under_way()), (50, frames.len() as u64, 0));
    assert!(edge.skipped > 20, "{edge:?}");
}

#[test]
fn a_request_ends_a_film_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = "testsrc=size=64x48:rate=1:duration=100";
    let Some(path) = film(folder.path(), "film.avi", source, &["-c:v", "mjpeg"]) else { return };
    let work = Work::start(&from(path), Pace::Live, None);
    assert_eq!(work.reader.next(&work.stop).map(|frame| frame.sequence()), Some(0));
    let start = Instant::now();
    work.stop.request();
    assert_eq!(work.end().0, Ok(()));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_film_that_was_held_upright_is_shown_upright() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = "testsrc=size=64x48:rate=10:duration=0.3";
    let Some(lying) = film(folder.path(), "lying.mp4", source, &["-c:v", "mpeg4"]) else { return };
    let upright = folder.path().join("upright.mp4");
    // How to note a rotation down has changed: since version 6 by an option of the input.
    let copy = |input: &[&str], output: &[&str]| {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-loglevel", "error", "-y"]).args(input).arg("-i").arg(&lying);
        ffmpeg.args(["-c", "copy"]).args(output).arg(&upright);
        ffmpeg.output().expect("ffmpeg starts").status.success()
    };
    assert!(copy(&["-display_rotation", "90"], &[]) || copy(&[], &["-metadata:s:v:0", "rotate=90"]));
    let work = Work::start(&from(upright), Pace::Complete, None);
    assert_eq!(work.frames().first().map(|frame| frame.size), Some((48, 64)));
    assert_eq!(work.end().0, Ok(()));
}

#[test]
fn a_stream_is_tried_again_when_it_ends() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr()).expect("a port").port();
    let url = format!("tcp://127.0.0.1:{port}");
    let server = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=30"])
        .args(["-c:v", "mjpeg", "-f", "matroska", &format!("{url}?listen=1")])
        .spawn();
    let Ok(mut server) = server else {
        eprintln!("skipped: ffmpeg does not run; install it with `sudo apt install ffmpeg`");
        return;
    };
    let (stop, ledger) = (Stop::new(), Ledger::new());
    let (writer, reader) = handover(Pace::Live, ledger.edge("camera → test"));
    let mut camera = Camera::new(&from(url), Pace::Live, Instant::now(), vec![writer]).expect("a camera");
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let frames: Vec<Frame> = std::iter::from_fn(|| reader.next(&stop)).take(5).collect();
            assert!(frames.is_sorted_by(|a, b| a.sequence() < b.sequence() && a.time() < b.time()));
            server.kill().expect("the server still runs");
            server.wait().expect("it has ended");
            // Whoever reads nothing any more would end the camera; this is about the stream.
            std::iter::from_fn(|| reader.next(&stop)).for_each(drop);
        });
        // As the supervisor does, until the server listens.
        let result = loop {
            match camera.run(&stop) {
                Err(StageError::Retry(error)) if error.to_string().contains("refused") => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                other => break other,
            }
        };
        drop(camera);
        result
    });
    let Err(StageError::Retry(error)) = result else { panic!("it is tried again: {result:?}") };
    let error = error.to_string().replace(&port.to_string(), "PORT");
    assert_eq!(error, "The stream tcp://127.0.0.1:PORT ended; check the camera or server that sends it.");
}

#[test]
fn what_is_no_film_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("no film.mp4");
    fs::write(&path, "This is no film.").expect("room");
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("skipped: ffmpeg does not run; install it with `sudo apt install ffmpeg`");
        return;
    }
    let work = Work::start(&from(&path), Pace::Complete, None);
    assert_eq!(work.frames(), []);
    let error = work.end().0.expect_err("no film").replace(&path.display().to_string(), "FILE");
    assert!(error.starts_with("Cannot read FILE: ffmpeg says: "), "{error}");
}

#[test]
fn a_folder_s_pictures_come_by_name_and_the_unreadable_is_named_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    picture(&folder.path().join("b.png"), (20, 10), [0, 0, 255]);
    picture(&folder.path().join("a.jpg"), (16, 16), [255, 0, 0]);
    fs::write(folder.path().join("aa.png"), "no picture").expect("room");
    fs::write(folder.path().join("notes.txt"), "no picture either").expect("room");
    let work = Work::start(&from(folder.path()), Pace::Complete, None);
    let seen: Vec<_> = work.frames().into_iter().map(|frame| (frame.sequence, frame.time_ms, frame.size)).collect();
    assert_eq!(seen, [(0, 0, (16, 16)), (2, 1000, (20, 10))]);
    let (result, camera, _) = work.end();
    assert_eq!(camera.broken, 1);
    let error = result.expect_err("one cannot be read").replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(error);
}

#[test]
fn pictures_in_real_time_keep_their_rate_and_the_last_stays_as_long() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.png");
    picture(&path, (20, 10), [10, 20, 30]);
    let list = format!("{0},{0},{0}", path.display());
    let start = Instant::now();
    let work =
        Work::start(&CameraConfig { source: list, rate_hz: Some(10.0), ..CameraConfig::default() }, Pace::Live, None);
    assert_eq!(work.frames().last().map(|frame| (frame.sequence, frame.colour)), Some((2, [10, 20, 30])));
    assert_eq!(work.end().0, Ok(()));
    assert!(start.elapsed() >= Duration::from_millis(290));
}

#[test]
fn motion_jpeg_on_standard_input_is_found_between_garbage() {
    let (stdin, mut feeder) = std::io::pipe().expect("a pipe");
    let writer = std::thread::spawn(move || {
        let (red, blue) = (jpeg((64, 48), [255, 0, 0]), jpeg((32, 16), [0, 0, 255]));
        feeder.write_all(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n").expect("it reads");
        feeder.write_all(&red).expect("it reads");
        feeder.write_all(&red[..red.len() - 3]).expect("it reads");
        for piece in blue.chunks(7) {
            feeder.write_all(piece).expect("it reads");
        }
    });
    let work =
        Work::start(&CameraConfig { source: "-".to_owned(), ..CameraConfig::default() }, Pace::Complete, Some(stdin));
    let frames = work.frames();
    writer.join().expect("no panic");
    let found: Vec<_> = frames.iter().map(|frame| (frame.format, frame.size, frame.time_ms)).collect();
    assert_eq!(found, [(PixelFormat::Mjpeg, (64, 48), 0), (PixelFormat::Mjpeg, (32, 16), 33)]);
    assert!(frames[0].colour[0] > 250 && frames[1].colour[2] > 250, "{frames:?}");
    let (result, camera, _) = work.end();
    assert_eq!((result, camera.broken), (Ok(()), 1));
}

#[test]
fn raw_pictures_on_standard_input_and_a_silent_pipe_hears_the_request_to_stop() {
    let (stdin, mut feeder) = std::io::pipe().expect("a pipe");
    let config = CameraConfig {
        source: "-".to_owned(),
        width: 6,
        height: 3,
        pipe_format: PipeFormat::Rgb24,
        ..CameraConfig::default()
    };
    let work = Work::start(&config, Pace::Live, Some(stdin));
    feeder.write_all(&[9; 6 * 3 * 3 + 5]).expect("it reads");
    let frame = work.reader.next(&work.stop).expect("a frame");
    assert_eq!((frame.geometry().format, Seen::of(&frame).colour), (PixelFormat::Rgb24, [9, 9, 9]));
    work.stop.request();
    assert_eq!(work.end().0, Ok(()));
    drop(feeder);
}

#[test]
fn what_cannot_be_opened_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().display().to_string();
    let check = |config: CameraConfig| {
        let error = Camera::new(&config, Pace::Live, Instant::now(), vec![]).expect_err("no source").to_string();
        error.replace(&name, "FOLDER")
    };
    let errors = [
        check(from(folder.path().join("missing.mp4"))),
        check(from(folder.path())),
        check(from("gopher://me:secret@host/film")),
        check(CameraConfig { width: 0, ..CameraConfig::default() }),
        check(CameraConfig { rate_hz: Some(f64::NAN), ..CameraConfig::default() }),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_missing_device_is_tried_again_and_no_camera_is_none() {
    let run = |source: &str| {
        let (writer, _reader) = handover(Pace::Live, Ledger::new().edge("camera → test"));
        Camera::new(&from(source), Pace::Live, Instant::now(), vec![writer]).expect("a camera").run(&Stop::new())
    };
    assert!(run("none").is_ok());
    let Err(StageError::Retry(error)) = run("/dev/video99") else { panic!("a camera may still be plugged in") };
    let error = error.to_string();
    assert!(error.starts_with("Cannot open camera /dev/video99: no such device; "), "{error}");
}

#[test]
fn a_hundred_frames_more_cost_no_allocation_more() {
    let picture = jpeg((64, 48), [1, 2, 3]);
    let allocations = |format, frames: usize| {
        let (stdin, mut feeder) = std::io::pipe().expect("a pipe");
        let bytes = if format == PipeFormat::Mjpeg { picture.clone() } else { vec![7; 64 * 48 * 3] };
        let config =
            CameraConfig { source: "-".into(), width: 64, height: 48, pipe_format: format, ..Default::default() };
        let (stop, ledger) = (Stop::new(), Ledger::new());
        let (writer, reader) = handover(Pace::Complete, ledger.edge("camera → test"));
        let mut camera =
            Camera::new(&config, Pace::Complete, Instant::now(), vec![writer]).expect("a camera").with_stdin(stdin);
        std::thread::scope(|scope| {
            scope.spawn(move || (0..frames).for_each(|_| feeder.write_all(&bytes).expect("it reads")));
            scope.spawn(|| std::iter::from_fn(|| reader.next(&stop)).count());
            let before = allocations::of_this_thread();
            camera.run(&stop).expect("it reads to the end");
            drop(camera);
            allocations::of_this_thread() - before
        })
    };
    for format in [PipeFormat::Mjpeg, PipeFormat::Rgb24] {
        // The pool and the channels fill up at different times, so a few frames more or less are needed for that.
        let (few, many) = (allocations(format, 100), allocations(format, 1000));
        assert!(many <= few + 20, "{format:?}: {few} allocations for 100 frames, {many} for 1000");
    }
}
