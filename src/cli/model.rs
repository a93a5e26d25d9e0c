//! `lookhear model inspect`: what a bundle is, and whether its model runs here.
//!
//! ```text
//! $ lookhear model inspect models/objects
//! models/objects: detection
//!   input   picture                         uint8 [1, 300, 300, 3]  (q − 128) · 0.007843138
//!   output  TFLite_Detection_PostProcess    float32 [1, 40, 4]
//!   …
//!   labels  23: bicycle, boot, laptop, person, chair, cattle, desk, cat, …
//!   pixels  as they are, stretched
//!   head    TFLite_Detection_PostProcess, decoded in the model
//!   …
//!   runs    3.3 ms with XNNPACK, 1 thread
//! ```

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Subcommand;
use serde::Serialize;

use crate::config::find_data;
use crate::findings::Label;
use crate::model::{
    Bundle, Decision, Delegate, ElementType, Engine, EngineError, EngineOptions, FrontEnd, Head, Normalisation,
    Quantisation, Resize, Task, TensorInfo, runtime_version, trial,
};

/// The arguments of `lookhear model`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells what a bundle is for, what goes in and comes out, and whether it runs here
    Inspect {
        /// A folder, or a model file
        bundle: PathBuf,
        /// Prints one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// Why the bundle cannot be opened. A model that opens and does not run is described all the same, and is an error then.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Command::Inspect { bundle, json } = args.command;
    let bundle = Bundle::open(&find_data(&bundle))?;
    let tried = trial::ensure(&bundle);
    let ran = tried.map_err(anyhow::Error::from).and_then(|()| Ok(DryRun::of(&bundle)?));
    let mut stdout = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut stdout, &Report::of(&bundle, ran.as_ref().ok()))?;
        writeln!(stdout)?;
    } else {
        as_text(&mut stdout, &bundle, ran.as_ref().ok())?;
    }
    ran.map(drop)
}

/// What one run on zeros told.
#[derive(Debug)]
struct DryRun {
    /// With the shapes that only a loaded model knows.
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    time: Duration,
    delegate: Delegate,
    threads: usize,
}

/// The first run also prepares weights; the fastest of a few is what a pipeline sees.
const RUNS: usize = 5;

impl DryRun {
    fn of(bundle: &Bundle) -> Result<Self, EngineError> {
        let mut engine = Engine::load(bundle.model.clone(), EngineOptions::default())?;
        let mut time = Duration::MAX;
        for _ in 0..RUNS {
            let start = Instant::now();
            engine.invoke()?;
            time = time.min(start.elapsed());
        }
        let (inputs, outputs) = (engine.inputs().to_vec(), engine.outputs().to_vec());
        Ok(Self { inputs, outputs, time, delegate: engine.delegate(), threads: engine.threads() })
    }
}

/// Labels shown before "…".
const FEW_LABELS: usize = 8;

fn as_text(to: &mut impl Write, bundle: &Bundle, ran: Option<&DryRun>) -> io::Result<()> {
    writeln!(to, "{}: {}", bundle.path.display(), bundle.task.name())?;
    let (inputs, outputs) =
        ran.map_or((&bundle.summary.inputs, &bundle.summary.outputs), |ran| (&ran.inputs, &ran.outputs));
    let width = inputs.iter().chain(outputs).map(|tensor| tensor.name.chars().count()).max().unwrap_or(0);
    for (role, tensor) in
        inputs.iter().map(|input| ("input ", input)).chain(outputs.iter().map(|output| ("output", output)))
    {
        let TensorInfo { name, shape, element, quantisation } = tensor;
        write!(to, "  {role}  {name:width$}  {element} {shape:?}")?;
        match quantisation {
            Some(Quantisation { scale, zero_point }) => {
                let sign = if *zero_point < 0 { '+' } else { '−' };
                writeln!(to, "  (q {sign} {}) · {scale}", zero_point.unsigned_abs())?;
            }
            None => writeln!(to)?,
        }
    }
    let few: Vec<&str> = bundle.labels.iter().take(FEW_LABELS).map(|label| &**label).collect();
    let more = if bundle.labels.len() > few.len() { ", …" } else { "" };
    let colon = if few.is_empty() { "" } else { ": " };
    writeln!(to, "  labels  {}{colon}{}{more}", bundle.labels.len(), few.join(", "))?;
    match &bundle.task {
        Task::Detection { head, normalisation, resize, threshold } => {
            writeln!(to, "  pixels  {}, {}", pixels(*normalisation, inputs), resize_name(*resize))?;
            writeln!(to, "  head    {}", head_name(head))?;
            writeln!(to, "  scores  from {threshold} up")?;
        }
        Task::Keywords { front_end, decision } => {
            let (window, step) = (front_end.window_samples, front_end.step_samples);
            let rate = f64::from(front_end.rate_hz) / 1e3;
            let (window_ms, step_ms) = (window as f64 / rate, step as f64 / rate);
            writeln!(
                to,
                "  sound   {:?}, {} bands of {}–{} Hz, windows of {window_ms} ms every {step_ms} ms at {rate} kHz",
                front_end.feature, front_end.mel_bands, front_end.low_hz, front_end.high_hz
            )?;
            writeln!(
                to,
                "  words   every {} ms, mean of {}, from {} up",
                decision.step_ms, decision.smoothing, decision.threshold
            )?;
        }
        Task::Unknown => {}
    }
    let operators: Vec<String> =
        bundle.summary.operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(to, "  ops     {}", operators.join(", "))?;
    for note in &bundle.notes {
        writeln!(to, "  note    {note}")?;
    }
    for warning in &bundle.warnings {
        writeln!(to, "  WARNING {warning}")?;
    }
    if let Some(DryRun { time, delegate, threads, .. }) = ran {
        let plural = if *threads == 1 { "" } else { "s" };
        let milliseconds = time.as_secs_f64() * 1e3;
        writeln!(to, "  runs    {milliseconds:.1} ms with {delegate}, {threads} thread{plural}")?;
    }
    Ok(())
}

fn pixels(Normalisation { mean, scale }: Normalisation, inputs: &[TensorInfo]) -> String {
    match inputs.first().map(|input| input.element) {
        Some(ElementType::Float32) => format!("(p − {mean}) / {scale}"),
        Some(ElementType::Int8) => "p − 128".to_owned(),
        _ => "as they are".to_owned(),
    }
}

fn resize_name(resize: Resize) -> &'static str {
    match resize {
        Resize::Stretch => "stretched",
    }
}

fn head_name(head: &Head) -> &'static str {
    match head {
        Head::RawSsd(_) => "raw SSD codes, decoded and suppressed here",
        Head::PostProcess => "TFLite_Detection_PostProcess, decoded in the model",
    }
}

/// What `--json` prints. A struct and not a loose value, so that numbers keep their short form.
#[derive(Serialize)]
struct Report<'a> {
    bundle: &'a Path,
    task: &'static str,
    #[serde(flatten)]
    description: DescriptionReport<'a>,
    inputs: &'a [TensorInfo],
    outputs: &'a [TensorInfo],
    labels: &'a [Label],
    operators: &'a BTreeMap<String, usize>,
    model: ModelReport<'a>,
    notes: &'a [String],
    warnings: &'a [String],
    runtime: String,
    dry_run: Option<RunReport>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DescriptionReport<'a> {
    Detection { head: &'a Head, normalisation: Normalisation, resize: Resize, threshold: f32 },
    Keywords { front_end: &'a FrontEnd, decision: &'a Decision },
    Unknown {},
}

#[derive(Serialize)]
struct ModelReport<'a> {
    file: &'a Path,
    bytes: usize,
    sha256: String,
}

#[derive(Serialize)]
struct RunReport {
    time_ms: f64,
    delegate: Delegate,
    threads: usize,
}

impl<'a> Report<'a> {
    fn of(bundle: &'a Bundle, ran: Option<&'a DryRun>) -> Self {
        let summary = &bundle.summary;
        let (inputs, outputs) = ran.map_or((&summary.inputs, &summary.outputs), |ran| (&ran.inputs, &ran.outputs));
        let description = match &bundle.task {
            &Task::Detection { ref head, normalisation, resize, threshold } => {
                DescriptionReport::Detection { head, normalisation, resize, threshold }
            }
            Task::Keywords { front_end, decision } => DescriptionReport::Keywords { front_end, decision },
            Task::Unknown => DescriptionReport::Unknown {},
        };
        let run = |ran: &DryRun| RunReport {
            time_ms: (ran.time.as_secs_f64() * 1e6).round() / 1e3,
            delegate: ran.delegate,
            threads: ran.threads,
        };
        Self {
            bundle: &bundle.path,
            task: bundle.task.name(),
            description,
            inputs,
            outputs,
            labels: &bundle.labels,
            operators: &summary.operators,
            model: ModelReport { file: &bundle.model_path, bytes: bundle.model.len(), sha256: bundle.sha256() },
            notes: &bundle.notes,
            warnings: &bundle.warnings,
            runtime: runtime_version(),
            dry_run: ran.map(run),
        }
    }
}
