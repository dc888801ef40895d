//! Whole runs from seeds.

use producer_sim::run::{
    Oracle, Profile, Script, Seed, Size, run, run_and_tell, run_within, shrink,
};

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

/// A broker that lies: it says INVALID_RECORD of batches that it has appended.
const LIAR: &str = "(brokers: 2, topics: [(partitions: 1)], network: (latency: 300), steps: [
    (0, Fault(Refuse(topic: 0, partition: 0, code: 87, after: true, times: 1000))),
    (5, Do(Flush)),
    (10000, Do(Push(topic: 0, to: Any, size: 30))),
    (20000, Fault(Reset(broker: 1, fate: No))),
    (30000, Do(Push(topic: 0, to: Key(3), size: 30, count: 5))),
])";

#[test]
fn a_failing_script_is_made_small_and_told() {
    let script: Script = LIAR.parse().unwrap();
    let failure = run(&script).unwrap().failure.unwrap();
    assert_eq!(failure.oracle, Oracle::NotPersisted, "{failure}");
    let small = shrink(&script, &failure, 1_000);
    assert!(small.steps.len() <= 3, "{small}");
    let again: Script = small.to_string().parse().unwrap();
    let (report, story) = run_and_tell(&again).unwrap();
    assert_eq!(report.failure.unwrap().oracle, Oracle::NotPersisted);
    assert!(story.iter().any(|line| line.contains("INVALID_RECORD")), "{story:#?}");
}

#[test]
fn a_run_that_is_cut_short_is_no_failure_and_a_whole_one_is_judged() {
    let script: Script = LIAR.parse().unwrap();
    let whole = run(&script).unwrap();
    assert_eq!(whole.failure.as_ref().unwrap().oracle, Oracle::NotPersisted);
    assert_eq!(run_within(&script, whole.events).unwrap(), whole);
    for most in [0, 5, whole.events / 2] {
        let report = run_within(&script, most).unwrap();
        assert_eq!(report.failure, None, "{most} of {} events", whole.events);
        assert!((most + 1..whole.events).contains(&report.events), "{most}: {}", report.events);
    }
}

/// What the simulated cluster can do is drawn, carried out, counted, and may be refused.
#[test]
fn upheavals_are_drawn_and_counted() {
    let mut drawn = std::collections::BTreeSet::new();
    for seed in 0..150 {
        let script = Script::draw(&mut Seed(seed), Profile::Unclean, Size::Short);
        drawn.extend(script.faults().map(|fault| fault.name()));
    }
    let kinds = [
        "crash",
        "crash with lost tail",
        "restart",
        "pause",
        "resume",
        "elect",
        "elect preferred",
        "elect unclean",
        "shrink ISR",
        "expand ISR",
        "replication delay",
        "no replication",
        "metadata delay",
        "byte rate",
        "release",
        "wrong peer",
        "address",
        "swap addresses",
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

/// A broker that lies about offsets: with an honest one that is a lost record, from a liar it is
/// what it said. The producer after it is told nothing but the truth.
#[test]
fn what_a_lie_leads_to_is_excused_only_where_brokers_may_lie() {
    let text = |profile: &str| {
        format!(
            "(profile: {profile}, patient: true, brokers: 1, topics: [()], steps: [
                (0, Fault(Trouble(broker: 1, api: Produce, how: Lie(Offset, 77), times: 1))),
                (1000, Do(Push(topic: 0, to: Any, size: 30))),
                (1000000, Do(Flush)),
            ])"
        )
    };
    let lied_to = |profile| run(&text(profile).parse().unwrap()).unwrap();
    assert_eq!(lied_to("Honest").failure.unwrap().oracle, Oracle::NothingLost);
    let report = lied_to("Hostile");
    assert_eq!(report.failure, None);
    assert_eq!((report.faults["lie"], report.delivered), (1, 2), "the record and a fresh one");
}

/// Old brokers, brokers that are replaced under way, at another address, or behind that of another.
#[test]
fn a_producer_finds_its_way_between_releases_and_addresses() {
    let text =
        "(profile: Legacy, patient: true, brokers: 2, topics: [(partitions: 2)], warm_up: true,
        settings: {\"enable.idempotence\": \"false\"}, steps: [
        (0, Fault(Release(1, V0_10))),
        (1000, Do(Push(topic: 0, to: Partition(0), size: 30))),
        (2000000, Fault(Release(1, V4_3))),
        (2001000, Do(Push(topic: 0, to: Partition(0), size: 30))),
        (3000000, Fault(Address(2, 9999))),
        (3001000, Fault(Reset(broker: 2, fate: No))),
        (3002000, Do(Push(topic: 0, to: Partition(1), size: 30))),
        (5000000, Fault(SwapAddresses(1, 2))),
        (5001000, Fault(Reset(broker: 1, fate: No))),
        (5002000, Do(Push(topic: 0, to: Partition(0), size: 30))),
    ])";
    let report = run(&text.parse().unwrap()).unwrap();
    assert_eq!(report.failure, None);
    // One in the warm-up, four here, one for each partition in the end.
    assert_eq!((report.records, report.delivered), (7, 7));
    assert_eq!(report.faults["release"], 2);
}
