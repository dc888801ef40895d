//! The tree against the plain definition.

use proptest::prelude::*;

use super::super::load::scale;
use super::LoadTable;

fn table(queues: &[u32]) -> LoadTable {
    let mut table = LoadTable::new(queues.len() as i32);
    for (partition, &queue) in queues.iter().enumerate() {
        table.set_queue(partition as i32, queue);
    }
    table
}

fn cycle(table: &LoadTable) -> Vec<u32> {
    let mut chosen = vec![0; table.len() as usize];
    for point in 0..table.total_weight() {
        chosen[table.candidate_at(point) as usize] += 1;
    }
    chosen
}

#[test]
fn prt_08_load_weighted_choice() {
    let table = table(&[5, 0, 3, 0, 1]);
    assert_eq!(cycle(&table), [1, 6, 3, 6, 5]);
    assert_eq!(cycle(&table), [1, 6, 3, 6, 5], "drawing changes nothing");
    assert_eq!(cycle(&super::load::table(&[0, 3, 1])), [4, 1, 3]);
}

#[test]
fn only_candidates_have_a_say_in_the_longest_queue() {
    let mut table = table(&[5, 0, 3]);
    table.set_slow(0, true);
    assert_eq!(cycle(&table), [0, 4, 1]);
    table.set_available(2, false);
    assert_eq!(cycle(&table), [0, 1, 0]);
    table.set_slow(0, false);
    assert_eq!(cycle(&table), [1, 6, 0]);
}

#[test]
fn a_partition_costs_little() {
    let mut table = LoadTable::new(100_000);
    assert!(table.bytes() <= 16 * 100_000, "{}", table.bytes());
    table.set_queue(99_999, u32::MAX);
    assert!(table.bytes() <= 16 * 100_000, "a long queue does not cost more");
    assert_eq!(table.total_weight(), 256 * 99_999 + 1);
}

#[test]
fn scaling_reaches_both_ends() {
    assert_eq!(scale(0, 10), 0);
    assert_eq!(scale(u64::MAX, 10), 9);
    assert_eq!(scale(u64::MAX, 1), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Resize(i32),
    Available(i32, bool),
    Slow(i32, bool),
    Queue(i32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let partition = -1..40;
    prop::collection::vec(
        prop_oneof![
            1 => (-1..40).prop_map(Step::Resize),
            4 => (partition.clone(), any::<bool>()).prop_map(|(p, b)| Step::Available(p, b)),
            2 => (partition.clone(), any::<bool>()).prop_map(|(p, b)| Step::Slow(p, b)),
            6 => (partition, 0..6u32).prop_map(|(p, q)| Step::Queue(p, q)),
        ],
        0..80,
    )
}

proptest! {
    #[test]
    fn equals_the_definition(steps in steps()) {
        let mut table = LoadTable::new(5);
        let mut model = vec![(true, false, 0u32); 5];
        for step in steps {
            match step {
                Step::Resize(n) => {
                    table.resize(n);
                    model.resize(n.max(1) as usize, (true, false, 0));
                }
                Step::Available(p, b) => {
                    table.set_available(p, b);
                    if let Some(m) = model.get_mut(p as usize) { m.0 = b; }
                }
                Step::Slow(p, b) => {
                    table.set_slow(p, b);
                    if let Some(m) = model.get_mut(p as usize) { m.1 = b; }
                }
                Step::Queue(p, q) => {
                    table.set_queue(p, q);
                    if let Some(m) = model.get_mut(p as usize) { m.2 = q; }
                }
            }
        }
        let longest = model.iter().filter(|m| m.0 && !m.1).map(|m| m.2).max().unwrap_or(0);
        let weights: Vec<u32> =
            model.iter().map(|m| if m.0 && !m.1 { longest + 1 - m.2 } else { 0 }).collect();
        prop_assert_eq!(table.total_weight(), weights.iter().map(|&w| u64::from(w)).sum::<u64>());
        prop_assert_eq!(cycle(&table), weights);

        let available: Vec<i32> =
            (0..model.len()).filter(|&p| model[p].0).map(|p| p as i32).collect();
        prop_assert_eq!(table.available() as usize, available.len());
        for (n, &p) in available.iter().enumerate() {
            prop_assert_eq!(table.available_at(n as u32), p);
        }
        for start in 0..model.len() as i32 {
            let next = available.iter().find(|&&p| p >= start).or(available.first());
            prop_assert_eq!(table.next_available(start), next.copied());
        }
    }
}
