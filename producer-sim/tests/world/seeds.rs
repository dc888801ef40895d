//! Whole runs from seeds.

use producer_sim::run::{Oracle, Profile, Script, Seed, Size, run, run_and_tell, shrink};

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

/// Scripts that once broke a promise, or were once taken for such.
#[test]
fn kept_scripts_break_no_promise() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let script: Script = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let report = run(&script).unwrap();
        assert_eq!(report.failure, None, "{}", path.display());
        replayed += 1;
    }
    assert!(replayed >= 3, "{replayed} scripts in {folder}");
}

#[test]
fn a_failing_script_is_made_small_and_told() {
    // A broker that lies: it says INVALID_RECORD of batches that it has appended.
    let text = "(brokers: 2, topics: [(partitions: 1)], network: (latency: 300), steps: [
        (0, Fault(Refuse(topic: 0, partition: 0, code: 87, after: true, times: 1000))),
        (5, Do(Flush)),
        (10000, Do(Push(topic: 0, to: Any, size: 30))),
        (20000, Fault(Reset(broker: 1, fate: No))),
        (30000, Do(Push(topic: 0, to: Key(3), size: 30, count: 5))),
    ])";
    let script: Script = text.parse().unwrap();
    let failure = run(&script).unwrap().failure.unwrap();
    assert_eq!(failure.oracle, Oracle::NotPersisted, "{failure}");
    let small = shrink(&script, &failure, 1_000);
    assert!(small.steps.len() <= 3, "{small}");
    let again: Script = small.to_string().parse().unwrap();
    let (report, story) = run_and_tell(&again).unwrap();
    assert_eq!(report.failure.unwrap().oracle, Oracle::NotPersisted);
    assert!(story.iter().any(|line| line.contains("INVALID_RECORD")), "{story:#?}");
}

/// What the simulated cluster can do is drawn, carried out, counted, and may be refused.
#[test]
fn upheavals_are_drawn_and_counted() {
    let mut drawn = std::collections::BTreeSet::new();
    for seed in 0..150 {
        drawn.extend(script(seed).faults().map(|fault| fault.name()));
    }
    let kinds = [
        "crash",
        "crash with lost tail",
        "restart",
        "pause",
        "resume",
        "elect",
        "elect preferred",
        "shrink ISR",
        "expand ISR",
        "replication delay",
        "no replication",
        "metadata delay",
        "byte rate",
    ];
    for kind in kinds {
        assert!(drawn.contains(kind), "{kind} is not in {drawn:?}");
    }
    let text = "(brokers: 2, topics: [(replication: 2)], steps: [
        (0, Do(Push(topic: 0, to: Any, size: 30))),
        (1000, Fault(Elect(topic: 0, partition: 0, to: Some(2)))),
        (2000, Fault(InSync(topic: 0, partition: 0, broker: 2, member: false))),
        (3000, Fault(Elect(topic: 0, partition: 0, to: None))),
    ])";
    let report = run(&text.parse().unwrap()).unwrap();
    assert_eq!(report.failure, None);
    assert_eq!(report.faults["elect"], 1);
    assert_eq!(report.faults["elect preferred"], 1);
    assert_eq!(report.faults["refused by the controller"], 1, "a leader stays in sync");
}
