//! Somebody looks at the preview on a real X server: it shows the picture, its keys work, and the death of the server
//! is the death of the window alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lookhear::findings::{BoxInFrame, Detection, Detections, Event, EventKind, Hearing, Keyword};
use lookhear::flow::{Edge, Hub, Ledger, Pace, Stage, Stop, handover};
use lookhear::media::{FramePool, Geometry, Levels, MediaTime, PixelFormat, Pool};
use lookhear::output::window::{WindowError, run_child};
use lookhear::output::{Opening, Preview, PreviewConfig};

/// What must have happened by then, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(20);

/// The window's process, when a preview of this file starts it; a test that has no pictures to show otherwise.
#[test]
fn child_entry() {
    match run_child() {
        Ok(()) | Err(WindowError::NoPictures(_)) => {}
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

/// An X server without a screen.
struct XServer {
    process: Child,
    display: String,
}

impl XServer {
    /// As large as the window. On a free display, or on a given one again; `None`, loudly, where there is none to be had.
    fn start(display: Option<&str>) -> Option<Self> {
        let tools: [(&str, &[&str]); 3] = [("Xvfb", &["-help"]), ("xdotool", &["version"]), ("import", &["-version"])];
        for (tool, arguments) in tools {
            let there = Command::new(tool).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if there.is_err() {
                eprintln!("skipped: {tool} is not installed (apt install xvfb xdotool imagemagick)");
                return None;
            }
        }
        let mut command = Command::new("Xvfb");
        command.args(display).args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Xvfb starts");
        let mut number = String::new();
        let stdout = process.stdout.take().expect("it has a pipe");
        BufReader::new(stdout).read_line(&mut number).expect("Xvfb says when it is ready");
        Some(Self { process, display: format!(":{}", number.trim()) })
    }

    fn kill(mut self) -> String {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it is ours");
        std::mem::take(&mut self.display)
    }

    fn key(&self, key: &str) {
        // Without a window manager keys go to the window under the pointer.
        let arguments = ["mousemove", "320", "240", "key", key];
        let done = Command::new("xdotool").args(arguments).env("DISPLAY", &self.display).status();
        assert!(done.expect("xdotool starts").success());
    }

    /// What is on the screen.
    fn screen(&self, folder: &Path) -> image::RgbImage {
        let file = folder.join("screen.png");
        let taken = Command::new("import").args(["-display", &self.display, "-window", "root"]).arg(&file).status();
        assert!(taken.expect("import starts").success());
        image::open(&file).expect("import writes a picture").to_rgb8()
    }

    /// Waits until the window shows the four colours of the test's frames.
    fn wait_for_picture(&self, folder: &Path) -> image::RgbImage {
        let start = Instant::now();
        loop {
            let screen = self.screen(folder);
            let right = QUARTERS.iter().all(|([x, y], colour)| {
                let pixel = screen.get_pixel(x * 320 + 160, y * 240 + 120).0;
                pixel.iter().zip(colour).all(|(seen, given)| seen.abs_diff(*given) < 12)
            });
            if right {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "the picture is not on the screen");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const QUARTERS: [([u32; 2], [u8; 3]); 4] =
    [([0, 0], [200, 60, 60]), ([1, 0], [60, 200, 60]), ([0, 1], [60, 60, 200]), ([1, 1], [200, 200, 60])];

/// A preview at work, with a camera, a detector and a microphone that never tire.
struct Show {
    stop: Stop,
    edge: Edge,
    threads: Vec<JoinHandle<()>>,
    preview: JoinHandle<()>,
    alive: Arc<AtomicBool>,
}

impl Show {
    fn start(display: &str, folder: &Path) -> Self {
        // What the preview says is shown when a test fails.
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let (stop, ledger) = (Stop::new(), Ledger::new());
        let (edge, alive) = (ledger.edge("camera → preview"), Arc::new(AtomicBool::new(true)));
        let (writer, reader) = handover(Pace::Live, edge.clone());
        let mut hub = Hub::new(Pace::Live, &ledger);
        let publisher = hub.publisher("test");
        let opening = Opening {
            program: std::env::current_exe().expect("this test is a program"),
            arguments: ["child_entry", "--exact", "--nocapture", "--test-threads=1"].map(Into::into).to_vec(),
            environment: vec![("DISPLAY".into(), display.into()), ("WAYLAND_DISPLAY".into(), "none".into())],
            folder: folder.to_owned(),
        };
        let findings = hub.subscribe("preview", false);
        let mut preview =
            Preview::new(&PreviewConfig::default(), opening, Some(reader), findings).expect("it is whole");
        let preview = std::thread::spawn({
            let (stop, alive) = (stop.clone(), Arc::clone(&alive));
            move || {
                preview.run(&stop).expect("a preview does not fail");
                alive.store(false, Ordering::Release);
            }
        });
        let camera = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let (mut frames, mut seen) = (FramePool::new(6), Pool::<Detections>::new(6));
                for sequence in 0.. {
                    let time = MediaTime::of_count(sequence, 25, 1);
                    let frame = frames.fill(|buffer| {
                        picture_into(buffer.begin(Geometry::packed(PixelFormat::Rgb24, 640, 480), sequence, time));
                        Ok::<_, ()>(())
                    });
                    writer.give(frame.expect("a frame is free").expect("filled"), &stop);
                    findings_at(sequence, time, &mut seen).into_iter().for_each(|event| publisher.publish(event));
                    if !stop.sleep(Duration::from_millis(40)) {
                        break;
                    }
                }
            }
        });
        let hub = std::thread::spawn(move || hub.run(&Stop::new()));
        Self { stop, edge, threads: vec![camera, hub], preview, alive }
    }

    fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "it did not come to this: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn join(self) {
        self.stop.request();
        let asked = Instant::now();
        self.preview.join().expect("the preview does not panic");
        assert!(asked.elapsed() < Duration::from_secs(2), "it stops at once");
        self.threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
}

fn picture_into(pixels: &mut Vec<u8>) {
    for row in 0..480 {
        for column in 0..640 {
            let quarter = usize::from(column >= 320) + 2 * usize::from(row >= 240);
            pixels.extend_from_slice(&QUARTERS[quarter].1);
        }
    }
}

fn findings_at(sequence: u64, time: MediaTime, pool: &mut Pool<Detections>) -> Vec<Event> {
    let event = |kind| Event { time, at: None, kind };
    let seen = pool.fill(|detections| {
        let bounds = BoxInFrame { x: 0.1, y: 0.15, w: 0.3, h: 0.25 };
        *detections = Detections { frame: sequence, time, ..Detections::default() };
        detections.items.push(Detection { label: "person".into(), score: 0.9, bounds });
        Ok::<_, ()>(())
    });
    let seen = seen.expect("one is free").expect("filled");
    let levels = Levels { peak_dbfs: -12.0, rms_dbfs: -25.0 };
    let mut events = vec![event(EventKind::Detections(seen)), event(EventKind::Hearing(Hearing { time, levels }))];
    if sequence % 50 == 10 {
        events.push(event(EventKind::Keyword(Keyword { label: "yes".into(), score: 0.9, time, decided: time })));
    }
    events
}

#[test]
fn the_window_shows_the_picture_and_q_stops_the_program() {
    let Some(server) = XServer::start(None) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let show = Show::start(&server.display, folder.path());
    let screen = server.wait_for_picture(folder.path());
    if let Some(kept) = std::env::var_os("LOOKHEAR_KEEP_SCREEN") {
        screen.save(kept).expect("room");
    }
    server.key("s");
    let saved = || {
        let files = fs::read_dir(folder.path()).expect("the folder").flatten().map(|file| file.path());
        files.filter(|file| file.to_string_lossy().contains("lookhear-")).find_map(|file| image::open(file).ok())
    };
    show.wait_until("a screenshot", || saved().is_some());
    let saved = saved().expect("just seen").to_rgb8();
    assert_eq!((saved.dimensions(), saved.get_pixel(160, 300).0), ((640, 480), QUARTERS[2].1));
    assert!(!show.stop.is_requested());
    server.key("q");
    show.wait_until("q stops", || show.stop.is_requested());
    show.join();
}

#[test]
fn a_lost_display_ends_the_window_alone_and_one_that_returns_gets_it_again() {
    let Some(server) = XServer::start(None) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let show = Show::start(&server.display, folder.path());
    server.wait_for_picture(folder.path());
    let display = server.kill();
    let before = show.edge.counts().used;
    show.wait_until("frames are taken on", || show.edge.counts().used > before + 40);
    assert!(show.alive.load(Ordering::Acquire) && !show.stop.is_requested());
    let Some(server) = XServer::start(Some(&display)) else { return };
    server.wait_for_picture(folder.path());
    server.key("Escape");
    show.wait_until("Escape stops", || show.stop.is_requested());
    show.join();
}

#[test]
fn without_a_display_the_preview_lives_on_and_stops_when_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let show = Show::start(":4711", folder.path());
    show.wait_until("frames are taken", || show.edge.counts().used > 40);
    assert!(show.alive.load(Ordering::Acquire) && !show.stop.is_requested());
    show.join();
}
