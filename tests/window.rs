//! Somebody looks at the preview on a real X server: it shows the picture, its keys work, and the death of the server
//! is the death of the window alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lookhear::findings::{
    BoxInFrame, Detection, Detections, Event, EventKind, Hearing, Keyword, ShownWord, SoundPicture,
};
use lookhear::flow::{Demand, Edge, Hub, Ledger, Pace, Stage, Stop, Writer, handover};
use lookhear::media::{FramePool, Geometry, Levels, MediaTime, PixelFormat, Pool, Pooled};
use lookhear::output::window::{WindowError, run_child};
use lookhear::output::{Ear, FeatureAxis, Opening, Preview, PreviewConfig, viridis};
use lookhear::speech::DEFAULT_FRONT_END;

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

/// A display that one test gives up for a moment must not be another's: one at a time has servers.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.wait_for_colours(
            folder,
            "the picture",
            QUARTERS.map(|([x, y], colour)| ([x * 320 + 160, y * 240 + 120], colour)),
        )
    }

    /// Waits until the screen has these colours, but for the losses of a display, at these places.
    fn wait_for_colours<const N: usize>(
        &self,
        folder: &Path,
        what: &str,
        colours: [([u32; 2], [u8; 3]); N],
    ) -> image::RgbImage {
        let start = Instant::now();
        loop {
            let screen = self.screen(folder);
            let is_there = colours.iter().all(|([x, y], colour)| {
                let pixel = screen.get_pixel(*x, *y).0;
                pixel.iter().zip(colour).all(|(seen, given)| seen.abs_diff(*given) < 12)
            });
            if is_there {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "{what} is not on the screen");
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
    /// Whether the preview wants to know what is heard.
    demand: Demand,
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
        let (pictures, demand) = (handover(Pace::Live, ledger.edge("listener → preview")), Demand::default());
        let mut voice = Voice::new(pictures.0, demand.clone());
        let ear = Ear { pictures: pictures.1, demand: demand.clone(), axis: FeatureAxis::of(&DEFAULT_FRONT_END) };
        let preview = Preview::new(&PreviewConfig::default(), opening, Some(reader), findings).expect("it is whole");
        let mut preview = preview.hearing(ear);
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
                    voice.speak(time, &stop);
                    if !stop.sleep(Duration::from_millis(40)) {
                        break;
                    }
                }
            }
        });
        let hub = std::thread::spawn(move || hub.run(&Stop::new()));
        Self { stop, edge, threads: vec![camera, hub], preview, alive, demand }
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

/// What a listener gives: the lowest band of four is as loud as can be, the others silent.
struct Voice {
    writer: Writer<Pooled<SoundPicture>>,
    demand: Demand,
    picture: SoundPicture,
    pool: Pool<SoundPicture>,
}

impl Voice {
    fn new(writer: Writer<Pooled<SoundPicture>>, demand: Demand) -> Self {
        let words = ["yes", "no"].map(|label| ShownWord { label: label.into(), threshold: 0.7 });
        let picture = SoundPicture::new(4, Duration::from_millis(10), words);
        Self { writer, demand, picture, pool: Pool::new(3) }
    }

    fn speak(&mut self, time: MediaTime, stop: &Stop) {
        if !self.demand.is_there() {
            return;
        }
        let second = [9.0f32, -14.0, -14.0, -14.0].repeat(100);
        self.picture.look(time, [&second, &[]], [0.8, 0.1]);
        let copied = self.pool.fill(|copy| {
            copy.copy_from(&self.picture);
            Ok::<_, ()>(())
        });
        self.writer.give(copied.expect("one is free").expect("filled"), stop);
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
    let _alone = alone();
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
fn m_shows_what_is_heard_until_it_is_pressed_again() {
    let _alone = alone();
    let Some(server) = XServer::start(None) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let show = Show::start(&server.display, folder.path());
    server.wait_for_picture(folder.path());
    assert!(!show.demand.is_there(), "nothing is computed that nobody looks at");
    server.key("m");
    // The picture's upper half, and of the panel a high and the lowest band.
    let [upper, ..] = QUARTERS;
    let (high, low) = (([300, 320], viridis(0.0)), ([300, 388], viridis(1.0)));
    let screen = server.wait_for_colours(folder.path(), "the sound", [([160, 120], upper.1), high, low]);
    if let Some(kept) = std::env::var_os("LOOKHEAR_KEEP_SOUND") {
        screen.save(kept).expect("room");
    }
    assert!(show.demand.is_there());
    server.key("m");
    server.wait_for_picture(folder.path());
    assert!(!show.demand.is_there());
    show.join();
}

#[test]
fn a_lost_display_ends_the_window_alone_and_one_that_returns_gets_it_again() {
    let _alone = alone();
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
