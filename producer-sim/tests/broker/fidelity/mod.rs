//! The same requests to a real broker and to the simulated one: what they say must be the same,
//! field by field.
//!
//! `golden/fidelity.txt` is what Apache Kafka 4.3.0 said. Against a broker of your own:
//!
//! ```text
//! KAFKA_BOOTSTRAP=127.0.0.1:27092 cargo test -p producer-sim --test broker fidelity
//! ```
//!
//! with `FIDELITY_RECORD=1` the file is written anew.

mod said;
mod script;
mod target;

use crate::client::frame;
use said::said;
use std::fmt::Write;
use target::{Real, Simulated, Target};

const RECORDED: &str = include_str!("../golden/fidelity.txt");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/golden/fidelity.txt");

/// What a target said to each step, in order.
fn run(target: &mut dyn Target) -> Vec<(String, Vec<String>)> {
    let mut answers = Vec::new();
    for (n, step) in script::steps(target).into_iter().enumerate() {
        let request = frame(step.api, step.version, 1000 + n as i32, &step.body);
        let reply = target.exchange(&request);
        let lines = said(step.api, step.version, &reply, target.names(), step.batch_time);
        answers.push((format!("{n} {}", step.name), lines));
    }
    answers
}

fn text(answers: &[(String, Vec<String>)]) -> String {
    let mut text = String::new();
    for (name, lines) in answers {
        writeln!(text, "{name}").unwrap();
        lines.iter().for_each(|line| writeln!(text, "  {line}").unwrap());
    }
    text
}

fn parse(text: &str) -> Vec<(String, Vec<String>)> {
    let mut answers: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("  "), answers.last_mut()) {
            (Some(said), Some((_, lines))) => lines.push(said.to_owned()),
            _ => answers.push((line.to_owned(), Vec::new())),
        }
    }
    answers
}

/// Every step at which the two say different things.
fn differences(real: &[(String, Vec<String>)], simulated: &[(String, Vec<String>)]) -> Vec<String> {
    assert_eq!(real.len(), simulated.len(), "another script: record it anew");
    let mut found = Vec::new();
    for ((name, real), (again, simulated)) in real.iter().zip(simulated) {
        assert_eq!(name, again, "another script: record it anew");
        if real != simulated {
            let what = format!("{name}\n  real      {real:#?}\n  simulated {simulated:#?}");
            found.push(what);
        }
    }
    found
}

#[test]
fn the_simulated_broker_says_what_a_real_one_said() {
    let simulated = run(&mut Simulated::new());
    assert!(simulated.len() > 600, "{}", simulated.len());
    let found = differences(&parse(RECORDED), &simulated);
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_simulated_broker_says_what_a_real_one_says_now() {
    let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP") else {
        println!("KAFKA_BOOTSTRAP is not set: nothing was compared with a running broker");
        return;
    };
    let real = run(&mut Real::new(&bootstrap));
    if std::env::var_os("FIDELITY_RECORD").is_some() {
        std::fs::write(FILE, text(&real)).unwrap();
    }
    let found = differences(&real, &run(&mut Simulated::new()));
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    println!("{} answers of a running broker compared", real.len());
}
