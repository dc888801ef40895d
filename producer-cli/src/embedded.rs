//! The simulated cluster on loopback, as `serve` shows it and `send` falls back on it.

use producer_sim::{ClusterConfig, NetCluster, Retention, TopicConfig};

/// Partitions of a topic where nobody says otherwise.
pub(crate) const PARTITIONS: i32 = 4;

/// Starts so many brokers on `port` and the ports after it; 0 lets the system choose each.
/// Topics appear when they are asked for. Records are checked and counted, and not kept.
pub(crate) fn start(port: u16, brokers: u16, partitions: i32) -> Result<NetCluster, String> {
    if port > 0 && port.checked_add(brokers - 1).is_none() {
        return Err(format!("{brokers} ports from {port} on go beyond 65535"));
    }
    let mut config = ClusterConfig::new(i32::from(brokers));
    config.auto_create = TopicConfig::new(partitions).replicated(3, 1);
    config.retention = Retention::CountOnly;
    config.request_history = 0;
    let started =
        if port == 0 { NetCluster::start(config) } else { NetCluster::start_at(config, port) };
    started.map_err(|error| match port {
        0 => format!("the embedded brokers could not start: {error}"),
        _ => format!("the embedded brokers could not start on port {port} and after: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_each_other() {
        let error = start(65_535, 2, 1).unwrap_err();
        assert!(error.contains("beyond 65535"), "{error}");
        let taken = start(0, 1, 1).unwrap();
        let port = taken.addresses()[0].port();
        let error = start(port, 1, 1).unwrap_err();
        assert!(error.contains(&port.to_string()), "{error}");
    }
}
