//! `lookhear detect`: finds objects in pictures.
//!
//! ```text
//! $ lookhear detect --model models/objects tests/data/objects/street_48s.png
//! tests/data/objects/street_48s.png  300×300
//!   person                   0.55  x 0.598  y 0.405  w 0.053  h 0.178
//!   person                   0.55  x 0.750  y 0.417  w 0.038  h 0.178
//!   …
//! $ lookhear detect --model models/objects --labels car --json tests/data/objects/street_48s.png
//! {"image":"tests/data/objects/street_48s.png","width":300,"height":300,"detections":[{"label":"car","score":0.4794,"box":{"x":0.8419,"y":0.0791,"w":0.0988,"h":0.0953}},…]}
//! ```
//! Boxes are shares of the upright picture's width and height, from its top left corner.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use image::RgbImage;
use serde::Serialize;

use super::progress;
use crate::config::find_data;
use crate::findings::Detection;
use crate::media::read_photo;
use crate::model::{Bundle, trial};
use crate::output::Canvas;
use crate::output::draw::Painter;
use crate::vision::{ObjectFinder, ObjectsConfig};

/// The arguments of `lookhear detect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle of the detector: a folder, or a model file
    #[arg(long, value_name = "BUNDLE", default_value = "models/objects")]
    model: PathBuf,
    /// The pictures, JPEG or PNG
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Prints one JSON object a picture
    #[arg(long)]
    json: bool,
    /// Also writes each picture with its boxes into this folder, as PNG
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The least score, 0…1 [default: the bundle's]
    #[arg(long, value_name = "X")]
    threshold: Option<f32>,
    /// Only these labels
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    labels: Vec<String>,
}

/// Runs the command. A picture that cannot be read is reported at once, and the others are looked at all the same.
///
/// # Errors
/// Why the bundle cannot be used; or that some pictures could not be read.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&find_data(&args.model))?;
    trial::ensure(&bundle)?;
    let config = ObjectsConfig { threshold: args.threshold, labels: args.labels, ..ObjectsConfig::default() };
    let mut finder = ObjectFinder::new(&config, &bundle)?;
    let mut marked = args.output.map(MarkedPictures::new).transpose()?;
    let (mut found, mut failed) = (Vec::new(), 0);
    let progress = progress::bar(args.images.len(), "pictures");
    for path in &args.images {
        let looked = read_photo(path).map_err(anyhow::Error::from).and_then(|mut image| {
            finder.find((&image).into(), &mut found)?;
            if let Some(marked) = &mut marked {
                marked.write(path, &mut image, &found)?;
            }
            Ok(image)
        });
        match looked {
            Ok(image) => progress.suspend(|| print(&mut io::stdout().lock(), path, &image, &found, args.json))?,
            Err(error) => {
                // Only the number of these is returned, so this is the one place that tells which and why.
                progress.suspend(|| eprintln!("lookhear: {error}"));
                failed += 1;
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    if finder.dropped() > 0 {
        tracing::warn!(results = finder.dropped(), "the model gave results that are no numbers; they were dropped");
    }
    if failed == args.images.len() {
        bail!("No picture could be looked at.");
    }
    if failed > 0 {
        bail!("{failed} of {} pictures could not be looked at; the others were.", args.images.len());
    }
    Ok(())
}

/// Writes pictures with their boxes.
struct MarkedPictures {
    folder: PathBuf,
    painter: Painter,
}

impl MarkedPictures {
    fn new(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("Cannot create the folder {}: choose another place.", folder.display()))?;
        Ok(Self { folder, painter: Painter::new()? })
    }

    /// Draws on `image` and writes it under the name that its file had; two of one name would overwrite each other.
    fn write(&mut self, path: &Path, image: &mut RgbImage, found: &[Detection]) -> anyhow::Result<()> {
        let (width, height) = image.dimensions();
        if let Some(mut canvas) = Canvas::new(image.as_chunks_mut::<3>().0, width, height) {
            self.painter.detections(&mut canvas, found);
        }
        let target = self.folder.join(path.file_name().unwrap_or_default()).with_extension("png");
        image.save(&target).with_context(|| format!("Cannot write {}: choose another place.", target.display()))
    }
}

fn print(to: &mut impl Write, path: &Path, image: &RgbImage, found: &[Detection], json: bool) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        image: String,
        width: u32,
        height: u32,
        detections: &'a [Detection],
    }
    let (width, height) = image.dimensions();
    let image = path.display().to_string();
    if json {
        serde_json::to_writer(&mut *to, &Line { image, width, height, detections: found })?;
        return writeln!(to);
    }
    writeln!(to, "{image}  {width}×{height}")?;
    for Detection { label, score, bounds } in found {
        let (x, y, w, h) = (bounds.x, bounds.y, bounds.w, bounds.h);
        writeln!(to, "  {label:24} {score:.2}  x {x:.3}  y {y:.3}  w {w:.3}  h {h:.3}")?;
    }
    if found.is_empty() {
        writeln!(to, "  nothing")?;
    }
    Ok(())
}
