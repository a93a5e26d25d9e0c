//! The stage that listens: samples from a ring, keywords and levels to the hub.
//!
//! - **waits for** samples only
//! - **skips** nothing; of what the ring lost, the time is passed over and the second before is forgotten
//! - **allocates** nothing after its first round, but for a gap's backlog, and for the first pictures that are shown
//! - **ends** with the microphone, or on request
//!
//! ## Times in order
//! A keyword's time lies before its decision by the spotter's lag, which is constant, so keywords keep their order among
//! themselves. Levels are known at once. In a complete run, where the hub merges by time, a level is therefore held back
//! until the stream is one lag further, and the watermark follows one lag behind the stream. In a live run nobody sorts,
//! and a level meter has to be quick: levels go out as they come.

use std::collections::VecDeque;
use std::time::Duration;

use super::spotter::{KeywordsConfig, ListenerError, Look, Spotter};
use crate::findings::{Event, EventKind, Hearing, SoundPicture};
use crate::flow::{Demand, Publisher, RingReader, Stage, StageError, Stop, Writer};
use crate::media::{Levels, MediaTime, Pool, Pooled, SAMPLE_RATE_HZ, WallTime};
use crate::model::Bundle;

/// Pictures of the sound: one that is drawn, one that waits to be, one that is being filled.
const PICTURES: usize = 3;

/// A level every so many samples: ten a second.
const LEVEL_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 10;

/// The stage; see the module's page.
#[derive(Debug)]
pub struct Listener {
    samples: RingReader<f32>,
    spotter: Option<Spotter>,
    outlet: Outlet,
    shown: Option<Shown>,
}

/// What the spotter hears, for those who want to see it.
#[derive(Debug)]
struct Shown {
    writer: Writer<Pooled<SoundPicture>>,
    demand: Demand,
    picture: SoundPicture,
    /// Which label each word of `picture` is.
    label_of_word: Vec<usize>,
    /// Nothing is in `picture`.
    is_clear: bool,
    pool: Pool<SoundPicture>,
}

/// Where findings go, in order.
#[derive(Debug)]
struct Outlet {
    findings: Publisher<Event>,
    is_live: bool,
    /// Levels that are held back.
    held: VecDeque<Hearing>,
}

impl Listener {
    /// A listener that spots the words of `bundle`, or only tells the level if there is none.
    ///
    /// `samples` carries mono sound at 16 kHz. `live` says that events bear the time of the world and need no order.
    ///
    /// # Errors
    /// [`ListenerError`] if the bundle is not one for keywords, or does not fit the configuration.
    pub fn new(
        config: &KeywordsConfig,
        bundle: Option<&Bundle>,
        samples: RingReader<f32>,
        findings: Publisher<Event>,
        live: bool,
    ) -> Result<Self, ListenerError> {
        let spotter = bundle.map(|bundle| Spotter::new(config, bundle)).transpose()?;
        Ok(Self::with_spotter(spotter, samples, findings, live))
    }

    /// A listener with a spotter that exists already.
    pub fn with_spotter(
        spotter: Option<Spotter>,
        samples: RingReader<f32>,
        findings: Publisher<Event>,
        live: bool,
    ) -> Self {
        let outlet = Outlet { findings, is_live: live, held: VecDeque::new() };
        Self { samples, spotter, outlet, shown: None }
    }

    /// The same listener, which gives `writer` a picture of the last seconds of sound with every look of its spotter, while
    /// `demand` is there; without a spotter there is none to give.
    #[must_use]
    pub fn shown(mut self, writer: Writer<Pooled<SoundPicture>>, demand: Demand) -> Self {
        self.shown = self.spotter.as_ref().map(|spotter| {
            let thresholds = spotter.settings().thresholds.iter().enumerate();
            Shown {
                writer,
                demand,
                picture: spotter.sound_picture(),
                label_of_word: thresholds.filter_map(|(label, threshold)| threshold.map(|_| label)).collect(),
                is_clear: true,
                pool: Pool::new(PICTURES),
            }
        });
        self
    }

    fn listen(&mut self, stop: &Stop) -> Result<(), ListenerError> {
        let mut block = Block { samples: Vec::with_capacity(LEVEL_SAMPLES), end: 0 };
        loop {
            let before = block.samples.len();
            if self.samples.take_into(&mut block.samples, LEVEL_SAMPLES - before, stop) == 0 {
                break;
            }
            self.hear(&mut block, before, stop)?;
            let lost = self.samples.newly_lost();
            if lost > 0 {
                self.pass_over(lost, &mut block, stop)?;
            }
        }
        if let Some(spotter) = &mut self.spotter
            && !stop.is_requested()
        {
            let lag = spotter.lag();
            spotter.finish(|look| self.outlet.look(look, lag))?;
        }
        self.outlet.release(MediaTime::from_nanos(i64::MAX));
        Ok(())
    }

    /// Hears the samples of `block` from number `before` on; tells the level of a full one.
    fn hear(&mut self, block: &mut Block, before: usize, stop: &Stop) -> Result<(), ListenerError> {
        let mut lag = Duration::ZERO;
        if let Some(spotter) = &mut self.spotter {
            lag = spotter.lag();
            spotter.hear(&block.samples[before..], |look| {
                if let Some(shown) = &mut self.shown {
                    shown.look(&look, stop);
                }
                self.outlet.look(look, lag);
            })?;
        }
        if block.samples.len() == LEVEL_SAMPLES {
            block.end += LEVEL_SAMPLES as u64;
            let time = MediaTime::of_count(block.end, SAMPLE_RATE_HZ, 1);
            self.outlet.level(Hearing { time, levels: Levels::of(&block.samples) });
            self.outlet.reached(time - lag);
            block.samples.clear();
        }
        Ok(())
    }

    /// Passes over `lost` samples. What is in the ring now came before them: samples are lost when the ring is full.
    fn pass_over(&mut self, lost: u64, block: &mut Block, stop: &Stop) -> Result<(), ListenerError> {
        let mut backlog = Vec::new();
        self.samples.try_take_into(&mut backlog, usize::MAX);
        let mut rest = backlog.as_slice();
        while !rest.is_empty() {
            let before = block.samples.len();
            let (now, later) = rest.split_at(rest.len().min(LEVEL_SAMPLES - before));
            block.samples.extend_from_slice(now);
            self.hear(block, before, stop)?;
            rest = later;
        }
        tracing::debug!(lost, "passes over samples that were lost");
        block.end += lost + block.samples.len() as u64;
        block.samples.clear();
        if let Some(spotter) = &mut self.spotter {
            spotter.lose(lost);
        }
        Ok(())
    }
}

impl Stage for Listener {
    fn name(&self) -> &'static str {
        "listener"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        self.listen(stop).map_err(StageError::last)
    }
}

impl Shown {
    /// Adds a look to the picture and hands that on, if somebody wants it.
    fn look(&mut self, look: &Look<'_>, stop: &Stop) {
        if !self.demand.is_there() {
            if !self.is_clear {
                self.picture.clear();
                self.is_clear = true;
            }
            return;
        }
        self.is_clear = false;
        self.picture.look(look.time, look.window, self.label_of_word.iter().map(|label| look.smoothed[*label]));
        let picture = &self.picture;
        let copied = self.pool.fill(|copy| {
            copy.copy_from(picture);
            Ok::<_, std::convert::Infallible>(())
        });
        // Without a free one a reader holds all: it sees the next look's.
        if let Some(Ok(picture)) = copied {
            // A preview that is gone wants nothing.
            let _ = self.writer.give(picture, stop);
        }
    }
}

/// The samples of which the level is not told yet.
struct Block {
    samples: Vec<f32>,
    /// How many samples of the stream came before.
    end: u64,
}

impl Outlet {
    fn look(&mut self, look: Look<'_>, lag: Duration) {
        tracing::trace!(time = look.time.as_secs(), scores = ?look.smoothed, "looked");
        self.release(look.time - lag);
        if let Some(keyword) = look.keyword {
            tracing::debug!(label = &*keyword.label, score = keyword.score, "heard");
            self.publish(keyword.time, EventKind::Keyword(keyword));
        }
    }

    fn level(&mut self, hearing: Hearing) {
        match self.is_live {
            true => self.publish(hearing.time, EventKind::Hearing(hearing)),
            false => self.held.push_back(hearing),
        }
    }

    /// Publishes the levels up to `time`.
    fn release(&mut self, time: MediaTime) {
        while let Some(&hearing) = self.held.front()
            && hearing.time <= time
        {
            self.held.pop_front();
            self.publish(hearing.time, EventKind::Hearing(hearing));
        }
    }

    /// Nothing before `time` is to come.
    fn reached(&mut self, time: MediaTime) {
        self.release(time);
        self.findings.reached(time);
    }

    fn publish(&self, time: MediaTime, kind: EventKind) {
        let at = self.is_live.then(WallTime::now);
        self.findings.publish(Event { time, at, kind });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::features::DEFAULT_FRONT_END;
    use super::super::scorer::Scorer;
    use super::*;
    use crate::findings::Label;
    use crate::flow::{Edge, Hub, Ledger, Pace, RingWriter, handover, ring};
    use crate::model::{Decision, EngineError};

    /// Hears "yes" while the middle of its window is loud, silence otherwise.
    struct Loudness;
    impl Scorer for Loudness {
        fn window_len(&self) -> usize {
            98 * 80
        }
        fn labels(&self) -> usize {
            2
        }
        fn score_into(&mut self, window: [&[f32]; 2], scores: &mut [f32]) -> Result<(), EngineError> {
            let loudest = |range: std::ops::Range<usize>| {
                let values = window.into_iter().flatten().skip(range.start).take(range.len());
                values.copied().fold(f32::MIN, f32::max)
            };
            scores[1] = if loudest(20 * 80..78 * 80) > 0.0 { 0.9 } else { 0.0 };
            scores[0] = 1.0 - scores[1];
            Ok(())
        }
    }

    fn spotter() -> Spotter {
        let decision = Decision { step_ms: 100, smoothing: 3, threshold: 0.6, thresholds: BTreeMap::new() };
        let labels: Vec<Label> = vec!["silence".into(), "yes".into()];
        let config = KeywordsConfig::default();
        Spotter::with_scorer(&config, &DEFAULT_FRONT_END, &decision, &labels, Box::new(Loudness)).expect("it fits")
    }

    /// Four seconds of silence with a click at each of these times.
    fn clicks(at_s: &[f64]) -> Vec<f32> {
        let mut samples = vec![0.0; 64_000];
        at_s.iter().for_each(|time| samples[(time * 16_000.0) as usize] = 0.9);
        samples
    }

    /// What a listener publishes of what `feed` gives it, by way of a hub that merges by time.
    fn heard(pace: Pace, spotter: Option<Spotter>, feed: impl FnOnce(RingWriter<f32>, Edge) + Send) -> Vec<Event> {
        let mut hub = Hub::new(pace, &Ledger::new());
        let publisher = hub.publisher("listener");
        let (events, stop) = (hub.subscribe("test", true), Stop::new());
        let edge = Ledger::new().edge("test");
        let (writer, reader) = ring(100_000, pace, edge.clone());
        let mut listener = Listener::with_spotter(spotter, reader, publisher, pace == Pace::Live);
        std::thread::scope(|scope| {
            scope.spawn(move || feed(writer, edge));
            scope.spawn(|| hub.run(&Stop::new()));
            scope.spawn(move || listener.run(&Stop::new()).expect("it listens"));
            std::iter::from_fn(|| events.next(&stop)).collect()
        })
    }

    fn keywords(events: &[Event]) -> Vec<(f64, f64)> {
        let keyword = |event: &Event| match &event.kind {
            EventKind::Keyword(keyword) => Some((keyword.time.as_secs(), keyword.decided.as_secs())),
            _ => None,
        };
        events.iter().filter_map(keyword).collect()
    }

    #[test]
    fn words_and_levels_come_out_in_the_order_of_their_times() {
        let samples = clicks(&[1.5, 2.7, 3.99]);
        let events = heard(Pace::Complete, Some(spotter()), |mut writer, _| {
            assert!(writer.give(&samples, &Stop::new()));
        });
        // The script sees a click 0.2 s after it, later than a model sees a word, and two of three looks suffice.
        let found = keywords(&events);
        assert_eq!(found.len(), 3, "{found:?}");
        for ((time, decided), click) in found.iter().zip([1.5, 2.7, 3.99]) {
            assert!((decided - time - 0.34).abs() < 1e-9 && (time - click).abs() < 0.3, "{time} {decided} {click}");
        }
        let times: Vec<MediaTime> = events.iter().map(|event| event.time).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(events.iter().all(|event| event.at.is_none()));
        let levels = events.iter().filter(|event| matches!(event.kind, EventKind::Hearing(_))).count();
        assert_eq!(levels, 40);
    }

    #[test]
    fn without_a_bundle_only_the_level_is_told() {
        let events = heard(Pace::Complete, None, |mut writer, _| {
            writer.give(&clicks(&[0.01]), &Stop::new());
        });
        assert_eq!(events.len(), 40);
        let EventKind::Hearing(first) = &events[0].kind else { panic!("a level") };
        assert!((first.levels.peak_dbfs + 0.92).abs() < 0.01 && first.time.as_secs() == 0.1, "{first:?}");
    }

    #[test]
    fn what_is_heard_is_shown_to_those_who_look_and_only_then() {
        let edge = Ledger::new().edge("listener → preview");
        let (pictures, seen) = handover(Pace::Live, edge.clone());
        let (mut writer, reader) = ring(100_000, Pace::Complete, Ledger::new().edge("test"));
        let demand = Demand::default();
        let publisher = Hub::new(Pace::Live, &Ledger::new()).aside("listener");
        let listener = Listener::with_spotter(Some(spotter()), reader, publisher, true);
        let mut listener = listener.shown(pictures, demand.clone());
        let mut hear = |samples: &[f32]| {
            writer.push(samples.iter().copied());
            let mut block = Block { samples: Vec::new(), end: 0 };
            listener.samples.try_take_into(&mut block.samples, usize::MAX);
            listener.hear(&mut block, 0, &Stop::new()).expect("it hears");
        };
        let samples = clicks(&[1.6]);
        hear(&samples[..24_000]);
        assert_eq!(edge.counts().delivered, 0, "nobody looks");
        demand.set(true);
        hear(&samples[24_000..40_000]);
        assert_eq!((edge.counts().delivered, edge.counts().skipped), (10, 9), "the newest replaces the others");
        let picture = seen.try_next().expect("a picture");
        assert_eq!((picture.rows(), picture.words().len(), picture.looks().len()), (80, 1, 10));
        let loudest = |column: usize| picture.column(column).iter().copied().fold(f32::MIN, f32::max);
        let column_at = |time_s: f64| ((time_s - picture.start().as_secs()) / 0.01).round() as usize;
        assert!(loudest(column_at(1.61)) > 0.0 && loudest(column_at(1.7)) < 0.0, "the click is where it was");
        let sure = picture.looks().enumerate().filter(|(look, _)| picture.score(*look, 0) > 0.8);
        // It is for 0.58 s, in five looks or six, of which the average follows after two.
        assert!(sure.count() >= 3, "the script was sure of its word");
        demand.set(false);
        hear(&samples[40_000..56_000]);
        demand.set(true);
        hear(&samples[56_000..60_000]);
        assert_eq!(seen.try_next().expect("a picture").looks().len(), 2, "what nobody looked at is not kept");
    }

    #[test]
    fn lost_time_is_passed_over_and_no_word_is_heard_across_it() {
        let samples = clicks(&[2.0]);
        let events = heard(Pace::Live, Some(spotter()), |mut writer, edge| {
            // In small blocks, as a device gives them; between the two it was away for ten minutes.
            let give = |writer: &mut RingWriter<f32>| {
                for block in samples.chunks(160) {
                    writer.push(block.iter().copied());
                    while edge.counts().under_way() > 0 {
                        std::thread::yield_now();
                    }
                }
            };
            give(&mut writer);
            writer.skip(600 * 16_000);
            give(&mut writer);
        });
        let found = keywords(&events);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!((found[0].0 - 2.0).abs() < 0.3 && (found[1].0 - 606.0).abs() < 0.3, "{found:?}");
        assert!(events.iter().all(|event| event.at.is_some()));
    }
}
