//! Property files and settings: no text makes them panic, what was read is what is written, and
//! valid settings make a producer.

use producer_proto::{Config, Instant, Producer};

/// A property file.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(config) = Config::parse_properties(&text) else { return };
    let written: Vec<_> = config.properties().collect();
    let again =
        Config::from_properties(written.iter().map(|(name, value)| (*name, value.as_str())));
    let again = again.unwrap_or_else(|error| panic!("{written:?}: {error}"));
    let rewritten: Vec<_> = again.properties().collect();
    assert_eq!(rewritten, written);
    if config.validate().is_err() {
        return;
    }
    let mut producer = Producer::new(&config, Instant::ZERO, [0; 32])
        .unwrap_or_else(|error| panic!("valid, but: {error}"));
    let topic = producer.topic(Instant::ZERO, "t").expect("a good name");
    assert!(producer.partition_count(topic).is_none());
    producer.close(Instant::ZERO, None);
    assert!(producer.is_closed(), "nothing was outstanding");
}
