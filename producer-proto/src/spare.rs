//! Memory that a burst leaves behind: what a table or a queue keeps when nothing is in it.

use std::collections::VecDeque;

/// Entries that there may be room for at rest.
pub(crate) const SPARE: usize = 1_024;

/// Gives back what a queue that was long does not need for the little that is in it.
#[inline]
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.len() <= SPARE && queue.capacity() > 2 * SPARE {
        shrink(queue);
    }
}

#[cold]
#[inline(never)]
fn shrink<T>(queue: &mut VecDeque<T>) {
    queue.shrink_to(SPARE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_long_and_is_short_is_given_back() {
        let mut queue: VecDeque<usize> = (0..5_000).collect();
        give_back(&mut queue);
        assert!(queue.capacity() >= 5_000, "it is long");
        queue.truncate(1);
        give_back(&mut queue);
        assert_eq!(queue, [0]);
        let capacity = queue.capacity();
        assert!(capacity <= 2 * SPARE, "{capacity}");
        give_back(&mut queue);
        assert_eq!(queue.capacity(), capacity);
    }
}
