//! Cameras that are pulled out, stand still, lose frames or run at odd rates: real drivers in a small kernel.
//!
//! Each test boots the kernel of `scripts/devices` and runs the test of the same name in [`inside`] there. Without the
//! kernel it says so and passes. Time is real and the kernel slow, so what counts is what comes and in which order;
//! deadlines are ten times what is usual.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the kernel is: `$DEVICES_KERNEL`, else where `scripts/devices/build-kernel.sh` puts it.
fn kernel() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/devices");
    std::env::var_os("DEVICES_KERNEL").map_or_else(default, PathBuf::from)
}

/// Runs the test `inside::name` of this program in the kernel.
fn run_inside(name: &str) {
    let kernel = kernel();
    if !kernel.join("linux").exists() {
        println!(
            "skipped: there is no kernel with devices; build it with `scripts/devices/build-kernel.sh` (10 minutes)"
        );
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/devices/run-with-devices.sh"))
        .arg("--kernel")
        .arg(kernel)
        .arg("--write")
        .arg(scratch.path())
        .args(["--", "timeout", "120"])
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--ignored", "--exact", &format!("inside::{name}"), "--nocapture", "--test-threads=1"])
        .output()
        .expect("the script starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{name}:\n{text}");
}

macro_rules! tests_inside {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            run_inside(stringify!($name));
        }
    )*};
}

tests_inside! {
    a_webcam_gives_pictures_of_the_size_and_rate_asked_for
    motion_jpeg_comes_without_what_lay_in_the_buffer_before
    a_camera_pulled_out_is_tried_again_and_works_when_it_is_back
    a_frozen_camera_is_given_up_and_works_when_it_thaws
    a_camera_of_29_97_pictures_a_second_works_where_nokhwa_refuses
    lost_and_broken_frames_are_counted
    a_missing_camera_names_those_that_are_there
    nokhwa_captures_and_leaves_a_frozen_camera_behind
    a_camera_in_use_is_said
    the_program_sees_and_hears_and_finds_a_lost_microphone_again
}

/// What runs in the kernel.
mod inside {
    use std::process::{Child, Command, Stdio};
    use std::sync::{Arc, Mutex};
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    use lookhear::camera::{self, Backend, Camera, CameraConfig, CameraCounters, CameraInfo};
    use lookhear::flow::{Crew, Ledger, Next, Pace, Reader, Report, Restart, Stop, handover};
    use lookhear::media::{Frame, PixelFormat};

    /// Ten times what the slowest thing here takes: giving a frozen camera up after 2 s.
    const DEADLINE: Duration = Duration::from_secs(25);

    /// A camera under its supervisor.
    struct Watch {
        reader: Reader<Frame>,
        reports: Arc<Mutex<Vec<Report>>>,
        counters: CameraCounters,
        stop: Stop,
        crew: JoinHandle<Vec<(&'static str, String)>>,
    }

    impl Watch {
        fn start(config: CameraConfig) -> Self {
            let (stop, reports) = (Stop::new(), Arc::new(Mutex::new(Vec::new())));
            let (writer, reader) = handover(Pace::Live, Ledger::new().edge("camera → test"));
            let camera = Camera::new(&config, Pace::Live, Instant::now(), vec![writer]).expect("a camera");
            let counters = camera.counters();
            let restart = Restart { first: Duration::from_millis(200), longest: Duration::from_millis(400) };
            let mut crew = Crew::new(&stop, restart, {
                let reports = Arc::clone(&reports);
                move |_, report| reports.lock().expect("no panic under the lock").push(report)
            });
            crew.spawn(camera).expect("a thread");
            let crew = std::thread::spawn(move || crew.wait(DEADLINE));
            Self { reader, reports, counters, stop, crew }
        }

        fn next(&self) -> Frame {
            let start = Instant::now();
            loop {
                match self.reader.next_within(Duration::from_millis(200), &self.stop) {
                    Next::Value(frame) => return frame,
                    _ => assert!(start.elapsed() < DEADLINE, "no frame: {:?}", self.last_report()),
                }
            }
        }

        fn last_report(&self) -> Option<Report> {
            self.reports.lock().expect("no panic under the lock").last().cloned()
        }

        /// Takes `count` frames, whose numbers and times grow, and returns the last. Most are pictures: v4l2loopback has
        /// one memory for its writer and its readers, and writes into a buffer from which a late reader still reads.
        fn take(&self, count: usize) -> Frame {
            let mut last = self.next();
            let mut damaged = 0;
            for _ in 1..count {
                let frame = self.next();
                assert!(last.sequence() < frame.sequence() && last.time() < frame.time());
                damaged += usize::from(frame.rgb().is_err());
                last = frame;
            }
            assert!(damaged <= count / 3, "{damaged} of {count}: {:?}", last.rgb().err());
            last
        }

        fn wait_for(&self, what: &str, is_it: impl Fn(&Report) -> bool) {
            let start = Instant::now();
            loop {
                let mut reports = self.reports.lock().expect("no panic under the lock");
                if let Some(index) = reports.iter().position(&is_it) {
                    reports.drain(..=index);
                    return;
                }
                assert!(start.elapsed() < DEADLINE, "{what} is not reported: {:?}", reports.last());
                drop(reports);
                std::thread::sleep(Duration::from_millis(50));
            }
        }

        fn wait_for_failure(&self, text: &str) {
            let fails = |report: &Report| matches!(report, Report::Failed { reason, retry_in: Some(_) } if reason.contains(text));
            self.wait_for(text, fails);
        }

        fn wait_for_recovery(&self) {
            self.wait_for("recovery", |report| *report == Report::Recovered);
            self.take(10);
        }

        /// Ends it within a second or so.
        fn end(self) {
            let start = Instant::now();
            self.stop.request();
            assert_eq!(self.crew.join().expect("no panic"), []);
            assert!(start.elapsed() < Duration::from_secs(10));
        }
    }

    fn from(source: &str) -> CameraConfig {
        CameraConfig { source: source.to_owned(), ..CameraConfig::default() }
    }

    fn shell(command: &str) {
        let status = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).status().expect("a shell");
        assert!(status.success(), "{command}");
    }

    /// A program that feeds /dev/video10; it is killed when this is dropped.
    struct Feeder(Child);

    impl Feeder {
        fn start(arguments: &str) -> Self {
            let arguments =
                format!("-nostdin -loglevel error -re -f lavfi -i testsrc=size=640x480:rate=30 {arguments}");
            let arguments = arguments.split(' ').chain(["-f", "v4l2", "/dev/video10"]);
            let feeder = Self(Command::new("ffmpeg").args(arguments).spawn().expect("ffmpeg starts"));
            let start = Instant::now();
            // Until then it is no capture device, or one that offers nothing.
            let offers = |camera: &CameraInfo| camera.formats.iter().any(|format| !format.sizes.is_empty());
            while !camera::list().iter().any(|camera| camera.path == "/dev/video10" && offers(camera)) {
                assert!(start.elapsed() < DEADLINE, "the feeder does not feed");
                std::thread::sleep(Duration::from_millis(100));
            }
            feeder
        }

        fn signal(&self, signal: &str) {
            shell(&format!("kill -{signal} {}", self.0.id()));
        }
    }

    impl Drop for Feeder {
        fn drop(&mut self) {
            // It may have ended, or be stopped; SIGKILL ends it all the same.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn a_webcam_gives_pictures_of_the_size_and_rate_asked_for() {
        let found = camera::list();
        assert_eq!(found.iter().map(|camera| camera.path.as_str()).collect::<Vec<_>>(), ["/dev/video0"]);
        assert!(found[0].name.contains("vivid"), "{found:?}");
        let yuyv = found[0].formats.iter().find(|format| format.format == "YUYV").expect("YUYV");
        assert!(yuyv.sizes.iter().any(|size| size.largest == [640, 360]), "{yuyv:?}");

        let check = |source: &str, width, height, format| {
            let watch = Watch::start(CameraConfig { width, height, ..from(source) });
            let frame = watch.take(60);
            let geometry = frame.geometry();
            assert_eq!((geometry.format, geometry.width, geometry.height), (format, width, height));
            assert_eq!(frame.data().len(), format.picture_bytes(geometry.stride_bytes, height));
            // 60 frames of 30 a second; a camera left at its own 5 a second would take 12 s.
            assert!(frame.time().as_secs() < 9.0, "{}", frame.time());
            assert!(frame.sequence() < 120, "the reader keeps up: {}", frame.sequence());
            watch.end();
        };
        check("auto", 640, 360, PixelFormat::Yuyv);
        // The size before is the wider one: its line length must not stay.
        check("/dev/video0", 1280, 720, PixelFormat::Yuyv);
        check("0", 320, 180, PixelFormat::Yuyv);
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn motion_jpeg_comes_without_what_lay_in_the_buffer_before() {
        let _feeder = Feeder::start("-pix_fmt yuvj422p -c:v mjpeg");
        let watch = Watch::start(from("10"));
        let frame = watch.take(30);
        let geometry = frame.geometry();
        assert_eq!((geometry.format, geometry.width, geometry.height), (PixelFormat::Mjpeg, 640, 480));
        assert!(frame.data().ends_with(&[0xff, 0xd9]), "only the picture is kept");
        watch.end();
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn a_camera_pulled_out_is_tried_again_and_works_when_it_is_back() {
        let watch = Watch::start(from("/dev/video0"));
        let before = watch.take(10).sequence();
        shell("echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind");
        watch.wait_for_failure("no such device");
        watch.wait_for_failure("Cannot open camera /dev/video0: no such device; no camera was found at all.");
        shell("echo vivid.0 >/sys/bus/platform/drivers/vivid/bind");
        watch.wait_for_recovery();
        assert!(watch.next().sequence() > before, "numbers go on");
        watch.end();
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn a_frozen_camera_is_given_up_and_works_when_it_thaws() {
        let feeder = Feeder::start("-pix_fmt yuyv422");
        let watch = Watch::start(from("/dev/video10"));
        watch.take(10);
        feeder.signal("STOP");
        let start = Instant::now();
        watch.wait_for_failure("The camera delivers no pictures: nothing came from /dev/video10");
        assert!(start.elapsed() > Duration::from_millis(1500), "it is patient");
        feeder.signal("CONT");
        watch.wait_for_recovery();
        watch.end();
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn a_camera_of_29_97_pictures_a_second_works_where_nokhwa_refuses() {
        shell("v4l2-ctl -d10 --set-fmt-video-out=width=640,height=480,pixelformat=YUYV --set-output-parm=29.97");
        shell("v4l2-ctl -d10 -c keep_format=1");
        shell("echo @30000/1001 >/sys/devices/virtual/video4linux/video10/format");
        let _feeder = Feeder::start("-pix_fmt yuyv422");
        let rates: Vec<f64> = camera::list().remove(1).formats.remove(0).sizes.remove(0).rates_hz;
        assert!(rates.iter().any(|rate| (rate - 29.97).abs() < 0.01), "{rates:?}");
        let watch = Watch::start(from("/dev/video10"));
        watch.take(10);
        watch.end();
        let watch = Watch::start(CameraConfig { backend: Backend::Nokhwa, ..from("/dev/video10") });
        watch.wait_for_failure("through nokhwa: it knows whole rates only, and this is 29.97 pictures a second");
        watch.end();
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn lost_and_broken_frames_are_counted() {
        shell("v4l2-ctl -d0 -c percentage_of_dropped_buffers=20");
        let watch = Watch::start(from("/dev/video0"));
        let last = watch.take(60);
        let counts = watch.counters.counts();
        assert!(counts.lost > 0 && counts.broken == 0, "{counts:?}");
        assert!(last.sequence() > 60, "numbers leave out the lost");
        shell("v4l2-ctl -d0 -c percentage_of_dropped_buffers=0 -c inject_v4l2_buf_flag_error=1");
        watch.take(30);
        assert_eq!(watch.counters.counts().broken, 1);
        shell("v4l2-ctl -d0 -c inject_fatal_streaming_error=1");
        watch.wait_for_failure("Camera /dev/video0 (vivid) failed: ");
        watch.wait_for_recovery();
        watch.end();
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn a_missing_camera_names_those_that_are_there() {
        let watch = Watch::start(from("/dev/video3"));
        watch.wait_for_failure("Cannot open camera /dev/video3: no such device; found /dev/video0 (vivid");
        watch.end();
        let watch = Watch::start(from("/dev/video10"));
        watch.wait_for_failure("Cannot open camera /dev/video10 (Loopback-camera): it gives no pictures");
        watch.end();
        shell("modprobe -r vivid");
        assert_eq!(camera::list(), []);
        let watch = Watch::start(from("auto"));
        watch.wait_for_failure("No camera found; plug one in");
        shell("modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x00 num_outputs=0 vid_cap_nr=0");
        watch.wait_for_recovery();
        watch.end();
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn nokhwa_captures_and_leaves_a_frozen_camera_behind() {
        let nokhwa = |source: &str| CameraConfig { backend: Backend::Nokhwa, height: 360, ..from(source) };
        let watch = Watch::start(nokhwa("/dev/video0"));
        let geometry = watch.take(30).geometry();
        assert_eq!((geometry.format, geometry.width, geometry.height), (PixelFormat::Yuyv, 640, 360));
        watch.end();

        let feeder = Feeder::start("-pix_fmt yuvj422p -c:v mjpeg");
        let watch = Watch::start(CameraConfig { height: 480, ..nokhwa("/dev/video10") });
        assert_eq!(watch.take(10).geometry().format, PixelFormat::Mjpeg);
        feeder.signal("STOP");
        watch.wait_for_failure("The camera delivers no pictures");
        assert_eq!(watch.counters.counts().abandoned, 1);
        // Its thread holds the camera until the next picture comes.
        watch.wait_for_failure("");
        feeder.signal("CONT");
        watch.wait_for_recovery();
        watch.end();
    }

    #[test]
    #[ignore = "runs in the kernel with devices"]
    fn a_camera_in_use_is_said() {
        let first = Watch::start(from("/dev/video0"));
        first.take(5);
        let second = Watch::start(from("/dev/video0"));
        second.wait_for_failure("Cannot open camera /dev/video0 (vivid): another program uses it; close that program.");
        first.end();
        second.take(5);
        second.end();
    }

    /// The whole program on a camera and a sound card: what is played to the card is heard as a command; a card that is
    /// pulled out is reported, the camera goes on, and the card is found again.
    #[test]
    #[ignore = "runs in the kernel"]
    fn the_program_sees_and_hears_and_finds_a_lost_microphone_again() {
        let mut program = Command::new(env!("CARGO_BIN_EXE_lookhear"))
            .args(["run", "--preview", "none", "--events", "-", "--camera", "auto"])
            .args(["--microphone", "plughw:CARD=Loopback,DEV=0"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = std::sync::mpsc::channel::<String>();
        let stdout = program.stdout.take().expect("it is piped");
        std::thread::spawn(move || {
            let lines = std::io::BufRead::lines(std::io::BufReader::new(stdout)).map_while(Result::ok);
            // The test ends before the program does.
            lines.for_each(|line| drop(sender.send(line)));
        });
        let wait_for = |parts: &[&str]| {
            let start = Instant::now();
            while start.elapsed() < 2 * DEADLINE {
                match lines.recv_timeout(Duration::from_secs(1)) {
                    Ok(line) if parts.iter().all(|part| line.contains(part)) => return,
                    _ => {}
                }
            }
            panic!("no event with {parts:?}");
        };
        wait_for(&["detections"]);
        let play = "ffmpeg -v error -y -i assets/demo/commands.wav -t 4 -ar 48000 -ac 2 -af apad=pad_dur=0.5 /tmp/yes.wav; \
                    sleep 2; aplay -q -D plughw:Loopback,1 /tmp/yes.wav";
        shell(play);
        wait_for(&["keyword", "yes"]);
        // In the background: it waits until the program has closed the card.
        shell("(echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/unbind) &");
        wait_for(&["lost", "microphone"]);
        wait_for(&["detections"]);
        shell("sleep 1; echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/bind");
        wait_for(&["found", "microphone"]);
        shell(&format!("kill -INT {}", program.id()));
        assert!(program.wait().expect("it is ours").success());
    }
}
