//! `lookhear calibrate`: sets each word's threshold by the room and the speaker at hand.
//!
//! ```text
//! $ lookhear calibrate --microphone "USB Audio" --words yes,no,up,off,go --write lookhear.toml
//! room, 60 s: -66 dBFS, now and then -66 dBFS
//! word      threshold  before    heard  will be missed  false accepts an hour
//! yes            0.75    0.75      2/2      2 % (0–66)            0.3 (0–6.6)
//! no             0.75    0.75      2/2      5 % (0–66)           0.01 (0–1.2)
//! up             0.68    0.75      2/2      5 % (0–66)            0.1 (0–4.0)  lowered for the takes
//! …
//! all                            10/10      4 % (0–28)           1.3 (0.03–25)
//! Wrote keywords.thresholds into lookhear.toml.
//! ```
//! It hears a minute of the room, in which no command is said and all else goes on as usual; then it asks for every word,
//! one each three seconds, and for all of them again (`--takes`). A threshold stays what it was unless the room or the
//! takes ask for another: then it is as low as the takes need, and as high as the room demands.
//!
//! A recording in place of a microphone is heard by the same clock: `--room-seconds` of room, then the words in the order
//! of `--words` (without it, that of `dict.txt`), each said in the first two of its three seconds, as often as `--takes`.

mod estimate;
mod report;
mod session;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::{Layers, editable, find_data, write_thresholds};
use crate::findings::Label;
use crate::flow::{Ledger, Pace, Stage, StageError, Stop, ring};
use crate::media::SAMPLE_RATE_HZ;
use crate::microphone::{Microphone, MicrophoneConfig};
use crate::model::{Bundle, trial};
use crate::speech::Spotter;
use estimate::Goal;
use report::Report;
use session::{Part, SLOT_S, SPEAK_WITHIN_S, Script, Session};

/// What thresholds are chosen for: false accepts an hour of all words together, and missed words.
const GOAL: Goal = Goal { false_accepts_an_hour: 0.5, misses: 0.05 };
/// Two seconds of sound, as in `run`.
const RING_SAMPLES: usize = 2 * SAMPLE_RATE_HZ as usize;
/// Samples that are heard at once: a look at the display ten times a second.
const BLOCK: usize = SAMPLE_RATE_HZ as usize / 10;

/// The arguments of `lookhear calibrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// auto, a device, a WAV or video file, or - (raw PCM on standard input)
    #[arg(long, value_name = "SRC")]
    microphone: Option<String>,
    /// The bundle of the spotter: a folder, or a model file
    #[arg(long, value_name = "BUNDLE")]
    model: Option<String>,
    /// How long the room is heard
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(10..=3600))]
    room_seconds: u32,
    /// Which words, or all
    #[arg(long, value_name = "W,…", value_delimiter = ',', default_value = "all")]
    words: Vec<String>,
    /// How often each word is asked for
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    takes: u32,
    /// Writes the thresholds into a configuration file, which is made if there is none
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// The configuration file [default: lookhear.toml here, in ~/.config/lookhear or in /etc/lookhear]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Why the bundle or the microphone cannot be used, which word is unknown, that a recording is too short, or why the
/// configuration cannot be written.
pub fn run(args: Args) -> anyhow::Result<()> {
    // Before two minutes are spent, and not after.
    args.write.as_deref().map(editable).transpose()?;
    let mut layers = Layers::new(args.config.as_deref())?;
    layers.flag("--microphone", "microphone.source", args.microphone)?;
    layers.flag("--model", "keywords.bundle", args.model)?;
    let config = layers.decide()?.config;
    let bundle = Bundle::open(&find_data(&config.keywords.bundle))?;
    trial::ensure(&bundle)?;
    let mut spotter = Spotter::new(&config.keywords, &bundle)?;
    let (labels, before) = (spotter.labels().to_vec(), spotter.settings().thresholds.clone());
    let script = Script {
        room_s: f64::from(args.room_seconds),
        words: chosen(&args.words, &labels, &before)?,
        takes: args.takes as usize,
    };
    let mut session = Session::new(script, before.iter().map(Option::is_some).collect());
    hear(&config.microphone, &mut spotter, &mut session)?;

    let report = Report::of(&session, &labels, &before, GOAL);
    if report.said == 0 {
        bail!(
            "Cannot calibrate: no word was louder than the room; check with `lookhear devices` which microphone it is and \
             whether it is on, and speak when a word is asked for."
        );
    }
    let mut stdout = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &report)?;
        writeln!(stdout)?;
    } else {
        report.print(&mut stdout)?;
    }
    let Some(file) = args.write else { return Ok(()) };
    let thresholds: BTreeMap<&str, f32> = report.words.iter().map(|word| (&*word.label, word.threshold)).collect();
    write_thresholds(&file, &thresholds)?;
    // Standard output belongs to the report, which may be JSON.
    eprintln!("Wrote keywords.thresholds into {}.", file.display());
    Ok(())
}

/// The labels of the words, in the order in which they were given.
fn chosen(words: &[String], labels: &[Label], thresholds: &[Option<f32>]) -> anyhow::Result<Vec<usize>> {
    let commands: Vec<usize> = (0..labels.len()).filter(|label| thresholds[*label].is_some()).collect();
    if words == ["all"] {
        return Ok(commands);
    }
    let mut chosen = Vec::with_capacity(words.len());
    for word in words.iter().map(|word| word.trim()) {
        let Some(label) = commands.iter().find(|label| &*labels[**label] == word) else {
            let known: Vec<&str> = commands.iter().map(|label| &*labels[*label]).collect();
            bail!("Cannot calibrate {word:?}: the model does not know that word; it knows {}.", known.join(", "));
        };
        if chosen.contains(label) {
            bail!(
                "Cannot calibrate {word:?} twice in one go: name it once, and say with --takes how often it is asked for."
            );
        }
        chosen.push(*label);
    }
    Ok(chosen)
}

/// Hears a source until the session is over.
fn hear(config: &MicrophoneConfig, spotter: &mut Spotter, session: &mut Session) -> anyhow::Result<()> {
    if config.is_none() {
        bail!("There is no microphone to calibrate: name one with --microphone.");
    }
    let pace = if config.is_live() { Pace::Live } else { Pace::Complete };
    let (stop, ledger) = (Stop::new(), Ledger::new());
    let (writer, mut samples) = ring(RING_SAMPLES, pace, ledger.edge("microphone → calibration"));
    let mut microphone = Microphone::new(config, pace, Instant::now(), vec![writer])?;
    let prompt = Prompt::new(session.script(), spotter.labels(), config.is_live());
    let seconds = session.script().seconds();
    std::thread::scope(|scope| {
        let stop_source = stop.clone();
        // It owns the ring's writer, and with it this side learns of its end.
        let source = std::thread::Builder::new()
            .name("microphone".to_owned())
            .spawn_scoped(scope, move || microphone.run(&stop_source))
            .context("Cannot start a thread: close other programs.")?;
        let mut block = Vec::with_capacity(BLOCK);
        let heard = loop {
            block.clear();
            let more = samples.take_into(&mut block, BLOCK, &stop) > 0;
            let lost = samples.newly_lost();
            if lost > 0 {
                spotter.lose(lost);
                session.lose(lost);
            }
            session.hear(&block);
            if let Err(error) = spotter.hear(&block, |look| session.look(look.time.as_secs(), look.smoothed)) {
                break Err(error);
            }
            prompt.show(session.time_s());
            if !more || session.time_s() >= seconds {
                break Ok(());
            }
        };
        stop.request();
        prompt.end();
        let ended = source.join().unwrap_or(Ok(()));
        heard?;
        match ended {
            Err(StageError::Retry(error) | StageError::Final(error)) => Err(anyhow::Error::from_boxed(error)),
            Ok(()) => Ok(()),
        }
    })?;
    // A recording may end with its last word, which is then heard out in silence.
    if seconds - session.time_s() > SLOT_S - SPEAK_WITHIN_S {
        let (heard, wanted) = (session.time_s(), session.script().slots());
        bail!(
            "The sound ended after {heard:.1} s, and {seconds:.0} s are needed: {:.0} s of room, then {wanted} words in \
             three seconds each; record more, or ask for less with --room-seconds, --words and --takes.",
            session.script().room_s,
        );
    }
    spotter.finish(|look| session.look(look.time.as_secs(), look.smoothed))?;
    Ok(())
}

/// Tells the speaker what to say and how long there is: on a terminal in a line that changes, else in a line each.
struct Prompt {
    bar: ProgressBar,
    script: Script,
    labels: Vec<Label>,
    is_live: bool,
    shown: Cell<Option<Part>>,
}

impl Prompt {
    fn new(script: &Script, labels: &[Label], is_live: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(script.seconds() as u64).with_style(style);
        Self { bar, script: script.clone(), labels: labels.to_vec(), is_live, shown: Cell::new(None) }
    }

    fn show(&self, time_s: f64) {
        let (part, left_s) = self.script.at(time_s);
        let asked = match part {
            Part::Room => "the room: go on as usual, and say none of the words".to_owned(),
            Part::Take(number) => {
                let (round, rounds) = (number / self.script.words.len() + 1, self.script.takes);
                format!("say now: {}  (round {round} of {rounds})", self.labels[self.script.word(number)])
            }
            Part::Over => return,
        };
        let is_new = self.shown.replace(Some(part)) != Some(part);
        if !self.bar.is_hidden() {
            self.bar.set_position(time_s as u64);
            self.bar.set_message(format!("{asked}  {left_s:.0} s"));
        } else if self.is_live && is_new {
            eprintln!("{asked}");
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
