//! Threads that work, and the supervisor that starts them again.

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Stop;

/// A part of the pipeline that owns one thread.
pub trait Stage: Send {
    /// The stage's name in logs, events and the thread list: at most 15 letters.
    fn name(&self) -> &'static str;

    /// Runs until `stop` or the end of the source (`Ok`), or until it cannot go on (`Err`).
    ///
    /// The supervisor may call it again: what belongs to one opening of the device lives in locals.
    ///
    /// # Errors
    /// [`StageError::Retry`] if another try may succeed, [`StageError::Final`] if not.
    fn run(&mut self, stop: &Stop) -> Result<(), StageError>;
}

impl Stage for Box<dyn Stage> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        (**self).run(stop)
    }
}

/// Why a stage cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Another try may succeed: a device went away, a stream broke.
    #[error(transparent)]
    Retry(Box<dyn Error + Send + Sync>),
    /// No try will: the file is broken, a program is not installed.
    #[error(transparent)]
    Final(Box<dyn Error + Send + Sync>),
}

impl StageError {
    /// An error after which the supervisor tries again.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry(error.into())
    }
    /// An error that ends the stage.
    pub fn last(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Final(error.into())
    }
}

/// Whether and how a failed stage is started again.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// The wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Restart {
    /// Half a second, growing to ten: a replugged camera is back within a breath, a missing one costs nothing.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(10) }
    }
}

/// What the supervisor saw of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It failed; it is started again after `retry_in`, or never.
    Failed {
        /// The whole chain of reasons, in one line.
        reason: String,
        /// When it is started again; `None` is never.
        retry_in: Option<Duration>,
    },
    /// It works again after a failure or a stall.
    Recovered,
    /// It has not been seen at work for this long.
    Stalled(Duration),
}

/// After this long without a heartbeat a stage is reported as stalled. The longest honest pause is one inference of a
/// large model on a slow machine, about 3 s.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// How often the supervisor looks.
const LOOK: Duration = Duration::from_millis(50);

type Reporter = dyn Fn(&'static str, Report) + Send + Sync;

/// The threads of a pipeline, and their supervisor.
pub struct Crew {
    stop: Stop,
    restart: Restart,
    report: Arc<Reporter>,
    members: Vec<Member>,
}

struct Member {
    name: &'static str,
    life: Stop,
    thread: JoinHandle<Option<String>>,
    stalled: bool,
    /// Set by the thread on a failure, taken back here when the stage works again.
    failed: Arc<AtomicBool>,
}

impl Crew {
    /// A crew without members. `report` is called from the threads of the crew, and must not block.
    pub fn new(stop: &Stop, restart: Restart, report: impl Fn(&'static str, Report) + Send + Sync + 'static) -> Self {
        Self { stop: stop.clone(), restart, report: Arc::new(report), members: Vec::new() }
    }

    /// Starts `stage` on a thread of its own; it is dropped there when it has ended for good.
    ///
    /// # Errors
    /// The system's reason if it has no thread left.
    pub fn spawn(&mut self, mut stage: impl Stage + 'static) -> std::io::Result<&mut Self> {
        let (name, life) = (stage.name(), self.stop.for_stage());
        let (stop, restart, report) = (life.clone(), self.restart, Arc::clone(&self.report));
        let failed = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failed);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run_until_done(&mut stage, &stop, restart, &fails, &*report))?;
        self.members.push(Member { name, life, thread, stalled: false, failed });
        Ok(self)
    }

    /// Supervises until every member has ended, or until `deadline` after the request to stop.
    ///
    /// Returns, for each stage that failed for good, its name and reason; stages that are still stuck are named too.
    pub fn wait(mut self, deadline: Duration) -> Vec<(&'static str, String)> {
        let (mut failed, mut asked) = (Vec::new(), None::<Instant>);
        while !self.members.is_empty() {
            let mut index = 0;
            while index < self.members.len() {
                if self.members[index].thread.is_finished() {
                    let member = self.members.swap_remove(index);
                    let end = member.thread.join().unwrap_or_else(|panic| Some(text_of(&*panic)));
                    failed.extend(end.map(|reason| (member.name, reason)));
                } else {
                    self.members[index].watch(&*self.report);
                    index += 1;
                }
            }
            if self.stop.is_requested() && asked.get_or_insert_with(Instant::now).elapsed() > deadline {
                failed.extend(self.members.iter().map(|member| (member.name, "it did not stop in time".to_owned())));
                break;
            }
            // The request must not shorten this sleep, or the wait for the last members would spin.
            std::thread::sleep(LOOK);
        }
        failed
    }
}

impl Member {
    fn watch(&mut self, report: &Reporter) {
        let silent = self.life.since_beat();
        if silent > STALLED_AFTER && !self.stalled {
            self.stalled = true;
            report(self.name, Report::Stalled(silent));
        } else if silent < STALLED_AFTER && self.stalled {
            self.stalled = false;
            report(self.name, Report::Recovered);
        }
        if self.failed.load(Ordering::Acquire) && self.life.take_works() {
            self.failed.store(false, Ordering::Release);
            report(self.name, Report::Recovered);
        }
    }
}

/// Calls `run` until it ends well, for good, or on request. Returns the reason of a final failure.
fn run_until_done(
    stage: &mut impl Stage,
    stop: &Stop,
    restart: Restart,
    failed: &AtomicBool,
    report: &Reporter,
) -> Option<String> {
    let mut wait = restart.first;
    // A device that stays away fails in the same way every few seconds; that is told once.
    let mut told = None;
    loop {
        let result = catch_unwind(AssertUnwindSafe(|| stage.run(stop)));
        let (reason, again) = match result {
            Ok(Ok(())) => return None,
            Ok(Err(StageError::Retry(error))) => (chain(&*error), true),
            Ok(Err(StageError::Final(error))) => (chain(&*error), false),
            Err(panic) => (format!("{} (this is a bug in lookhear)", text_of(&*panic)), true),
        };
        if stop.is_requested() {
            return None;
        }
        // It worked before it failed, so this is a new trouble.
        if stop.take_works() {
            (wait, told) = (restart.first, None);
        }
        if !again || told.as_ref() != Some(&reason) {
            report(stage.name(), Report::Failed { reason: reason.clone(), retry_in: again.then_some(wait) });
        }
        if !again {
            return Some(reason);
        }
        told = Some(reason);
        if !sleep_alive(wait, stop) {
            return None;
        }
        wait = (wait * 2).min(restart.longest);
        failed.store(true, Ordering::Release);
    }
}

/// Sleeps in short pieces, so that a stage that waits for its next try does not look stalled.
fn sleep_alive(duration: Duration, stop: &Stop) -> bool {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        if !stop.sleep_until(end.min(Instant::now() + Duration::from_secs(1))) {
            return false;
        }
    }
    true
}

/// An error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = error.source();
    }
    line
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Fails as often as told, panicking every second time; then works until it is asked to stop.
    struct Shaky(u32);
    impl Stage for Shaky {
        fn name(&self) -> &'static str {
            "shaky"
        }
        fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
            if self.0 > 0 {
                self.0 -= 1;
                assert!(self.0 % 2 == 1, "every second time");
                return Err(StageError::retry("unplugged"));
            }
            while stop.sleep(Duration::from_millis(1)) {
                stop.works();
            }
            Ok(())
        }
    }

    /// Is away from the first try on, for as many as told.
    struct Away(u32);
    impl Stage for Away {
        fn name(&self) -> &'static str {
            "away"
        }
        fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| StageError::last("worn out"))?;
            if self.0 == 2 {
                stop.works();
            }
            Err(StageError::retry("no such device"))
        }
    }

    #[test]
    fn the_same_failure_is_told_once_and_again_after_it_has_worked() {
        let (stop, failures) = (Stop::new(), Arc::new(Mutex::new(Vec::new())));
        let restart = Restart { first: Duration::from_millis(1), longest: Duration::from_millis(1) };
        let mut crew = Crew::new(&stop, restart, {
            let failures = Arc::clone(&failures);
            move |_, report| {
                if let Report::Failed { reason, .. } = report {
                    failures.lock().expect("no panic under the lock").push(reason);
                }
            }
        });
        crew.spawn(Away(6)).expect("a thread");
        assert_eq!(crew.wait(Duration::from_secs(10)).len(), 1);
        let failures = failures.lock().expect("no panic under the lock");
        assert_eq!(*failures, ["no such device", "no such device", "worn out"]);
    }

    struct Broken;
    impl Stage for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn run(&mut self, _: &Stop) -> Result<(), StageError> {
            Err(StageError::last("no such file"))
        }
    }

    #[test]
    fn a_failed_stage_is_started_again_and_its_recovery_is_reported() {
        let (stop, reports) = (Stop::new(), Arc::new(Mutex::new(Vec::new())));
        let restart = Restart { first: Duration::from_millis(1), longest: Duration::from_millis(4) };
        let mut crew = Crew::new(&stop, restart, {
            let (reports, stop) = (Arc::clone(&reports), stop.clone());
            move |name, report| {
                if report == Report::Recovered {
                    stop.request();
                }
                reports.lock().expect("no panic under the lock").push((name, report));
            }
        });
        crew.spawn(Shaky(4)).expect("a thread").spawn(Broken).expect("a thread");
        let failed = crew.wait(Duration::from_secs(10));
        assert_eq!(failed, [("broken", "no such file".to_owned())]);
        let reports = reports.lock().expect("no panic under the lock");
        let shaky: Vec<_> = reports.iter().filter(|(name, _)| *name == "shaky").map(|(_, report)| report).collect();
        assert_eq!(shaky.len(), 5, "{shaky:?}");
        let waits: Vec<u128> = shaky
            .iter()
            .filter_map(|report| match report {
                Report::Failed { retry_in, .. } => retry_in.map(|wait| wait.as_millis()),
                _ => None,
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 4]);
        assert!(matches!(shaky[1], Report::Failed { reason, .. } if reason.contains("every second time")));
        assert_eq!(shaky[4], &Report::Recovered);
    }
}
