//! Exponential backoff with jitter, in integers.

use std::time::Duration;

/// `base × 2^n`, at most `max`, then ±20 % by `draw`; the cap is applied before the jitter, as
/// Kafka's clients do (KIP-580).
pub(crate) fn exponential(base: Duration, max: Duration, n: u32, draw: u64) -> Duration {
    let base = micros(base);
    let max = micros(max);
    let plain = base.checked_shl(n.min(63)).filter(|v| v >> n.min(63) == base).unwrap_or(max);
    jitter(plain.min(max), draw)
}

/// `micros` scaled by a factor between 0.8 and 1.2.
fn jitter(micros: u64, draw: u64) -> Duration {
    // 32 bits of the draw, mapped to 0..=400_000 millionths.
    let share = ((draw >> 32) * 400_001) >> 32;
    let factor = 800_000 + share;
    Duration::from_micros((u128::from(micros) * u128::from(factor) / 1_000_000) as u64)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_millis(1_000);

    #[test]
    fn doubles_up_to_the_cap() {
        let plain = |n| exponential(BASE, MAX, n, 1 << 63).as_millis();
        assert_eq!([0, 1, 2, 3, 4, 200].map(plain), [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        for n in 0..5 {
            let low = exponential(BASE, MAX, n, 0);
            let high = exponential(BASE, MAX, n, u64::MAX);
            let nominal = (BASE * 2u32.pow(n)).min(MAX);
            assert_eq!(low, nominal.mul_f64(0.8));
            assert_eq!(high, nominal.mul_f64(1.2));
        }
    }

    #[test]
    fn absurd_values_do_not_overflow() {
        let longest = exponential(Duration::MAX, Duration::MAX, u32::MAX, u64::MAX);
        assert!(longest > Duration::from_secs(1));
        assert_eq!(exponential(Duration::ZERO, MAX, 9, 5), Duration::ZERO);
    }
}
