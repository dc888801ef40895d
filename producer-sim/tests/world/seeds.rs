//! Whole runs from seeds.

use producer_sim::run::{Profile, Script, Seed, Size, run};

fn script(seed: u64) -> Script {
    Script::draw(&mut Seed(seed), Profile::Honest, Size::Short)
}

#[test]
fn seeds_break_no_promise() {
    for seed in 0..15 {
        let report = run(&script(seed)).unwrap();
        if let Some(failure) = report.failure {
            panic!("seed {seed}: {failure}");
        }
    }
}

#[test]
fn a_seed_repeats_its_run() {
    let first = run(&script(3)).unwrap();
    assert_eq!(first, run(&script(3)).unwrap());
    assert_ne!(first.trace, run(&script(4)).unwrap().trace);
}

#[test]
fn a_script_is_its_text() {
    for seed in 0..50 {
        let script = script(seed);
        let text = script.to_string();
        let again: Script = text.parse().unwrap();
        assert_eq!(again, script, "{text}");
    }
}

#[test]
fn a_text_that_is_no_script_says_why() {
    for (text, why) in [
        ("(brokers: 0, topics: [()])", "brokers"),
        ("(brokers: 1)", "topics"),
        ("(brokers: 1, topics: [(partitions: 0)])", "partitions"),
        ("(brokers: 1, topics: [()], steps: [(5, Do(Flush)), (4, Do(Flush))])", "order"),
        ("(brokers: 1, topics: [()], steps: [(5, Fault(Hide(1, true)))])", "topic 1"),
        ("nonsense", "expected"),
    ] {
        let error = text.parse::<Script>().unwrap_err().to_string();
        assert!(error.to_lowercase().contains(why), "{text}: {error}");
    }
}
