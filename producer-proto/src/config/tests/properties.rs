//! Settings by name and from text.

use proptest::prelude::*;

use super::*;

fn set(name: &str, value: &str) -> Result<Config, ConfigError> {
    let mut config = valid();
    config.set(name, value).map(|()| config)
}

#[test]
fn every_name_reaches_its_field() {
    let properties = [
        ("bootstrap.servers", "a:1, b:2"),
        ("client.id", "me"),
        ("acks", "1"),
        ("enable.idempotence", "false"),
        ("linger.ms", "1"),
        ("batch.size", "2"),
        ("max.request.size", "3"),
        ("buffer.memory", "4"),
        ("max.block.ms", "5"),
        ("retries", "6"),
        ("delivery.timeout.ms", "7"),
        ("request.timeout.ms", "8"),
        ("retry.backoff.ms", "9"),
        ("retry.backoff.max.ms", "10"),
        ("max.in.flight.requests.per.connection", "11"),
        ("compression.type", "zstd"),
        ("compression.gzip.level", "-1"),
        ("compression.lz4.level", "12"),
        ("compression.zstd.level", "-13"),
        ("partitioner.class", "round_robin"),
        ("partitioner.adaptive.partitioning.enable", "false"),
        ("partitioner.availability.timeout.ms", "14"),
        ("partitioner.ignore.keys", "true"),
        ("metadata.max.age.ms", "15"),
        ("metadata.max.idle.ms", "16"),
        ("metadata.recovery.strategy", "none"),
        ("metadata.recovery.rebootstrap.trigger.ms", "17"),
        ("reconnect.backoff.ms", "18"),
        ("reconnect.backoff.max.ms", "19"),
        ("socket.connection.setup.timeout.ms", "20"),
        ("socket.connection.setup.timeout.max.ms", "21"),
        ("connections.max.idle.ms", "-1"),
        ("receive.message.max.bytes", "22"),
        ("send.buffer.bytes", "-1"),
        ("receive.buffer.bytes", "23"),
        ("client.software.name", "n"),
        ("client.software.version", "v"),
        ("allow.auto.create.topics", "false"),
        ("allow.reordering.on.retry", "true"),
        ("assume.broker.version", "0.9"),
    ];
    let config = Config::from_properties(properties).unwrap();
    let expected = Config {
        bootstrap_servers: vec!["a:1".to_owned(), "b:2".to_owned()],
        client_id: "me".to_owned(),
        acks: Acks::Leader,
        enable_idempotence: Some(false),
        linger: ms(1),
        batch_size: 2,
        max_request_size: 3,
        buffer_memory: 4,
        max_block: ms(5),
        retries: 6,
        delivery_timeout: Some(ms(7)),
        request_timeout: ms(8),
        retry_backoff: Some(ms(9)),
        retry_backoff_max: Some(ms(10)),
        max_in_flight_requests_per_connection: 11,
        compression_type: Codec::Zstd,
        compression_gzip_level: -1,
        compression_lz4_level: 12,
        compression_zstd_level: -13,
        partitioner: PartitionerKind::RoundRobin,
        partitioner_adaptive_partitioning_enable: false,
        partitioner_availability_timeout: ms(14),
        partitioner_ignore_keys: true,
        metadata_max_age: ms(15),
        metadata_max_idle: ms(16),
        metadata_recovery_strategy: MetadataRecoveryStrategy::None,
        metadata_recovery_rebootstrap_trigger: ms(17),
        reconnect_backoff: Some(ms(18)),
        reconnect_backoff_max: Some(ms(19)),
        socket_connection_setup_timeout: ms(20),
        socket_connection_setup_timeout_max: ms(21),
        connections_max_idle: Duration::MAX,
        receive_message_max_bytes: 22,
        send_buffer_bytes: None,
        receive_buffer_bytes: Some(23),
        client_software_name: "n".to_owned(),
        client_software_version: "v".to_owned(),
        allow_reordering_on_retry: true,
        allow_auto_topic_creation: false,
        assume_broker_version: Some(OldBroker::V0_9),
    };
    assert_eq!(config, expected);
    assert_eq!(Config::from_properties(config.properties()), Ok(expected), "and back");
}

#[test]
fn defaults_survive_the_round_trip() {
    let back = Config::from_properties(valid().properties()).unwrap();
    assert_eq!(back, valid(), "what is not set stays not set");
    assert_eq!(valid().properties().find(|(name, _)| *name == "enable.idempotence"), None);
}

#[test]
fn choices_by_name() {
    for acks in ["all", "-1", "ALL"] {
        assert_eq!(set("acks", acks).unwrap().acks, Acks::All);
    }
    assert_eq!(set("acks", "0").unwrap().acks, Acks::None);
    for (name, kind) in [
        ("murmur2", PartitionerKind::Murmur2),
        ("fnv1a", PartitionerKind::Fnv1a),
        ("crc32", PartitionerKind::Crc32),
        ("org.apache.kafka.clients.producer.RoundRobinPartitioner", PartitionerKind::RoundRobin),
    ] {
        assert_eq!(set("partitioner.class", name).unwrap().partitioner, kind);
    }
    assert!(
        set("partitioner.class", "com.example.Mine")
            .unwrap_err()
            .to_string()
            .contains("implement Partitioner")
    );
}

#[test]
fn idp_23_a_property_counts_as_asked_for() {
    let with = |properties: &[(&str, &str)]| {
        let all = [("bootstrap.servers", "a:1")].iter().chain(properties).copied();
        Config::from_properties(all).unwrap().validate()
    };
    assert_eq!(with(&[("acks", "1")]), Ok(()));
    assert!(with(&[("acks", "1"), ("enable.idempotence", "true")]).is_err());
    assert_eq!(
        with(&[("acks", "1"), ("enable.idempotence", "true"), ("enable.idempotence", "false")]),
        Ok(()),
        "the later one counts"
    );
    assert_eq!(with(&[("linger.ms", "100000")]), Ok(()));
    assert!(
        with(&[("linger.ms", "100000"), ("delivery.timeout.ms", "120000")]).is_err(),
        "even if it is the default's value"
    );

    let base = set("reconnect.backoff.ms", "50").unwrap().resolve().unwrap();
    assert_eq!(base.reconnect_backoff_max, ms(50), "also when it is the default's value");
}

#[test]
fn wrong_values_leave_all_as_it_was() {
    for (name, value) in [
        ("acks", "2"),
        ("acks", ""),
        ("enable.idempotence", "yes"),
        ("linger.ms", "-1"),
        ("linger.ms", "5ms"),
        ("linger.ms", "9223372036854775808"),
        ("retries", "-1"),
        ("retries", "4294967296"),
        ("batch.size", "1e3"),
        ("compression.type", "brotli"),
        ("compression.gzip.level", "best"),
        ("connections.max.idle.ms", "-2"),
        ("send.buffer.bytes", "-2"),
        ("metadata.recovery.strategy", "maybe"),
    ] {
        let mut config = valid();
        let error = config.set(name, value).unwrap_err();
        assert!(
            matches!(&error, ConfigError::Invalid { name: n, value: v, .. } if *n == name && v == value),
            "{error}"
        );
        assert_eq!(config, valid());
    }
    let error = set("retries", "many").unwrap_err().to_string();
    assert_eq!(error, "retries: \"many\" is not allowed, it must be a whole number from 0");
}

#[test]
fn settings_of_java_s_that_are_not_here() {
    for (name, value) in [
        ("security.protocol", "plaintext"),
        ("client.dns.lookup", "use_all_dns_ips"),
        ("key.serializer", "org.apache.kafka.common.serialization.StringSerializer"),
        ("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer"),
        ("enable.metrics.push", "false"),
        ("interceptor.classes", ""),
    ] {
        assert_eq!(set(name, value), Ok(valid()), "{name}={value} is what is done anyway");
    }
    for (name, value) in [
        ("security.protocol", "SASL_SSL"),
        ("client.dns.lookup", "resolve_canonical_bootstrap_servers_only"),
        ("key.serializer", "org.apache.kafka.common.serialization.LongSerializer"),
        ("enable.metrics.push", "true"),
        ("transactional.id", "t"),
        ("ssl.keystore.location", "/k"),
        ("config.providers.file.class", "c"),
    ] {
        let error = set(name, value).unwrap_err();
        assert!(matches!(&error, ConfigError::Unsupported { name: n, .. } if n == name), "{error}");
    }
    let error = set("sasl.jaas.config", "password=secret").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn unknown_names_get_a_hint() {
    for (name, suggestion) in [
        ("linger.mss", Some("linger.ms")),
        ("linger", Some("linger.ms")),
        ("LINGER_MS", Some("linger.ms")),
        ("bootstrap.server", Some("bootstrap.servers")),
        ("max.in.flight.request.per.connection", Some("max.in.flight.requests.per.connection")),
        ("message.timeout.ms", Some("delivery.timeout.ms")),
        ("group.id", None),
        ("", None),
        ("ключ", None),
    ] {
        let error = set(name, "1").unwrap_err();
        assert_eq!(error, ConfigError::Unknown { name: name.to_owned(), suggestion });
    }
    let error = set("foo", "1").unwrap_err().to_string();
    assert_eq!(error, "foo: no such setting");
}

#[test]
fn text_in_the_form_of_java() {
    let text = "# comment = 1\r\n\
        ! linger.ms = 1 \\\n\
        \n\
        \t bootstrap.servers = a:1,\\\n   b:2\n\
        linger.ms:20\rclient.id   m\\u00e9\\ \\ud83d\\ude00 x\n\
        acks = all\nacks=1\n\
        batch\\.size\\\n  =  7\n\
        metric.reporters\n\
        retries=3\\";
    let config = Config::parse_properties(text).unwrap();
    let expected = Config {
        bootstrap_servers: vec!["a:1".to_owned(), "b:2".to_owned()],
        linger: ms(20),
        client_id: "mé 😀 x".to_owned(),
        acks: Acks::Leader,
        batch_size: 7,
        retries: 3,
        ..Config::default()
    };
    assert_eq!(config, expected);
    assert_eq!(Config::parse_properties(""), Ok(Config::default()));
}

#[test]
fn broken_escapes_name_their_line() {
    for text in ["\n\nclient.id=\\u12", "\n# x\nclient.id=\\uzzzz", "\r\n\r\nclient.id=\\ud83d!"] {
        let error = Config::parse_properties(text).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { line: 3, .. }), "{error}");
    }
    for text in ["client.id=\\udc00", "client.id=\\ud83d\\u0041", "client.id=\\ud83d\\"] {
        assert!(matches!(Config::parse_properties(text), Err(ConfigError::Syntax { .. })));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "([a-z.=: \\t\\r\\n\\\\#!u0-9]|\\PC){0,200}") {
        if let Ok(config) = Config::parse_properties(&text) {
            let _ = config.validate();
        }
    }

    #[test]
    fn no_property_panics(index in 0..40usize, value in "-?[0-9]{0,21}|[a-z:,\\[\\]]{0,20}|\\PC{0,20}") {
        let mut config = valid();
        let names: Vec<_> = config.properties().map(|(name, _)| name).collect();
        if config.set(names[index % names.len()], &value).is_ok() {
            let _ = config.validate();
            let again = Config::from_properties(config.properties()).unwrap();
            prop_assert_eq!(again.validate(), config.validate());
        }
    }
}
