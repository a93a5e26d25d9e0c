//! Values that are used again instead of allocated again.

use std::ops::Deref;
use std::sync::Arc;

/// A pool of shared values: [`Pool::fill`] hands one out for reading by many; when the last reader drops it, it is
/// free again. After warm-up nothing is allocated.
///
/// The pool keeps a reference to every value it made, so a value that only the pool refers to is a free one, and may
/// be written to without a lock: that it is unique is proven by [`Arc::get_mut`].
#[derive(Debug)]
pub struct Pool<T> {
    values: Vec<Arc<T>>,
    most: usize,
}

/// A value out of a [`Pool`], shared and read-only; cloning is cheap.
#[derive(Debug)]
pub struct Pooled<T>(Arc<T>);

impl<T> Clone for Pooled<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Pooled<T> {
    /// A value of no pool, for when all of a pool's values are in use and the next one must not be lost.
    pub fn alone(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Default> Pool<T> {
    /// A pool of at most `most` values, none of which exists yet.
    pub fn new(most: usize) -> Self {
        Self { values: Vec::with_capacity(most), most }
    }

    /// Lets `write` fill a free value, with whatever it held before, and hands it out.
    ///
    /// `None` if all are in use: readers then hold more than the pipeline was built for, and the caller counts a loss.
    ///
    /// # Errors
    /// What `write` returns; the value is free again then.
    pub fn fill<E>(&mut self, write: impl FnOnce(&mut T) -> Result<(), E>) -> Option<Result<Pooled<T>, E>> {
        let index = match self.values.iter_mut().position(|value| Arc::get_mut(value).is_some()) {
            Some(index) => index,
            None if self.values.len() < self.most => {
                self.values.push(Arc::new(T::default()));
                self.values.len() - 1
            }
            None => return None,
        };
        let value = Arc::get_mut(&mut self.values[index])?;
        Some(write(value).map(|()| Pooled(Arc::clone(&self.values[index]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_used_again_and_never_while_somebody_reads() {
        let mut pool = Pool::<Vec<u8>>::new(2);
        let mut fill = |byte: u8| {
            pool.fill(|value| {
                value.clear();
                value.push(byte);
                Ok::<_, ()>(())
            })
            .map(|filled| filled.expect("writing succeeds"))
        };
        let first = fill(1).expect("free");
        let second = fill(2).expect("free");
        assert!(fill(3).is_none());
        assert_eq!((first[0], second[0]), (1, 2));
        let address = first.as_ptr();
        let kept = second.clone();
        drop((first, second));
        let third = fill(3).expect("the first is free again");
        assert_eq!((third.as_ptr(), kept[0]), (address, 2));
        assert!(fill(4).is_none());
    }
}
