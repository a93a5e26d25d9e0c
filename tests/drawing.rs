//! Drawing on a picture costs no memory once every letter was seen: it happens for every frame, on small machines.

mod allocations;

use std::time::Duration;

use lookhear::findings::{BoxInFrame, Detection, Detections, Keyword, Scene};
use lookhear::media::{Levels, MediaTime, Pool};
use lookhear::output::Canvas;
use lookhear::output::draw::{Overlay, Painter, Status};

fn seconds(seconds: f64) -> MediaTime {
    MediaTime::from_nanos((seconds * 1e9) as i64)
}

fn scene() -> Scene {
    let mut pool = Pool::<Detections>::new(1);
    let seen = pool.fill(|detections| {
        let bounds = BoxInFrame { x: 0.2, y: 0.2, w: 0.3, h: 0.4 };
        detections.items =
            ["person", "car", "coffee cup"].map(|label| Detection { label: label.into(), score: 0.5, bounds }).into();
        Ok::<_, ()>(())
    });
    let mut scene = Scene { detections: seen.and_then(Result::ok), ..Scene::default() };
    let keyword = Keyword { label: "stop".into(), score: 0.9, time: seconds(1.0), decided: seconds(1.2) };
    scene.keywords.push_back(keyword);
    scene.levels = Some(Levels { peak_dbfs: -6.0, rms_dbfs: -20.0 });
    scene.lost.push(("camera", "Cannot read /dev/video0: no such device; plug it in again.".to_owned()));
    scene
}

#[test]
fn after_the_first_pictures_drawing_allocates_nothing() {
    let (scene, mut painter) = (scene(), Painter::new().expect("the built-in font is whole"));
    let mut pixels = vec![0u32; 640 * 480];
    let mut draw = |picture: u32| {
        let mut canvas = Canvas::new(&mut pixels, 640, 480).expect("enough pixels");
        let status = Status {
            camera_hz: Some(picture as f32 * 1.7),
            detector_hz: Some(picture as f32 / 1.3),
            result_age: Some(Duration::from_millis(picture.into())),
        };
        painter.overlay(&mut canvas, &Overlay { scene: &scene, now: seconds(1.5), status, sound: None });
    };
    (0..200).for_each(&mut draw);
    let before = allocations::of_this_thread();
    (0..200).for_each(&mut draw);
    assert_eq!(allocations::of_this_thread() - before, 0);
}
