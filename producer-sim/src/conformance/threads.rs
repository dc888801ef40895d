//! The threads of this process, what they used and how often they were woken, as Linux tells it.
//! Elsewhere nothing is measured.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::rig::SLACK;

/// The first field of `/proc/<pid>/stat` behind the name, as the manual counts.
const FIRST_FIELD: usize = 3;
/// User and system time, and what a unit of them is (`USER_HZ`).
const TIME_FIELDS: [usize; 2] = [14, 15];
const TICK: Duration = Duration::from_millis(10);

/// Threads of the simulated brokers.
const BROKERS: [&str; 2] = ["broker-", "cluster-timer"];

#[derive(Clone, Debug)]
struct Usage {
    name: String,
    ticks: u64,
    switches: u64,
}

/// The threads that are neither the brokers' nor the caller's: the adapter's and its host's.
#[derive(Clone, Debug)]
pub(super) struct Threads(Option<BTreeMap<String, Usage>>);

impl Threads {
    /// As they are now.
    pub(super) fn now() -> Self {
        if !cfg!(target_os = "linux") {
            return Self(None);
        }
        let own = fs::read_link("/proc/thread-self").expect("/proc tells the threads");
        let own = own.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut threads = BTreeMap::new();
        for task in fs::read_dir("/proc/self/task").expect("/proc tells the threads").flatten() {
            let id = task.file_name().to_string_lossy().into_owned();
            let usage = Usage::read(&id);
            // It may have ended since the directory was read.
            if let Some(usage) =
                usage.filter(|usage| Some(&id) != own.as_ref() && !usage.is_broker())
            {
                threads.insert(id, usage);
            }
        }
        Self(Some(threads))
    }

    /// Asserts that so many threads are there that were not then, once those that are about to
    /// end have.
    #[track_caller]
    pub(super) fn assert_new(&self, count: usize, what: &str) {
        let Some(before) = &self.0 else { return };
        let end = Instant::now() + SLACK;
        loop {
            let now = Self::now().0.unwrap_or_default();
            let is_new =
                |(id, usage): (String, Usage)| (!before.contains_key(&id)).then_some(usage.name);
            let new: Vec<_> = now.into_iter().filter_map(is_new).collect();
            if new.len() == count {
                return;
            }
            assert!(Instant::now() < end, "{what}: not {count} new threads, but {new:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Usage {
    fn read(id: &str) -> Option<Self> {
        let read = |file| fs::read_to_string(format!("/proc/self/task/{id}/{file}")).ok();
        let (stat, status) = (read("stat")?, read("status")?);
        let (head, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let time = |field: usize| fields.get(field - FIRST_FIELD)?.parse::<u64>().ok();
        let switches =
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Some(Self {
            name: head.split_once('(')?.1.to_owned(),
            ticks: time(TIME_FIELDS[0])? + time(TIME_FIELDS[1])?,
            switches: switches?.trim().parse().ok()?,
        })
    }

    fn is_broker(&self) -> bool {
        BROKERS.iter().any(|prefix| self.name.starts_with(prefix))
    }
}

/// Watches for so long, and asserts that the adapter's threads were woken so often at most, all
/// together, and used nearly no processor time: a loop that spins uses all it can get.
#[track_caller]
pub(super) fn assert_quiet(time: Duration, wake_ups: u64, what: &str) {
    let before = Threads::now();
    thread::sleep(time);
    let (Some(before), Some(after)) = (before.0, Threads::now().0) else { return };
    let (mut ticks, mut switches) = (0, 0);
    for (id, usage) in &after {
        let old = before.get(id);
        ticks += usage.ticks - old.map_or(0, |it| it.ticks);
        switches += usage.switches - old.map_or(0, |it| it.switches);
    }
    let used = TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
    println!("  {what}: {switches} wake-ups and {used:?} of processor time in {time:?}");
    assert!(switches <= wake_ups, "{what}: {switches} wake-ups in {time:?}, not {wake_ups}");
    // A tick may be counted for a thread that ran only at its end.
    assert!(used <= time / 10 + 2 * TICK, "{what}: {used:?} of processor time in {time:?}");
}
