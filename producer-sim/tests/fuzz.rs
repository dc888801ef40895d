//! The bodies of the fuzz targets over their committed corpora: what a fuzzer has once found stays
//! right, without a fuzzer.

#[expect(unreachable_pub, reason = "for libFuzzer they are a crate of their own")]
#[path = "../../fuzz/src/lib.rs"]
mod bodies;

use std::path::Path;

fn replay(name: &str) {
    let (_, run) =
        bodies::TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut inputs: Vec<_> = std::fs::read_dir(&corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    inputs.sort();
    assert!(inputs.len() > 10, "{} inputs in {}", inputs.len(), corpus.display());
    for input in inputs {
        let bytes = std::fs::read(&input).expect("a file");
        let result = std::panic::catch_unwind(|| run(&bytes));
        assert!(result.is_ok(), "{}", input.display());
    }
}

macro_rules! replays {
    ($($name:ident)+) => {
        $(#[test] fn $name() { replay(stringify!($name)); })+

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(bodies::TARGETS.map(|(name, _)| name), [$(stringify!($name)),+]);
        }
    };
}

replays! { frames responses codecs connection operations batches settings }
