//! Counts the instructions of every case under Valgrind, and compares them with a baseline.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use producer_bench::{Case, Change, Counts, Meter, TOLERANCE_PERCENT, all};

/// Counts instructions per record, batch or poll under Valgrind and compares them with the
/// baseline. Exit code 1: something costs more than it did.
#[derive(Parser)]
struct Options {
    /// Writes the counts to the baseline instead of comparing.
    #[arg(long)]
    renew: bool,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Runs this one case, to be counted by whoever has started this program.
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let cases: Vec<_> = all().into_iter().filter(|it| it.name.contains(&options.only)).collect();
    if let Some(name) = options.run {
        let case = cases.iter().find(|case| case.name == name).ok_or("no such case")?;
        let mut body = (case.prepare)();
        body(&mut Collected);
        return Ok(ExitCode::SUCCESS);
    }
    let baseline_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.txt");
    let mut counts = Counts { tools: tools()?, ..Counts::default() };
    for case in &cases {
        let per_unit = count(case)?;
        counts.per_unit.insert(case.name.clone(), (per_unit, case.unit.to_owned()));
        if options.renew {
            println!("{per_unit:>12.1} per {:<7} {}", case.unit, case.name);
        }
    }
    if options.renew {
        fs::write(&baseline_path, counts.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut baseline = Counts::parse(&fs::read_to_string(&baseline_path)?)?;
    baseline.per_unit.retain(|name, _| name.contains(&options.only));
    Ok(report(&counts, &baseline))
}

/// What Valgrind's `--toggle-collect` looks for.
#[inline(never)]
fn collected_work(work: &mut dyn FnMut()) {
    work();
}

struct Collected;

impl Meter for Collected {
    fn measure(&mut self, work: &mut dyn FnMut()) {
        collected_work(work);
    }
}

/// Instructions per unit of one case, counted in a process of its own.
fn count(case: &Case) -> Result<f64, Box<dyn Error>> {
    let out = callgrind_file(&case.name);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*collected_work*", "--dump-instr=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args(["--run", &case.name])
        // Whatever the machine has set must not change what is counted.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: {said}", case.name).into());
    }
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let total: f64 = collected.ok_or("valgrind did not say what it counted")?.1.trim().parse()?;
    if total == 0.0 {
        return Err(format!("{}: nothing was counted", case.name).into());
    }
    Ok(total / case.units as f64)
}

/// Where the profile of a case is left, for `callgrind_annotate`.
fn callgrind_file(case: &str) -> PathBuf {
    std::env::temp_dir().join(format!("callgrind.{}", case.replace('/', "-")))
}

/// Versions of what the counts depend on.
fn tools() -> Result<String, Box<dyn Error>> {
    let mut versions = Vec::new();
    for (program, argument) in
        [("rustc", "--version"), ("valgrind", "--version"), ("ldd", "--version")]
    {
        let output = Command::new(program)
            .arg(argument)
            .output()
            .map_err(|error| format!("{program}: {error}"))?;
        let text = String::from_utf8(output.stdout)?;
        versions.push(text.lines().next().unwrap_or_default().to_owned());
    }
    // Valgrind shows programs one of a few fixed processors; which one depends on this.
    versions.push(format!(
        "{}{}",
        std::env::consts::ARCH,
        if has_avx2() { " with AVX2" } else { "" }
    ));
    Ok(versions.join(", "))
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// Says what has changed.
fn report(counts: &Counts, baseline: &Counts) -> ExitCode {
    let changes = counts.changes_since(baseline);
    println!("{:>12} {:>12} {:>8}  per     case", "before", "now", "change");
    for (name, change) in &changes {
        let now = counts.per_unit.get(name);
        let before = baseline.per_unit.get(name);
        let show =
            |cost: Option<&(f64, String)>| cost.map_or("-".into(), |it| format!("{:.1}", it.0));
        let percent = match (before, now) {
            (Some((before, _)), Some((now, _))) => {
                format!("{:+.1} %", (now / before - 1.0) * 100.0)
            }
            _ => "-".into(),
        };
        let unit = now.or(before).map_or("", |it| &it.1);
        let remark = match change {
            Change::Same => "",
            Change::Better => "  better",
            Change::Worse => "  WORSE",
            Change::New => "  NEW",
            Change::Gone => "  GONE",
        };
        println!("{:>12} {:>12} {percent:>8}  {unit:<7} {name}{remark}", show(before), show(now));
    }
    if changes.values().any(|change| !matches!(change, Change::Same)) {
        println!("\nTo make these the baseline: cargo run --release -p producer-bench -- --renew");
    }
    if counts.tools != baseline.tools {
        println!("The baseline was counted with other tools, which changes counts:");
        println!("  before: {}\n  now:    {}", baseline.tools, counts.tools);
    }
    let fails = |change: &Change| matches!(change, Change::Worse | Change::New | Change::Gone);
    let failed = changes.values().filter(|change| fails(change)).count();
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{failed} cases are not as in the baseline (tolerance {TOLERANCE_PERCENT} %)");
    ExitCode::FAILURE
}
