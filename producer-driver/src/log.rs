//! What adapters write to the log. Feature `net`.

use producer_proto::{BrokerState, Event};

/// Writes to the log what [`Environment::notice`](crate::Environment::notice) is given, as
/// `tracing` events.
pub fn log(event: &Event) {
    match event {
        Event::Broker { broker, state } => {
            let broker = broker.map(|broker| broker.0);
            match state {
                BrokerState::Connected => tracing::info!(broker, "connected"),
                BrokerState::Closed => tracing::debug!(broker, "connection closed"),
                BrokerState::Failed(cause) => {
                    tracing::warn!(broker, cause = &**cause, "connection failed");
                }
                other => tracing::debug!(broker, state = ?other, "connection changed"),
            }
        }
        Event::Retrying { attempts, cause, .. } => {
            tracing::info!(cause = &**cause, attempts, "batch is sent again");
        }
        Event::Throttled { broker, duration } => {
            tracing::debug!(broker = broker.map(|broker| broker.0), ?duration, "throttled");
        }
        Event::Fatal(error) => tracing::error!(%error, "producer cannot go on"),
        other => tracing::debug!(event = ?other, "event"),
    }
}
