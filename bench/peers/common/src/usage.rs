//! What the process has used.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What the process has used up to a moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    user: Duration,
    system: Duration,
    max_rss_kb: i64,
    at: Instant,
}

impl Usage {
    /// Asks the system.
    ///
    /// # Errors
    /// It does not say.
    pub fn now() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
        Ok(Self {
            user: duration(usage.user_time()),
            system: duration(usage.system_time()),
            max_rss_kb: usage.max_rss(),
            at: Instant::now(),
        })
    }
}

fn duration(time: TimeVal) -> Duration {
    let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    from: Usage,
    to: Usage,
}

impl Span {
    /// From then to now.
    ///
    /// # Errors
    /// As [`Usage::now`].
    pub fn since(from: Usage) -> Result<Self> {
        Ok(Self { from, to: Usage::now()? })
    }

    pub(crate) fn seconds(&self) -> f64 {
        (self.to.at - self.from.at).as_secs_f64()
    }

    pub(crate) fn user(&self) -> f64 {
        self.to.user.saturating_sub(self.from.user).as_secs_f64()
    }

    pub(crate) fn system(&self) -> f64 {
        self.to.system.saturating_sub(self.from.system).as_secs_f64()
    }

    pub(crate) fn max_rss_kb(&self) -> i64 {
        self.to.max_rss_kb
    }
}
