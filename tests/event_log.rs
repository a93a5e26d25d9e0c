//! Somebody reads the event log: it is what `docs/events.md` promises, it comes in time, and trouble ends it alone.

mod allocations;

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lookhear::findings::{Account, BoxInFrame, Detection, Detections, Event, EventKind, Hearing, Keyword};
use lookhear::flow::{Hub, Ledger, Pace, Publisher, Stage, StageError, Stop};
use lookhear::media::{Levels, MediaTime, Pool, WallTime};
use lookhear::output::EventLog;
use lookhear::output::event_log::{line_into, start_line};
use serde_json::Value;

fn seconds(seconds: f64) -> MediaTime {
    MediaTime::from_nanos((seconds * 1e9).round() as i64)
}

fn detections(time_s: f64, frame: u64, items: Vec<Detection>) -> Event {
    let mut pool = Pool::<Detections>::new(1);
    let filled = pool.fill(|detections| {
        (detections.frame, detections.time, detections.items) = (frame, seconds(time_s), items);
        Ok::<_, ()>(())
    });
    let kind = EventKind::Detections(filled.expect("one is free").expect("it is filled"));
    Event { time: seconds(time_s), at: None, kind }
}

fn live(time_s: f64, kind: EventKind) -> Event {
    Event { time: seconds(time_s), at: Some(WallTime::now()), kind }
}

fn lost(part: &'static str, reason: &str, retry_in_s: Option<f64>) -> Event {
    live(61.007, EventKind::Lost { part, reason: reason.to_owned(), retry_in_s })
}

/// What the document shows, in its order.
fn documented() -> Vec<Event> {
    let detection = |label: &str, score: f32, [x, y, w, h]: [f32; 4]| Detection {
        label: label.into(),
        score,
        bounds: BoxInFrame { x, y, w, h },
    };
    let account =
        |edge: &str, delivered, used, skipped| Account { edge: edge.to_owned(), delivered, used, skipped, lost: 0 };
    let person = detection("person", 0.871_29, [0.125, 0.25, 0.0625, 1.0 / 3.0]);
    let keyword = Keyword { label: "stop".into(), score: 0.973_111, time: seconds(3.12), decided: seconds(3.48) };
    vec![
        detections(2.4, 24, vec![person, detection("car", 0.5, [0.5, 0.5, 0.25, 0.125])]),
        detections(2.5, 25, vec![]),
        live(3.12, EventKind::Keyword(keyword)),
        lost("camera", "Cannot read /dev/video0: no such device; plug it in again.", Some(0.5)),
        lost("detector", "Cannot use the model: it has no outputs; choose another bundle.", None),
        live(64.52, EventKind::Found { part: "camera" }),
        live(
            70.25,
            EventKind::Ledger(vec![
                account("camera → detector", 2107, 1998, 109),
                account("microphone → listener", 1_124_000, 1_124_000, 0),
            ]),
        ),
    ]
}

fn line_of(event: &Event) -> String {
    let mut line = Vec::new();
    assert!(line_into(event, &mut line));
    String::from_utf8(line).expect("JSON is UTF-8")
}

/// The examples of the document: what stands in its blocks of JSON.
fn examples() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md")).expect("the document");
    page.split("```json\n").skip(1).map(|block| block.split("```").next().expect("a block ends").to_owned()).collect()
}

#[test]
fn the_log_is_what_the_document_shows() {
    let lines: Vec<String> = std::iter::once(start_line()).chain(documented().iter().map(line_of)).collect();
    let examples = examples();
    assert_eq!(lines.len(), examples.len(), "every event is shown");
    for (line, example) in lines.iter().zip(&examples) {
        // The time of the world is this moment's; keys keep their order when parsed.
        let mut line: Value = serde_json::from_str(line).expect("a line is JSON");
        let example: Value = serde_json::from_str(example).expect("an example is JSON");
        if let (Some(at), Some(shown)) = (line.get_mut("at"), example.get("at")) {
            assert_eq!(at.as_str().map(str::len), shown.as_str().map(str::len));
            *at = shown.clone();
        }
        assert_eq!(line.to_string(), example.to_string());
    }
}

#[test]
fn the_schema_knows_every_event_and_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).expect("the schema")).expect("it is JSON");
    let names = |value: &Value| -> BTreeSet<String> {
        let listed = value.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned));
        listed.chain(value.as_object().into_iter().flat_map(|object| object.keys().cloned())).collect()
    };
    for example in examples() {
        let example: Value = serde_json::from_str(&example).expect("an example is JSON");
        let event = &schema["$defs"][example["type"].as_str().expect("a type")];
        let (keys, known) = (names(&example), names(&event["properties"]));
        assert!(keys.is_subset(&known), "the schema of {} lacks {:?}", example["type"], keys.difference(&known));
        assert!(names(&event["required"]).is_subset(&keys), "{example}");
    }
}

#[test]
fn how_loud_it_is_does_not_go_into_the_log() {
    let levels = Levels { peak_dbfs: -3.0, rms_dbfs: -9.0 };
    let event = live(1.0, EventKind::Hearing(Hearing { time: seconds(1.0), levels }));
    let mut line = b"before".to_vec();
    assert!(!line_into(&event, &mut line));
    assert_eq!(line, b"before");
}

#[test]
fn after_the_longest_line_an_event_allocates_nothing() {
    let events = documented();
    let mut line = Vec::new();
    events.iter().for_each(|event| assert!(line_into(event, &mut line)));
    let before = allocations::of_this_thread();
    for _ in 0..100 {
        line.clear();
        events.iter().for_each(|event| assert!(line_into(event, &mut line)));
    }
    assert_eq!(allocations::of_this_thread() - before, 0);
}

/// A log at work on `target`, the publisher that feeds it, and its end.
fn started(target: PathBuf) -> (Publisher<Event>, std::thread::JoinHandle<Result<(), StageError>>) {
    let mut hub = Hub::new(Pace::Live, &Ledger::new());
    let publisher = hub.publisher("test");
    let mut log = EventLog::new(&target, hub.subscribe("event log", true)).expect("it can be opened");
    let thread = std::thread::spawn(move || {
        let hub = std::thread::spawn(move || hub.run(&Stop::new()));
        let result = log.run(&Stop::new());
        // The hub goes on without this sink, until its publishers are gone.
        drop(log);
        hub.join().expect("the hub does not panic");
        result
    });
    (publisher, thread)
}

#[test]
fn a_line_is_on_disk_within_a_second_and_all_at_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("events.jsonl");
    let (publisher, log) = started(file.clone());
    let lines = || fs::read_to_string(&file).expect("the log is there").lines().count();
    publisher.publish(documented().remove(0));
    let published = Instant::now();
    while lines() < 2 {
        assert!(published.elapsed() < Duration::from_secs(1), "the line is not on disk");
        std::thread::sleep(Duration::from_millis(5));
    }
    (0..100).for_each(|_| publisher.publish(documented().remove(0)));
    drop(publisher);
    log.join().expect("no panic").expect("it ends well");
    assert_eq!(lines(), 102);
}

#[test]
fn a_full_disk_is_one_clear_error() {
    let (publisher, log) = started("/dev/full".into());
    publisher.publish(documented().remove(0));
    drop(publisher);
    let error = log.join().expect("no panic").expect_err("the disk is full").to_string();
    assert_eq!(
        error,
        "Cannot write /dev/full: No space left on device (os error 28); free some space, or choose another place."
    );
}

#[test]
fn a_closed_pipe_is_one_clear_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let (publisher, log) = started(format!("/proc/self/fd/{}", writer.as_raw_fd()).into());
    drop((reader, writer));
    publisher.publish(documented().remove(0));
    drop(publisher);
    let error = log.join().expect("no panic").expect_err("nobody reads").to_string();
    assert!(error.ends_with("Broken pipe (os error 32); its reader has ended."), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_told_before_the_start() {
    let mut hub = Hub::<Event>::new(Pace::Live, &Ledger::new());
    let error =
        EventLog::new(Path::new("/no/such/folder/log"), hub.subscribe("event log", true)).expect_err("no folder");
    assert!(error.to_string().ends_with("create its folder first."), "{error}");
}
