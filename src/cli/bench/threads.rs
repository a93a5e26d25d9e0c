//! How many threads really work: counted by the processor time that each has used, not believed.

use std::collections::BTreeMap;
use std::fs;

/// A thread that used less than this share of what the busiest did was not at work; it woke up.
const SHARE_OF_BUSIEST: f64 = 0.02;

/// The processor time that each thread of this process has used so far, in nanoseconds, by the thread's number.
///
/// Empty where the system does not tell: the kernel's `/proc` does, unless it was built without `CONFIG_SCHED_INFO`.
pub(super) fn processor_times() -> BTreeMap<u32, u64> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let time = |thread: fs::DirEntry| {
        let number = thread.file_name().to_str()?.parse().ok()?;
        // "time on a processor, time waiting for one, time slices"
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some((number, text.split_whitespace().next()?.parse().ok()?))
    };
    threads.filter_map(time).collect()
}

/// How many threads worked between `before` and `after`, without the `others`, whose work is not what is measured; `None`
/// where the system does not tell.
pub(super) fn at_work(before: &BTreeMap<u32, u64>, after: &BTreeMap<u32, u64>, others: &[u32]) -> Option<usize> {
    let ours = after.iter().filter(|(thread, _)| !others.contains(thread));
    let used: Vec<u64> =
        ours.map(|(thread, time)| time.saturating_sub(before.get(thread).copied().unwrap_or(0))).collect();
    let least = used.iter().copied().max()? as f64 * SHARE_OF_BUSIEST;
    Some(used.into_iter().filter(|time| *time > 0 && *time as f64 >= least).count())
}

/// The number of the thread that asks; `None` where the system does not tell.
pub(super) fn own_number() -> Option<u32> {
    fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hardly_worked_or_is_somebody_else_is_not_counted() {
        let before = BTreeMap::from([(1, 500), (2, 0), (3, 70), (9, 0)]);
        // 4 is new; 2 woke up once; 9 is somebody else.
        let after = BTreeMap::from([(1, 1500), (2, 10), (3, 170), (4, 900), (9, 5000)]);
        assert_eq!(at_work(&before, &after, &[9]), Some(3));
        assert_eq!(at_work(&before, &before, &[9]), Some(0));
        assert_eq!(at_work(&BTreeMap::new(), &BTreeMap::new(), &[]), None);
    }

    #[test]
    fn a_thread_that_works_is_seen_with_its_time() {
        let Some(own) = own_number() else {
            println!("skipped: this system does not number threads in /proc");
            return;
        };
        let before = processor_times();
        // It ends: processor time is what is waited for.
        while processor_times()[&own] < before[&own] + 1_000_000 {}
        assert!(at_work(&before, &processor_times(), &[]) >= Some(1));
    }
}
