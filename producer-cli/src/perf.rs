//! `producer perf`: load, and one line of numbers.

mod paced;
mod payload;
mod result;
mod shared;

use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use producer_tokio::{Config, Delivery, Handle, Record, Topic};

use crate::args::PerfArgs;
use crate::runtime::{Runtime, Seat};
use crate::say::say;
use crate::{FAILED, settings};
use payload::Payload;
use result::{Latencies, Span, Usage, latency_line, throughput_line};

/// Where payload files are looked for if no folder is named.
const DATA: &str = "data";

/// How many records are sent before the producer has its turn on the thread, and the results that
/// have come are looked at.
const LOOK_EVERY: u64 = 1_024;

/// Bytes of a request, as the other load generators have it: a large batch of each partition fits.
const MAX_REQUEST: usize = 16 << 20;

/// How long the producer may take to end; everything has its result by then.
const CLOSE: Duration = Duration::from_secs(10);

/// Runs the command. `Err` is for wrong options, settings or payload files.
pub(crate) fn run(args: &PerfArgs) -> Result<ExitCode, String> {
    let payload = match &args.data {
        Some(folder) => Payload::load(folder, args.size, args.keyed)?,
        None if Path::new(DATA).is_dir() => Payload::load(Path::new(DATA), args.size, args.keyed)?,
        None => Payload::made_up(args.size, args.keyed)?,
    };
    if args.workers && args.runtime != Runtime::Tokio {
        return Err(
            "--workers is for --runtime tokio: the others have no worker threads".to_owned()
        );
    }
    if let Some(rate) = args.rate {
        return paced::run(args, rate, config(args)?, &payload);
    }
    if let Some(threads) = args.threads {
        return shared::run(args, threads, config(args)?, &payload);
    }
    let config = config(args)?;
    let args = args.clone();
    args.runtime.run(config, seat(&args), |producer| measure(args, producer, payload))
}

/// A task, as in most applications; but on smol a task that always has something to do leaves the
/// reactor to a thread of its own, which takes a tenth of the CPU.
fn seat(args: &PerfArgs) -> Seat {
    match args.runtime {
        Runtime::Smol if !args.latency => Seat::Main,
        Runtime::Tokio if args.workers => Seat::Workers,
        _ => Seat::Task,
    }
}

async fn measure(args: PerfArgs, producer: Handle, payload: Payload) -> Result<ExitCode, String> {
    let topic = producer.topic(&args.topic).map_err(|error| error.to_string())?;
    let runtime = Some(args.runtime);
    let load = Load { runtime, producer: &producer, topic: &topic, payload: &payload };
    let (line, errors) =
        if args.latency { load.latency(&args).await? } else { load.throughput(&args).await? };
    say(line);
    producer.close(CLOSE).await;
    Ok(if errors == 0 { ExitCode::SUCCESS } else { FAILED.into() })
}

/// The options that stand for settings.
fn config(args: &PerfArgs) -> Result<Config, String> {
    // A lone sender does not linger: what is measured is the way there and back.
    let linger = if args.latency { 0 } else { args.linger_ms };
    let properties = [
        ("acks", args.acks.clone()),
        ("enable.idempotence", args.idempotent.to_string()),
        ("linger.ms", linger.to_string()),
        ("batch.size", args.batch_bytes.to_string()),
        ("buffer.memory", args.buffer_bytes.to_string()),
        ("compression.type", args.compression.clone()),
        ("max.request.size", MAX_REQUEST.to_string()),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value));
    settings::config(None, &properties, Some(&args.bootstrap))
}

fn record<'a>(topic: &'a Topic, payload: &'a Payload, i: u64) -> Record<'a> {
    let mut record = Record::to(topic).value(payload.value(i));
    record.key = payload.key(i);
    record
}

#[derive(Clone, Copy)]
struct Load<'a> {
    /// What the producer is on, if it shares this thread.
    runtime: Option<Runtime>,
    producer: &'a Handle,
    topic: &'a Topic,
    payload: &'a Payload,
}

impl<'a> Load<'a> {
    fn record(&self, i: u64) -> Record<'a> {
        record(self.topic, self.payload, i)
    }

    async fn throughput(&self, args: &PerfArgs) -> Result<(String, u64), String> {
        self.fill(args.warmup).await;
        let from = Usage::now()?;
        let errors = self.fill(args.records).await;
        let span = Span { from, to: Usage::now()?, errors };
        Ok((throughput_line(args, &span), errors))
    }

    /// Sends so many records and takes the result of each. How many failed.
    async fn fill(&self, records: u64) -> u64 {
        let mut results = Results::default();
        for i in 0..records {
            match self.producer.send(self.record(i)).await {
                Ok(delivery) => results.add(delivery),
                Err(error) => results.failed(&error),
            }
            if i % LOOK_EVERY == 0 {
                // A send that need not wait does not give way: here the producer has its turn.
                if let Some(runtime) = self.runtime {
                    runtime.give_way().await;
                }
                results.look();
            }
        }
        results.wait().await
    }

    async fn latency(&self, args: &PerfArgs) -> Result<(String, u64), String> {
        for i in 0..args.warmup {
            self.one(i).await;
        }
        let mut latencies = Latencies::new()?;
        let mut errors = 0;
        let from = Usage::now()?;
        for i in 0..args.records {
            let begin = Instant::now();
            errors += u64::from(!self.one(i).await);
            latencies.add(begin.elapsed());
        }
        let span = Span { from, to: Usage::now()?, errors };
        Ok((latency_line(args, &span, &latencies), errors))
    }

    /// Sends one record and waits for its result. Whether it was delivered.
    async fn one(&self, i: u64) -> bool {
        match self.producer.send(self.record(i)).await {
            Ok(delivery) => delivery.await.is_ok(),
            Err(_) => false,
        }
    }
}

/// How many results are kept together.
const RUN: usize = 4_096;

/// Results of records, taken as they come, in the order of sending.
#[derive(Default)]
struct Results {
    /// In runs: one queue of all would be twice as large as it has to be, and be copied to grow.
    unknown: VecDeque<VecDeque<Delivery>>,
    errors: u64,
}

impl Results {
    fn failed(&mut self, error: &dyn std::fmt::Display) {
        if self.errors == 0 {
            eprintln!("producer: the first error: {error}");
        }
        self.errors += 1;
    }

    fn add(&mut self, delivery: Delivery) {
        match self.unknown.back_mut() {
            Some(run) if run.len() < RUN => run.push_back(delivery),
            _ => {
                let mut run = VecDeque::with_capacity(RUN);
                run.push_back(delivery);
                self.unknown.push_back(run);
            }
        }
    }

    fn look(&mut self) {
        while let Some(run) = self.unknown.front_mut() {
            let Some(delivery) = run.front() else {
                self.unknown.pop_front();
                continue;
            };
            let Some(result) = delivery.try_result() else { break };
            run.pop_front();
            if let Err(error) = result {
                self.failed(&error);
            }
        }
    }

    /// Waits for the rest. Not with a flush: it would cut the last linger short, which no other
    /// load generator does.
    async fn wait(mut self) -> u64 {
        for delivery in std::mem::take(&mut self.unknown).into_iter().flatten() {
            if let Err(error) = delivery.await {
                self.failed(&error);
            }
        }
        self.errors
    }
}
