//! One bug for all runs of a process: does anybody notice?

use std::sync::OnceLock;

use producer_proto::{PlantedBug, Producer};

static BUG: OnceLock<PlantedBug> = OnceLock::new();

/// Plants this bug into the producers of all runs from now on; the first call counts.
pub fn plant(bug: PlantedBug) {
    BUG.get_or_init(|| bug);
}

/// Plants what is to be planted.
pub(super) fn infect(producer: &mut Producer) {
    if let Some(&bug) = BUG.get() {
        producer.plant(bug);
    }
}
