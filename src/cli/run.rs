//! `lookhear run`: watches and listens.
//!
//! ```text
//! $ lookhear run --camera street.mp4 --microphone commands.wav --preview none --no-pace
//! 0.0 s  sees   person 3
//! 2.1 s  hears  yes (0.98)
//! …
//! ```
//! `--stats` tells on standard error what became of everything, and how long it took from the camera on:
//! ```text
//! $ lookhear run --camera street30.mkv --microphone commands.wav --events /dev/null --stats
//! edge                   delivered      used   skipped      lost
//! camera → detector            600       598         2         0
//! detector → hub               598       598         0         0
//! microphone → listener     351552    351552         0         0
//! listener → hub               227       227         0         0
//! hub → event log              826       826         0         0
//! camera → preview             600       600         0         0
//! hub → preview                826       825         0         1
//! latency, ms                            p50       p95       p99       max     count
//! capture → result                       9.0       9.4       9.8      10.4       598
//! capture → picture in the window        0.4       2.1       2.1       2.2       600
//! capture → boxes in the window          9.3       9.7      10.0      10.7       597
//! ```

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;

use super::progress;
use crate::config::{Config, Layers, PaceConfig};
use crate::flow::{EdgeCounts, Stop, Times, WayTimes};
use crate::model::trial;
use crate::output::PreviewMode;
use crate::pipeline::{Bundles, Pipeline, Summary};

/// The arguments of `lookhear run`; each has its key in the configuration file.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The configuration file [default: lookhear.toml here, in ~/.config/lookhear or in /etc/lookhear]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// auto, none, a device, a video file, a stream's URL, a picture, a folder of pictures, or - (standard input)
    #[arg(long, value_name = "SRC")]
    camera: Option<String>,
    /// auto, none, a device, a WAV or video file, or - (raw PCM on standard input)
    #[arg(long, value_name = "SRC")]
    microphone: Option<String>,
    /// The bundle of the object detector, or none
    #[arg(long, value_name = "BUNDLE")]
    objects: Option<String>,
    /// The bundle of the keyword spotter, or none
    #[arg(long, value_name = "BUNDLE")]
    keywords: Option<String>,
    /// A wake word: other words are told only for some seconds after it
    #[arg(long, value_name = "WORD")]
    listen_after: Option<String>,
    /// Only these labels
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    labels: Vec<String>,
    /// The least score of an object, 0…1 [default: the bundle's]
    #[arg(long, value_name = "X")]
    threshold: Option<f64>,
    /// Whether a window shows the picture
    #[arg(long, value_name = "MODE")]
    preview: Option<PreviewMode>,
    /// Writes an event log (JSON Lines) to FILE, or to standard output
    #[arg(long, value_name = "FILE|-")]
    events: Option<String>,
    /// Records the picture with boxes and commands: a video, or PNGs into a folder
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,
    /// Takes files as fast as possible, and every frame of them
    #[arg(long)]
    no_pace: bool,
    /// Prints once a second what was delivered, used, skipped and lost, and the latencies
    #[arg(long)]
    stats: bool,
}

/// How long everybody has to stop. A large model's inference on a slow machine is the longest thing to wait for.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// Between two tables of `--stats`.
const STATS_PERIOD: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// What is wrong with the configuration, or kept a part of the pipeline from working.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.decide()?;
    let stop = Stop::new();
    stop_on_signals(&stop).context("Cannot listen to signals")?;
    let bundles = Bundles::open(&config)?;
    for bundle in [&bundles.objects, &bundles.keywords].into_iter().flatten() {
        trial::ensure(bundle)?;
    }
    let pipeline = Pipeline::build(&config, &bundles, &stop)?;
    drop(bundles);
    let (ledger, life, stats) = (pipeline.ledger().clone(), stop.for_stage(), config.run.stats);
    // A spinner would be torn by the lines of what is found, unless those go elsewhere.
    let quiet = config.run.pace == PaceConfig::Complete && !std::io::stdout().is_terminal();
    let display = std::thread::Builder::new().name("display".to_owned()).spawn(move || match (stats, quiet) {
        (true, _) => {
            while life.sleep(STATS_PERIOD) {
                eprint!("{}{}", edges_table(&ledger.summary()), ways_table(&ledger.times()));
            }
        }
        (false, true) => progress::follow(&ledger, &life),
        (false, false) => {}
    })?;
    let Summary { failures, ledger, times } = pipeline.run(STOP_DEADLINE)?;
    stop.request();
    // It only prints, and has been asked to stop.
    let _ = display.join();
    if stats {
        eprint!("{}{}", edges_table(&ledger), ways_table(&times));
    }
    match failures.as_slice() {
        [] => Ok(()),
        [(_, reason)] => bail!("{reason}"),
        several => {
            let reasons: Vec<String> = several.iter().map(|(part, reason)| format!("{part}: {reason}")).collect();
            bail!("Several parts failed: {}", reasons.join(" · "))
        }
    }
}

impl Args {
    fn decide(self) -> anyhow::Result<Config> {
        let mut layers = Layers::new(self.config.as_deref())?;
        layers.flag("--camera", "camera.source", self.camera)?;
        layers.flag("--microphone", "microphone.source", self.microphone)?;
        layers.flag("--objects", "objects.bundle", self.objects)?;
        layers.flag("--keywords", "keywords.bundle", self.keywords)?;
        layers.flag("--listen-after", "keywords.listen_after", self.listen_after)?;
        layers.flag("--labels", "objects.labels", (!self.labels.is_empty()).then_some(self.labels))?;
        layers.flag("--threshold", "objects.threshold", self.threshold)?;
        let mode = self.preview.and_then(|mode| mode.to_possible_value().map(|value| value.get_name().to_owned()));
        layers.flag("--preview", "preview.mode", mode)?;
        layers.flag("--events", "events.file", self.events)?;
        layers.flag("--annotate", "recording.file", self.annotate.map(|path| path.to_string_lossy().into_owned()))?;
        layers.flag("--no-pace", "run.pace", self.no_pace.then(|| "complete".to_owned()))?;
        layers.flag("--stats", "run.stats", self.stats.then_some(true))?;
        Ok(layers.decide()?.config)
    }
}

/// The first interrupt asks everybody to stop; the second ends the program at once, with 130.
pub(super) fn stop_on_signals(stop: &Stop) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let stop = stop.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if stop.is_requested() {
                std::process::exit(130);
            }
            if std::io::stderr().is_terminal() {
                eprintln!("Stopping; interrupt again to end at once.");
            }
            stop.request();
        }
    })?;
    Ok(())
}

/// The ledger's edges as a table, one row each.
fn edges_table(edges: &[EdgeCounts]) -> String {
    let width = edges.iter().map(|edge| edge.edge.chars().count()).max().unwrap_or(0);
    let mut table = format!("{:width$}  {:>9} {:>9} {:>9} {:>9}\n", "edge", "delivered", "used", "skipped", "lost");
    for EdgeCounts { edge, counts } in edges {
        let (delivered, used, skipped, lost) = (counts.delivered, counts.used, counts.skipped, counts.lost);
        table.push_str(&format!("{edge:width$}  {delivered:>9} {used:>9} {skipped:>9} {lost:>9}\n"));
    }
    table
}

/// The ledger's ways that were gone as a table, one row each; nothing if there is none.
fn ways_table(ways: &[WayTimes]) -> String {
    const TITLE: &str = "latency, ms";
    let gone = || ways.iter().filter(|way| way.times.count > 0);
    let Some(width) = gone().map(|way| way.way.chars().count().max(TITLE.len())).max() else { return String::new() };
    let mut table = format!("{TITLE:width$}  {:>9} {:>9} {:>9} {:>9} {:>9}\n", "p50", "p95", "p99", "max", "count");
    for WayTimes { way, times: Times { p50_ms, p95_ms, p99_ms, max_ms, count } } in gone() {
        table.push_str(&format!("{way:width$}  {p50_ms:>9.1} {p95_ms:>9.1} {p99_ms:>9.1} {max_ms:>9.1} {count:>9}\n"));
    }
    table
}
