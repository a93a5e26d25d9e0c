//! One ordered stream of findings, to every sink its own bounded queue.
//!
//! ```text
//! publisher 0 ──▶┐                ┌──▶ subscriber (a full queue drops and counts, or makes the hub wait)
//! publisher 1 ──▶┤ Hub::run: one  ├──▶ subscriber
//! aside       ──▶┘ thread         └──▶ subscriber
//! ```
//! Live, values pass on as they come, and nothing waits. Complete, the hub merges its publishers by
//! (time, publisher, order within the publisher): it passes a value on once every publisher's *watermark* has reached
//! it, that is, once none can come any more that belongs before it. The same input then gives the same stream,
//! whatever the speed of the threads. What is said [aside](Hub::aside) has no place in that order and passes at once.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, Sender, TrySendError, bounded, never, select};

use super::{Edge, Ledger, Next, Pace, Stop};

/// What the hub sorts by.
pub trait Timed {
    /// The type of a time.
    type Time: Copy + Ord + Send;
    /// When the value happened.
    fn time(&self) -> Self::Time;
}

/// Values between a publisher and the hub. A detector gives one a frame, a listener ten a second.
const PUBLISHER_DEPTH: usize = 256;
/// Values between the hub and a sink: half a minute of findings, for a disk or a broker that stutters.
const SUBSCRIBER_DEPTH: usize = 1024;

#[derive(Debug)]
enum Message<T: Timed> {
    Value(T),
    Reached(T::Time),
}

impl<T: Timed> Message<T> {
    fn time(&self) -> T::Time {
        match self {
            Self::Value(value) => value.time(),
            Self::Reached(time) => *time,
        }
    }
}

/// Joins publishers to subscribers; see the module's page.
#[derive(Debug)]
pub struct Hub<T: Timed> {
    pace: Pace,
    ledger: Ledger,
    /// Live, what everybody says; complete, what is said aside.
    common: (Sender<Message<T>>, Receiver<Message<T>>),
    /// Complete: one queue a publisher, so that a fast one waits for the slow without holding it up.
    ordered: Vec<Receiver<Message<T>>>,
    outlets: Vec<Outlet<T>>,
}

#[derive(Debug)]
struct Outlet<T> {
    sender: Sender<T>,
    edge: Edge,
    waits: bool,
}

impl<T: Timed + Clone + Send> Hub<T> {
    /// A hub without publishers and subscribers, whose edges are counted in `ledger`.
    pub fn new(pace: Pace, ledger: &Ledger) -> Self {
        let common = bounded(PUBLISHER_DEPTH);
        Self { pace, ledger: ledger.clone(), common, ordered: Vec::new(), outlets: Vec::new() }
    }

    /// One more publisher. Among equal times, those made first come first.
    pub fn publisher(&mut self, name: &str) -> Publisher<T> {
        match self.pace {
            Pace::Live => self.aside(name),
            Pace::Complete => {
                let (sender, receiver) = bounded(PUBLISHER_DEPTH);
                self.ordered.push(receiver);
                Publisher { sender, waits: true, edge: self.ledger.edge(&format!("{name} → hub")) }
            }
        }
    }

    /// A publisher outside the order of times, for news of the program itself.
    pub fn aside(&self, name: &str) -> Publisher<T> {
        Publisher { sender: self.common.0.clone(), waits: false, edge: self.ledger.edge(&format!("{name} → hub")) }
    }

    /// One more subscriber, called `name` in the ledger. It gets everything published from the start. `keeps_order`:
    /// a *complete* hub waits for it, so that nothing is dropped; a live hub waits for nobody.
    pub fn subscribe(&mut self, name: &str, keeps_order: bool) -> Subscriber<T> {
        let (sender, receiver) = bounded(SUBSCRIBER_DEPTH);
        let edge = self.ledger.edge(&format!("hub → {name}"));
        let waits = keeps_order && self.pace == Pace::Complete;
        self.outlets.push(Outlet { sender, edge: edge.clone(), waits });
        Subscriber { receiver, edge }
    }

    /// Passes values on until every publisher is gone; then the subscribers' streams end.
    pub fn run(self, life: &Stop) {
        let Self { common: (own, common), ordered, outlets, .. } = self;
        drop(own);
        let pass = |value: T| outlets.iter().for_each(|outlet| outlet.pass(&value));
        let mut merge = Merge::new(ordered);
        loop {
            life.beat();
            while let Some(value) = merge.next_in_order() {
                pass(value);
            }
            select! {
                recv(merge.awaited()) -> message => merge.heard(message.ok()),
                recv(common) -> message => match message {
                    Ok(Message::Value(value)) => pass(value),
                    Ok(Message::Reached(_)) => {}
                    // Nobody is left to speak aside: what follows is in the order of times alone.
                    Err(_) => break,
                },
                default(BEAT) => {}
            }
        }
        while merge.is_open() {
            while let Some(value) = merge.next_in_order() {
                pass(value);
            }
            life.beat();
            let message = merge.awaited().recv().ok();
            merge.heard(message);
        }
    }
}

/// The merge by time of a complete hub.
struct Merge<T: Timed> {
    publishers: Vec<Ordered<T>>,
    never: Receiver<Message<T>>,
}

struct Ordered<T: Timed> {
    receiver: Receiver<Message<T>>,
    /// Its next message, once it is known.
    head: Option<Message<T>>,
    open: bool,
}

impl<T: Timed> Merge<T> {
    fn new(receivers: Vec<Receiver<Message<T>>>) -> Self {
        let publishers = receivers.into_iter().map(|receiver| Ordered { receiver, head: None, open: true }).collect();
        Self { publishers, never: never() }
    }

    fn is_open(&self) -> bool {
        self.publishers.iter().any(|publisher| publisher.open || publisher.head.is_some())
    }

    /// The publisher whose next word must be known before anything can pass.
    fn silent(&self) -> Option<usize> {
        self.publishers.iter().position(|publisher| publisher.open && publisher.head.is_none())
    }

    fn awaited(&self) -> &Receiver<Message<T>> {
        self.silent().map_or(&self.never, |index| &self.publishers[index].receiver)
    }

    /// Takes what came from [`Merge::awaited`]; `None` is its end.
    fn heard(&mut self, message: Option<Message<T>>) {
        if let Some(index) = self.silent() {
            self.publishers[index].open = message.is_some();
            self.publishers[index].head = message;
        }
    }

    /// The next value, if it is certain that none comes before it.
    fn next_in_order(&mut self) -> Option<T> {
        loop {
            if self.silent().is_some() {
                return None;
            }
            // Among equal times `min_by_key` takes the first, which is the publisher that was made first.
            let heads = self.publishers.iter_mut().filter(|publisher| publisher.head.is_some());
            let first = heads.min_by_key(|publisher| publisher.head.as_ref().map(Message::time))?;
            match first.head.take()? {
                Message::Value(value) => return Some(value),
                Message::Reached(_) => {}
            }
        }
    }
}

impl<T: Clone> Outlet<T> {
    fn pass(&self, value: &T) {
        self.edge.delivered(1);
        let value = value.clone();
        let passed = if self.waits { self.sender.send(value).is_ok() } else { self.sender.try_send(value).is_ok() };
        if !passed {
            self.edge.lost(1);
        }
    }
}

/// The giving end: one for each stage that finds something.
#[derive(Debug)]
pub struct Publisher<T: Timed> {
    sender: Sender<Message<T>>,
    waits: bool,
    edge: Edge,
}

impl<T: Timed> Publisher<T> {
    /// Publishes `value`. One publisher's values and watermarks must not go back in time.
    pub fn publish(&self, value: T) {
        self.edge.delivered(1);
        let message = Message::Value(value);
        let sent = match self.waits {
            true => self.sender.send(message).map_err(drop),
            false => self.sender.try_send(message).map_err(drop),
        };
        match sent {
            Ok(()) => self.edge.used(1),
            Err(()) => self.edge.lost(1),
        }
    }

    /// Promises that nothing before `time` will be published any more.
    pub fn reached(&self, time: T::Time) {
        if self.waits
            && let Err(TrySendError::Full(message)) = self.sender.try_send(Message::Reached(time))
        {
            // Either it is taken later, or the hub is gone and nobody cares.
            let _ = self.sender.send(message);
        }
    }
}

/// The taking end: one for each sink.
#[derive(Debug)]
pub struct Subscriber<T> {
    receiver: Receiver<T>,
    edge: Edge,
}

/// How often a sink that waits for findings says that it is alive.
const BEAT: Duration = Duration::from_millis(500);

impl<T> Subscriber<T> {
    /// Waits for the next value. `None` when the hub is closed and everything is taken; a request to stop does not end
    /// it, since sinks flush what is still under way.
    pub fn next(&self, life: &Stop) -> Option<T> {
        loop {
            match self.next_within(BEAT, life) {
                Next::Value(value) => return Some(value),
                Next::Nothing => {}
                Next::Closed => return None,
            }
        }
    }

    /// Waits for the next value, but no longer than `patience`.
    pub fn next_within(&self, patience: Duration, life: &Stop) -> Next<T> {
        life.beat();
        match self.receiver.recv_timeout(patience) {
            Ok(value) => self.counted(Ok(value)),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Closed,
        }
    }

    /// The next value if one is there already.
    pub fn try_next(&self) -> Option<T> {
        let value = self.receiver.try_recv().ok()?;
        self.edge.used(1);
        Some(value)
    }

    /// For a wait for something else as well; what comes goes through [`Subscriber::counted`].
    pub(super) fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }

    /// Counts what was received.
    pub(super) fn counted(&self, received: Result<T, RecvError>) -> Next<T> {
        let Ok(value) = received else { return Next::Closed };
        self.edge.used(1);
        Next::Value(value)
    }
}

impl<T> Drop for Subscriber<T> {
    fn drop(&mut self) {
        self.edge.lost(self.receiver.try_iter().count() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct At(u32, usize, u32);
    impl Timed for At {
        type Time = u32;
        fn time(&self) -> u32 {
            self.0
        }
    }

    /// Publishes each script on a thread of its own and returns what a subscriber got.
    fn merge(pace: Pace, scripts: &[Vec<u32>]) -> Vec<At> {
        let mut hub = Hub::new(pace, &Ledger::new());
        let publishers: Vec<_> = scripts.iter().map(|_| hub.publisher("test")).collect();
        let (subscriber, life) = (hub.subscribe("test", true), Stop::new());
        std::thread::scope(|scope| {
            for ((source, script), publisher) in scripts.iter().enumerate().zip(publishers) {
                scope.spawn(move || {
                    for (sequence, &time) in script.iter().enumerate() {
                        publisher.publish(At(time, source, sequence as u32));
                        publisher.reached(time);
                    }
                });
            }
            scope.spawn(|| hub.run(&Stop::new()));
            std::iter::from_fn(|| subscriber.next(&life)).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_complete_hub_gives_one_order_whatever_the_threads_do(
            mut scripts in prop::collection::vec(prop::collection::vec(0u32..50, 0..300), 1..4)
        ) {
            scripts.iter_mut().for_each(|script| script.sort_unstable());
            let mut expected: Vec<At> = Vec::new();
            for (source, script) in scripts.iter().enumerate() {
                expected.extend(script.iter().enumerate().map(|(sequence, &time)| At(time, source, sequence as u32)));
            }
            expected.sort_by_key(|at| (at.0, at.1, at.2));
            prop_assert_eq!(merge(Pace::Complete, &scripts), expected);
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_the_hub_goes_on() {
        let ledger = Ledger::new();
        let mut hub = Hub::new(Pace::Live, &ledger);
        let publisher = hub.publisher("detector");
        let sleepy = hub.subscribe("sleepy", true);
        let hub = std::thread::spawn(move || hub.run(&Stop::new()));
        let total = 3 * SUBSCRIBER_DEPTH as u32;
        for time in 0..total {
            publisher.publish(At(time, 0, time));
            while publisher.sender.is_full() {
                std::thread::yield_now();
            }
        }
        drop(publisher);
        hub.join().expect("the hub does not panic");
        // The hub took everything, so the sink may look now.
        let taken = std::iter::from_fn(|| sleepy.try_next()).count();
        let edges = ledger.summary();
        let sleepy = &edges.iter().find(|edge| edge.edge == "hub → sleepy").expect("counted").counts;
        assert_eq!(taken, SUBSCRIBER_DEPTH);
        assert_eq!(
            (sleepy.delivered, sleepy.used, sleepy.lost),
            (total.into(), taken as u64, u64::from(total) - taken as u64)
        );
    }

    #[test]
    fn what_is_said_aside_passes_while_the_order_waits() {
        let mut hub = Hub::new(Pace::Complete, &Ledger::new());
        let (silent, aside) = (hub.publisher("silent"), hub.aside("supervisor"));
        let (subscriber, life) = (hub.subscribe("log", true), Stop::new());
        let hub = std::thread::spawn(move || hub.run(&Stop::new()));
        aside.publish(At(9, 0, 0));
        assert_eq!(subscriber.next(&life), Some(At(9, 0, 0)));
        drop((silent, aside));
        assert_eq!(subscriber.next(&life), None);
        hub.join().expect("no panic");
    }
}
