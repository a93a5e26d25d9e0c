//! An allocator that counts, for the tests that show where nothing is allocated: `mod allocations;` puts it in place.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]
#![allow(dead_code, reason = "each test asks for the threads that it is about")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

thread_local! {
    static OF_THIS_THREAD: Cell<u64> = const { Cell::new(0) };
}
static OF_ALL_THREADS: AtomicU64 = AtomicU64::new(0);

/// Allocations of the calling thread so far; growing what is there is one.
pub fn of_this_thread() -> u64 {
    OF_THIS_THREAD.get()
}

/// Allocations of all threads but the calling one so far.
pub fn of_other_threads() -> u64 {
    OF_ALL_THREADS.load(Ordering::Relaxed) - of_this_thread()
}

// SAFETY: every call goes to the system's allocator unchanged. The counters are a constant-initialised `Cell` without
// a destructor and an atomic: neither allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn count() {
    OF_THIS_THREAD.set(OF_THIS_THREAD.get() + 1);
    OF_ALL_THREADS.fetch_add(1, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
