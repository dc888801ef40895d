//! Buffers for open batches, used again.

use bytes::Bytes;

/// Zeros that are written faster than asked for.
const FEW: usize = 1024;

/// Keeps a bounded number of buffers of one size, that of a full batch.
///
/// Small batches get buffers of their own size, so that many sparse partitions do not hold a full
/// one each.
#[derive(Debug)]
pub(crate) struct BufferPool {
    size: usize,
    most: usize,
    free: Vec<Vec<u8>>,
}

impl BufferPool {
    /// A pool of buffers of `size` bytes that keeps at most `max_bytes` of them when idle.
    pub(crate) fn new(size: usize, max_bytes: usize) -> Self {
        let size = size.max(1);
        Self { size, most: max_bytes / size, free: Vec::new() }
    }

    /// A buffer for about `hint` bytes: at least that many, and a full one if that is not more
    /// than twice as much. Its contents are of no meaning.
    pub(crate) fn take(&mut self, hint: usize) -> Vec<u8> {
        if hint > self.size || hint.saturating_mul(2) < self.size {
            return zeroed(hint);
        }
        self.free.pop().unwrap_or_else(|| vec![0; self.size])
    }

    /// Gives the bytes of a batch back. They are kept if nobody else holds them, they fill a
    /// buffer of the pool's size and there is room; otherwise this handle is dropped.
    pub(crate) fn give(&mut self, bytes: Bytes) {
        if self.free.len() >= self.most {
            return;
        }
        let Ok(bytes) = bytes.try_into_mut() else { return };
        let buffer = Vec::from(bytes);
        if buffer.capacity() == self.size {
            self.free.push(buffer);
        }
    }

    /// Bytes held idle.
    #[cfg(test)]
    pub(crate) fn idle_bytes(&self) -> usize {
        self.free.len() * self.size
    }
}

/// A buffer of so many zeros.
#[expect(
    clippy::slow_vector_initialization,
    reason = "asking for zeros is slow where they are few"
)]
fn zeroed(len: usize) -> Vec<u8> {
    if len > FEW {
        return vec![0; len];
    }
    let mut buffer = Vec::with_capacity(len);
    buffer.resize(len, 0);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_holder_gives_it() {
        let mut pool = BufferPool::new(1_024, 4_096);
        let mut buffer = pool.take(1_000);
        let address = buffer.as_ptr();
        buffer.truncate(700);
        let bytes = Bytes::from(buffer);
        pool.give(bytes.clone());
        assert_eq!(pool.idle_bytes(), 0, "still lent");
        pool.give(bytes);
        assert_eq!(pool.idle_bytes(), 1_024);
        let again = pool.take(1_024);
        assert_eq!((again.as_ptr(), again.capacity()), (address, 1_024));
    }

    #[test]
    fn small_batches_do_not_hold_a_full_buffer() {
        let mut pool = BufferPool::new(16_384, 1 << 20);
        assert_eq!(pool.take(200).capacity(), 200);
        assert_eq!(pool.take(8_192).capacity(), 16_384);
        assert_eq!(pool.take(20_000).capacity(), 20_000);
    }

    #[test]
    fn what_is_kept_is_bounded_and_of_one_size() {
        let mut pool = BufferPool::new(1_024, 2_048);
        for _ in 0..5 {
            pool.give(Bytes::from(vec![0; 1_024]));
        }
        assert_eq!(pool.idle_bytes(), 2_048);
        let mut pool = BufferPool::new(1_024, 2_048);
        pool.give(Bytes::from(vec![0; 1_023]));
        pool.give(Bytes::from_static(b"static"));
        assert_eq!(pool.idle_bytes(), 0);
    }
}
