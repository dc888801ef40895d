//! The bodies, by name.

mod core;

use crate::driver;

/// Measures what it is given to run, and only that.
pub trait Meter {
    /// Runs `work` once and adds its cost.
    fn measure(&mut self, work: &mut dyn FnMut());
}

/// One run of a body. It may be called any number of times; each run does the same work.
pub type Body = Box<dyn FnMut(&mut dyn Meter)>;

/// Something that costs.
pub struct Case {
    /// What it is, from the general to the special: `push/keyed/100`.
    pub name: String,
    /// What the cost is divided by: `record`, `batch`, `poll`.
    pub unit: &'static str,
    /// How many of these one run of the body does.
    pub units: u64,
    /// Prepares the body, in a steady state. Costs nothing itself.
    pub prepare: Box<dyn Fn() -> Body>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &'static str,
        units: u64,
        prepare: impl Fn() -> Body + 'static,
    ) -> Self {
        Self { name: name.into(), unit, units, prepare: Box::new(prepare) }
    }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = core::cases();
    cases.extend(driver::cases());
    cases
}

/// Runs a body until its buffers have grown.
pub(crate) fn warm_up(mut body: impl FnMut(&mut dyn Meter) + 'static) -> Body {
    for _ in 0..2 {
        body(&mut Unmeasured);
    }
    Box::new(body)
}

pub(crate) struct Unmeasured;

impl Meter for Unmeasured {
    fn measure(&mut self, work: &mut dyn FnMut()) {
        work();
    }
}
