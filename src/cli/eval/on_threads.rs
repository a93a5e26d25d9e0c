//! The same work on many things, on several threads.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many threads there are for `things`: as many as asked for or as there are cores, and no more than things.
pub(super) fn thread_count(asked: Option<usize>, things: usize) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    asked.unwrap_or_else(cores).clamp(1, things.max(1))
}

/// Does `work` on each of `things` and returns what comes out, in their order. Each thread works with a tool of its own,
/// which `equip` makes.
///
/// # Errors
/// The first failure of `equip` or `work`; what has begun is finished, and nothing more is begun.
pub(super) fn on_threads<T: Sync, Tool, R: Send>(
    threads: usize,
    things: &[T],
    equip: impl Fn() -> anyhow::Result<Tool> + Sync,
    work: impl Fn(&mut Tool, &T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(things.len())));
    let worker = || -> anyhow::Result<()> {
        let mut tool = equip()?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(index) else { return Ok(()) };
            let result = work(&mut tool, thing)?;
            done.lock().expect("nobody panics while holding it").push((index, result));
        }
    };
    let stop_on_failure = || worker().inspect_err(|_| next.store(things.len(), Ordering::Relaxed));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(stop_on_failure)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let mut done = done.into_inner().expect("nobody panics while holding it");
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_things_on_any_number_of_threads() {
        let things: Vec<u64> = (0..100).collect();
        for threads in [1, 3, 100] {
            let squares = on_threads(threads, &things, || Ok(2), |power, thing| Ok(thing.pow(*power)));
            assert_eq!(squares.expect("no failure"), things.iter().map(|thing| thing * thing).collect::<Vec<_>>());
        }
        assert!(on_threads(2, &[0u8; 0], || Ok(()), |_, _| Ok(())).expect("no failure").is_empty());
    }

    #[test]
    fn a_failure_ends_the_work_and_is_told() {
        let begun = AtomicUsize::new(0);
        let result = on_threads(
            1,
            &[1, 2, 3, 4],
            || Ok(()),
            |(), thing| {
                begun.fetch_add(1, Ordering::Relaxed);
                if *thing == 2 { anyhow::bail!("not this one") } else { Ok(()) }
            },
        );
        assert_eq!(result.expect_err("two fails").to_string(), "not this one");
        assert_eq!(begun.into_inner(), 2);
        let unequipped = on_threads(2, &[1], || -> anyhow::Result<()> { anyhow::bail!("no tool") }, |(), _| Ok(()));
        assert_eq!(unequipped.expect_err("no tool").to_string(), "no tool");
    }

    #[test]
    fn there_are_no_more_threads_than_things() {
        assert_eq!((thread_count(Some(8), 3), thread_count(Some(2), 3), thread_count(Some(2), 0)), (2 + 1, 2, 1));
        assert!(thread_count(None, 1000) >= 1);
    }
}
