//! A lock that many threads want all the time, and one more often than each of the others.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

/// How often to try again before standing back, and how long in between: together a fraction of a
/// microsecond, some records of another sender.
const TRIES: usize = 4;
const SPINS: usize = 4;

/// How often to look on top of that while the owner has the lock: together some microseconds, about what the longest of its
/// usual holds takes. To stand back for that is to lose thirty times as much.
const TRIES_FOR_OWNER: usize = 48;

/// How often to stand back before getting in line, and for how long.
const NAPS: usize = 8;
const NAP: Duration = Duration::from_micros(100);

/// A mutex with an owner, which comes back again and again to work off what the others leave.
///
/// Threads in line for a mutex are woken one by one. Whoever lets go of it pays for that, with more
/// than what it is held for; and what it protects goes to and fro between processors, which is
/// slow for all. So a thread that finds another at work, and does not get in soon, stands back for
/// a moment, in which the other does much at a stretch. For the owner one of them waits a little
/// longer, and then gets in line, as long as the owner has little to do; if there is much, it does
/// good to let the owner alone, as also while it has long work to do between its holds: who sends
/// would only get further ahead of it.
///
/// A panic under the lock leaves it usable.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    value: Mutex<T>,
    /// What is known of the owner: [`WORKS`], [`HOLDS`] and so on. A hint only; the owner writes it.
    owner: Apart<AtomicU8>,
    /// Somebody waits for the end of the owner's hold. Two who do are in each other's way.
    is_awaited: AtomicBool,
}

/// In lines of the cache of its own (processors fetch two), so that those who look at it do not
/// disturb those who write what is next to it.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

/// It has the lock, or wants it.
const WORKS: u8 = 1;
/// It has the lock.
const HOLDS: u8 = 2;
/// It had much left to do when it was last here.
const BEHIND: u8 = 4;
/// It had long work to do between two holds when it was last here.
const TOILS: u8 = 8;

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            owner: Apart(AtomicU8::new(0)),
            is_awaited: AtomicBool::new(false),
        }
    }

    /// Whether the owner had much left to do when it was last here.
    pub(crate) fn is_owner_behind(&self) -> bool {
        self.owner.0.load(Relaxed) & BEHIND != 0
    }

    /// In line with all others.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For threads of which there may be many.
    #[inline]
    pub(crate) fn lock_among_many(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| self.lock_later())
    }

    /// For the owner.
    pub(crate) fn lock_as_owner(&self) -> Owner<'_, T> {
        let known = self.owner.0.load(Relaxed) | WORKS;
        self.owner.0.store(known, Relaxed);
        let guard = self.lock();
        self.owner.0.store(known | HOLDS, Relaxed);
        Owner { guard, known: &self.owner.0, is_behind: false, toils: false }
    }

    #[cold]
    #[inline(never)]
    fn lock_later(&self) -> MutexGuard<'_, T> {
        let awaits_owner = !self.is_awaited.swap(true, Relaxed);
        let guard = self.lock_soon(if awaits_owner { TRIES_FOR_OWNER } else { 0 });
        if awaits_owner {
            self.is_awaited.store(false, Relaxed);
        }
        if let Some(guard) = guard {
            return guard;
        }
        for _ in 0..NAPS {
            if self.owner.0.load(Relaxed) & (WORKS | BEHIND) == WORKS {
                break;
            }
            thread::sleep(NAP);
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
        self.lock()
    }

    /// Tries a few times, and so many times more while the owner has it.
    fn lock_soon(&self, mut tries_for_owner: usize) -> Option<MutexGuard<'_, T>> {
        let mut tries = TRIES;
        while tries > 0 {
            for _ in 0..SPINS {
                std::hint::spin_loop();
            }
            if tries_for_owner > 0 && self.owner.0.load(Relaxed) & (HOLDS | TOILS) == HOLDS {
                // To try would take the line of the cache away from it.
                tries_for_owner -= 1;
                continue;
            }
            if let Some(guard) = self.try_lock() {
                return Some(guard);
            }
            tries -= 1;
        }
        None
    }

    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The owner's hold of a [`Lock`].
pub(crate) struct Owner<'a, T> {
    guard: MutexGuard<'a, T>,
    known: &'a AtomicU8,
    is_behind: bool,
    toils: bool,
}

impl<T> Owner<'_, T> {
    /// Whether much is left to do afterwards, and whether some of it takes long.
    pub(crate) fn set_load(&mut self, is_behind: bool, toils: bool) {
        (self.is_behind, self.toils) = (is_behind, toils);
    }
}

impl<T> Drop for Owner<'_, T> {
    fn drop(&mut self) {
        let behind = if self.is_behind { BEHIND } else { 0 };
        self.known.store(behind | if self.toils { TOILS } else { 0 }, Relaxed);
    }
}

impl<T> Deref for Owner<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Owner<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_let_in_beside_another_or_kept_out_for_ever() {
        const THREADS: u64 = 8;
        const CALLS: u64 = 20_000;
        let lock = Lock::new(0_u64);
        let is_over = AtomicBool::new(false);
        let turns = thread::scope(|scope| {
            let owner = scope.spawn(|| {
                let mut turns = 0_u64;
                while !is_over.load(Relaxed) {
                    let mut count = lock.lock_as_owner();
                    *count += 1;
                    count.set_load(turns.is_multiple_of(2), turns.is_multiple_of(3));
                    turns += 1;
                }
                turns
            });
            let add = || (0..CALLS).for_each(|_| *lock.lock_among_many() += 1);
            let adders: Vec<_> = (0..THREADS).map(|_| scope.spawn(add)).collect();
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            is_over.store(true, Relaxed);
            owner.join().unwrap()
        });
        assert_eq!(*lock.lock(), turns + THREADS * CALLS);
    }

    #[test]
    fn a_panic_leaves_it_usable() {
        let lock = Lock::new(1);
        let panic = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _guard = lock.lock_among_many();
                    panic!("on purpose");
                })
                .join()
        });
        assert!(panic.is_err());
        *lock.lock_among_many() += 1;
        *lock.lock_as_owner() += 1;
        assert_eq!(*lock.lock(), 3);
    }
}
