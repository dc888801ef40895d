//! The same bytes from all adapters.

use adapter_tests::{Mio, MioLoop, Smol, Tokio};
use producer_sim::conformance::lockstep::trace;

#[test]
fn all_adapters_send_the_same_bytes_per_broker_and_connection() {
    for seed in 0..3 {
        let seed = [seed; 32];
        let mio = trace(&Mio, seed);
        let bytes: usize = mio.0.values().map(Vec::len).sum();
        assert!(mio.0.len() == 5 && bytes > 50_000, "{mio:?}");
        for (name, other) in [
            ("mio, in a loop", trace(&MioLoop, seed)),
            ("tokio, current thread", trace(&Tokio::CurrentThread, seed)),
            ("tokio, worker threads", trace(&Tokio::Workers(2), seed)),
            ("smol", trace(&Smol, seed)),
        ] {
            assert_eq!(mio.difference(&other), None, "{name}: {mio:?} {other:?}");
        }
    }
}
