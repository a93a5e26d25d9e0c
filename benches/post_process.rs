//! From a model's outputs to detections: ours beside the loop of a first version.
//!
//! `cargo bench --bench post_process`. The model has looked at a street once; one iteration reads what it gave. Of a
//! bundle that ends in `TFLite_Detection_PostProcess` only the rows are read, since boxes and suppression are that
//! operator's. The score of 0.05 is one for measuring accuracy: it lets through much more than anybody wants to see.

use std::path::Path;

use divan::{Bencher, black_box};
use lookhear::findings::BoxInFrame;
use lookhear::media::RgbView;
use lookhear::model::{Bundle, Engine, EngineOptions, Head, Normalisation, RawSsd, Reals, Task};
use lookhear::vision::{ObjectFinder, ObjectsConfig};

const BUNDLES: [&str; 2] = ["models/objects", "models/objects-float"];
const LEAST_SCORES: [f32; 2] = [0.5, 0.05];

fn main() {
    divan::main();
}

fn at_home(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn street() -> image::RgbImage {
    image::open(at_home("tests/data/objects/street_48s.png")).expect("the test's picture").into_rgb8()
}

/// The bundles of this checkout, with each of the scores.
fn cases() -> Vec<(&'static str, f32)> {
    let there = BUNDLES.into_iter().filter(|bundle| at_home(bundle).is_dir());
    there.flat_map(|bundle| LEAST_SCORES.map(|score| (bundle, score))).collect()
}

#[divan::bench(args = cases())]
fn ours(bencher: Bencher, (bundle, score): (&str, f32)) {
    let bundle = Bundle::open(&at_home(bundle)).expect("a bundle that we ship");
    let config = ObjectsConfig { threshold: Some(score), ..ObjectsConfig::default() };
    let mut finder = ObjectFinder::new(&config, &bundle).expect("it fits");
    let (street, mut found) = (street(), Vec::new());
    let view = RgbView { pixels: &street, width: street.width(), height: street.height() };
    finder.find(view, &mut found).expect("it runs");
    bencher.bench_local(|| finder.read(black_box(&mut found)).expect("it has run"));
}

/// What a raw head gave, as floats.
struct Outputs {
    boxes: Vec<f32>,
    scores: Vec<f32>,
    classes: usize,
    head: RawSsd,
}

/// Of the first bundle whose head is ours to read; `None` if there is none.
fn raw_outputs() -> Option<Outputs> {
    let bundles = BUNDLES.into_iter().filter_map(|bundle| Bundle::open(&at_home(bundle)).ok());
    bundles.into_iter().find_map(|bundle| {
        let Task::Detection { head: Head::RawSsd(head), normalisation, .. } = &bundle.task else { return None };
        let mut engine = Engine::load(bundle.model.clone(), EngineOptions::default()).ok()?;
        let &[_, height, width, _] = &engine.inputs()[0].shape[..] else { return None };
        let triangle = image::imageops::FilterType::Triangle;
        let picture = image::imageops::resize(&street(), width as u32, height as u32, triangle);
        let Normalisation { mean, scale } = *normalisation;
        for (value, pixel) in engine.input_mut::<f32>(0).ok()?.iter_mut().zip(picture.as_raw()) {
            *value = (f32::from(*pixel) - mean) / scale;
        }
        engine.invoke().ok()?;
        let values = |name: &str| {
            let index = engine.outputs().iter().position(|output| output.name == name)?;
            let reals = Reals::of(&engine, index).ok()?;
            Some((0..engine.outputs()[index].len()).map(|value| reals.at(value)).collect::<Vec<f32>>())
        };
        let (boxes, scores) = (values(&head.boxes)?, values(&head.scores)?);
        Some(Outputs { boxes, scores, classes: bundle.labels.len(), head: (**head).clone() })
    })
}

/// Every score through the sigmoid, every box decoded, then the best class of each, and each box compared with all.
/// Anchors lie on a plain grid: their places change nothing of the work but how many boxes overlap.
#[divan::bench(args = LEAST_SCORES)]
fn raw_head_by_a_plain_loop(bencher: Bencher, least: f32) {
    let Some(Outputs { boxes, scores, classes, head }) = raw_outputs() else {
        println!("skipped: no bundle here has a raw head");
        return;
    };
    let side = ((boxes.len() / 4) as f32).sqrt().ceil();
    bencher.bench_local(|| {
        let mut found: Vec<(usize, f32, BoxInFrame)> = Vec::new();
        for (index, (code, row)) in black_box(&boxes).chunks(4).zip(black_box(&scores).chunks(classes)).enumerate() {
            let row: Vec<f32> = row.iter().map(|raw| 1.0 / (1.0 + (-raw).exp())).collect();
            let [ty, tx, th, tw] = [0, 1, 2, 3].map(|part| code[part] / head.box_scales[part]);
            let (y, x) = ((index as f32 / side).floor() / side + ty * 0.2, index as f32 % side / side + tx * 0.2);
            let (h, w) = (th.exp() * 0.2, tw.exp() * 0.2);
            let bounds = BoxInFrame { x: x - w / 2.0, y: y - h / 2.0, w, h };
            let best = row.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            found.extend(best.filter(|(_, score)| *score >= least).map(|(class, score)| (class, score, bounds)));
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut kept: Vec<(usize, f32, BoxInFrame)> = Vec::new();
        while !found.is_empty() {
            let best = found.remove(0);
            found.retain(|other| other.0 != best.0 || other.2.iou(&best.2) <= head.nms_iou);
            kept.push(best);
        }
        kept
    });
}
