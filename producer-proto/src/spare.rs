//! Memory that a burst leaves behind: what a table or a queue keeps when little or nothing is in it.

use std::collections::VecDeque;

/// Entries that there may be room for at rest: a load that comes and goes every few milliseconds
/// should not allocate each time.
pub(crate) const SPARE: usize = 16_384;

/// Gives back what a queue that was very long does not need for the little that is in it.
#[inline]
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > SPARE && queue.len() <= SPARE / 2 {
        shrink(queue);
    }
}

#[cold]
#[inline(never)]
fn shrink<T>(queue: &mut VecDeque<T>) {
    queue.shrink_to(SPARE / 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_long_and_is_short_is_given_back() {
        let mut queue: VecDeque<usize> = (0..5 * SPARE).collect();
        give_back(&mut queue);
        assert!(queue.capacity() >= 5 * SPARE, "it is long");
        queue.truncate(1);
        give_back(&mut queue);
        assert_eq!(queue, [0]);
        let capacity = queue.capacity();
        assert!(capacity <= SPARE, "{capacity}");
        give_back(&mut queue);
        assert_eq!(queue.capacity(), capacity);
    }
}
