//! `lookhear bench`: how fast lookhear is on this machine, and how it is fastest.
//!
//! ```text
//! $ lookhear bench
//! lookhear 0.1.0, TensorFlow Lite 2.17.1, 2026-11-26T11:47:53.736Z
//! AMD EPYC, 2 cores, 23.5 GB, Linux (Debian GNU/Linux 12), x86_64, load 0.6
//!
//! Inference of models/objects, beside a preview of 30 frames/s and the spotter:
//!
//! | kernels                      | threads at work | median ms | p95 ms |
//! |------------------------------|----------------:|----------:|-------:|
//! | XNNPACK, 1 thread            |               1 |     3.575 |  3.831 |
//! | XNNPACK, 2 threads           |               3 |     2.065 |  2.843 |
//! | the plain kernels, 1 thread  |               1 |    17.164 | 17.715 |
//! | the plain kernels, 2 threads |               3 |    17.689 | 20.133 |
//!
//! Fastest here: XNNPACK, 2 threads.
//!
//! …
//! |                                  |  MJPEG |   YUYV |
//! |----------------------------------|-------:|-------:|
//! | detector, frames/s               |  275.1 |  329.2 |
//! | preview, frames/s                | 1257.9 | 5050.5 |
//! | everything but the inference, ms |  0.962 |  0.365 |
//! | the same, of the inference       | 34.6 % | 13.1 % |
//! $ lookhear bench --threads 1 --json
//! {
//!   "lookhear": "0.1.0",
//!   …
//! ```
//! The ways of running the model are tried first, beside a thread that does what else `run` has to do; then each part is
//! timed alone. `--seconds` is for all of it together; where even the fewest runs that have a median take longer, so does
//! the command. The plain kernels have two pools of threads, and XNNPACK has one beside theirs, so more can be at work than
//! were asked for.
//!
//! `--save` writes the fastest way into `measured.toml` (`src/config/measured.rs`). An old one is not read here, so that one that
//! is damaged can be replaced.

mod choice;
mod company;
mod machine;
mod parts;
mod report;
mod stand_ins;
mod threads;
mod times;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::builder::RangedU64ValueParser;

use self::choice::{Tried, Way, fastest, try_all};
use self::company::Company;
use self::machine::Machine;
use self::parts::{Bench, TURNS};
use self::report::{Follows, Report, Size};
use self::stand_ins::{Ear, Screen, StillCamera};
use super::progress;
use crate::config::{Measured, find_data};
use crate::flow::Stop;
use crate::media::WallTime;
use crate::model::{Bundle, Delegate, runtime_version, trial};

/// The share of the time in which the ways of running the model are tried; the parts have the rest.
const SHARE_OF_WAYS: f64 = 0.5;

/// The arguments of `lookhear bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle of the detector: a folder, or a model file
    #[arg(long, value_name = "BUNDLE", default_value = "models/objects")]
    model: PathBuf,
    /// Only this number of threads [default: as many as there are cores, and fewer]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    threads: Option<usize>,
    /// For how long is measured, in seconds, 0.1 to 600; slow machines take longer
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    seconds: Duration,
    /// Lets `lookhear run` take the fastest way from now on
    #[arg(long)]
    save: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.1..=600.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err("it is not between 0.1 and 600".to_owned())
    }
}

/// Runs the command.
///
/// # Errors
/// Why a bundle cannot be used, or the result not be saved.
pub fn run(args: Args) -> anyhow::Result<()> {
    let place = match args.save {
        true => Some(Measured::place().context("Nobody's home is known here: name a file in LOOKHEAR_MEASURED.")?),
        false => None,
    };
    let open = |path: &Path| -> anyhow::Result<Bundle> {
        let bundle = Bundle::open(&find_data(path))?;
        trial::ensure(&bundle)?;
        Ok(bundle)
    };
    let machine = Machine::this();
    let (objects, keywords) = (open(&args.model)?, open(Path::new("models/keywords"))?);

    let mut yuyv = StillCamera::yuyv()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut finder = Way { threads: 1, accelerate: true }.finder(&objects)?;
    let mut found = Vec::new();
    finder.find(yuyv.next().rgb().map_err(Clone::clone)?, &mut found)?;
    let ways = Way::all(args.threads, cores, finder.delegate() == Delegate::Xnnpack);
    drop(finder);

    let progress = progress::bar(2 * ways.len() + TURNS as usize, "measurements");
    let time_for_ways = args.seconds.mul_f64(SHARE_OF_WAYS);
    let mut company = Company::new(&found, &keywords)?;
    let tried = in_company(&mut company, || {
        let picture = yuyv.next().rgb().map_err(Clone::clone)?;
        Ok(try_all(&ways, &objects, picture, time_for_ways, &progress)?)
    })?;
    let Tried { way: fastest, .. } = *fastest(&tried).ok_or_else(|| anyhow!("There is no way to run the model."))?;
    let mut bench = Bench {
        mjpeg: StillCamera::mjpeg()?,
        yuyv,
        finder: fastest.finder(&objects)?,
        screen: Screen::new(&found)?,
        ear: Ear::new(&keywords)?,
    };
    let parts = bench.measure(args.seconds - time_for_ways, &progress)?;
    progress.finish_and_clear();

    let (width, height) = bench.yuyv.size();
    let mut report = Report {
        lookhear: env!("CARGO_PKG_VERSION"),
        runtime: runtime_version(),
        at: WallTime::now(),
        machine,
        bundle: &objects.path,
        model_sha256: objects.sha256(),
        picture: Size { width, height },
        ways: &tried,
        fastest,
        follows: Follows::from(&parts),
        parts,
        saved: None,
    };
    if let Some(file) = place {
        save(&report, &objects, &file)?;
        report.saved = Some(file);
    }
    let mut stdout = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &report)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{report}")?;
    }
    Ok(())
}

/// Does `work` while `company` works beside it.
fn in_company<T>(company: &mut Company, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let company = scope.spawn(|| company.work(&stop));
        let done = work();
        stop.request();
        company.join().map_err(|_| anyhow!("The preview or the spotter panicked: please report it."))??;
        done
    })
}

fn save(report: &Report<'_>, bundle: &Bundle, file: &Path) -> anyhow::Result<()> {
    let measured = Measured {
        at: report.at.to_string(),
        processor: report.machine.processor.clone(),
        bundle: bundle.name.clone(),
        model_sha256: report.model_sha256.clone(),
        threads: report.fastest.threads,
        accelerate: report.fastest.accelerate,
    };
    measured.save(file).with_context(|| {
        format!("Cannot write {}: check its folder, or name another file in LOOKHEAR_MEASURED.", file.display())
    })
}
