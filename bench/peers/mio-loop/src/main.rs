//! Lone sends through producer-mio's event loop, which the sender itself drives: nothing is handed
//! over between threads.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bench_common::{Measure, Options, Payload};
use clap::Parser;
use mio::{Events, Poll, Waker};
use producer_mio::{Config, EventLoop, Record};

/// The event loop's tokens; the first is the waker's.
const TOKENS: std::ops::Range<usize> = 0..1_000;

/// Lone sends through producer-mio's event loop, driven by the sender.
#[derive(Debug, Parser)]
#[command(name = "mio-loop", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> Result<()> {
    let Cli { options } = Cli::parse();
    if !matches!(options.measure(), Measure::Latency) {
        bail!("only lone sends are measured here: give --latency 1");
    }
    let payload = Payload::load(&options)?;
    let poll = Poll::new().context("mio poll")?;
    let waker = Waker::new(poll.registry(), mio::Token(TOKENS.start)).context("mio waker")?;
    let config = config(&options)?;
    let (producer, event_loop) = EventLoop::new(&config, poll.registry(), TOKENS, Arc::new(waker))?;
    let mut event_loop = Loop { poll, events: Events::with_capacity(64), event_loop };
    let mut warm_up = producer.warm_up(&[&options.topic]);
    event_loop.run_until(|| warm_up.wait_timeout(Duration::ZERO))??;
    let topic = producer.topic(&options.topic)?;
    bench_common::measure_each("producer-mio-loop", &options, |i| {
        let mut record = Record::to(&topic).value(payload.value(i));
        record.key = payload.key(i);
        let Ok(delivery) = producer.try_send(record) else { return Ok(false) };
        Ok(event_loop.run_until(|| delivery.try_result())?.is_ok())
    })
}

fn config(options: &Options) -> Result<Config> {
    let mut config = Config::new(&options.bootstrap);
    let settings = [
        ("acks", options.acks.to_string()),
        ("enable.idempotence", options.idempotent.to_string()),
        ("linger.ms", options.linger_ms().to_string()),
        ("batch.size", options.batch_bytes.to_string()),
        ("buffer.memory", options.buffer_bytes.to_string()),
        ("compression.type", options.compression.name().to_owned()),
    ];
    for (name, value) in settings {
        config.set(name, &value)?;
    }
    Ok(config)
}

struct Loop {
    poll: Poll,
    events: Events,
    event_loop: EventLoop,
}

impl Loop {
    /// Turns the loop until there is a result.
    fn run_until<T>(&mut self, mut result: impl FnMut() -> Option<T>) -> Result<T> {
        loop {
            if !self.event_loop.turn() {
                bail!("the producer has ended");
            }
            if let Some(result) = result() {
                return Ok(result);
            }
            match self.poll.poll(&mut self.events, self.event_loop.next_timeout()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled.context("mio poll")?,
            }
            for event in &self.events {
                self.event_loop.handle_event(event);
            }
        }
    }
}
