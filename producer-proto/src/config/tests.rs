//! Defaults, ranges and the rules between settings.

use std::sync::Arc;

use super::*;

mod bootstrap;
mod properties;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn valid() -> Config {
    Config::new("kafka:9092")
}

/// The settings after a change of valid ones.
fn resolve(change: impl FnOnce(&mut Config)) -> Result<Settings, ConfigError> {
    let mut config = valid();
    change(&mut config);
    assert_eq!(config.validate(), config.resolve().map(drop));
    config.resolve()
}

/// The setting that the error names.
#[track_caller]
fn refused(change: impl FnOnce(&mut Config)) -> String {
    match resolve(change).expect_err("to be refused") {
        ConfigError::Invalid { name, .. } | ConfigError::Conflict { name, .. } => name.to_owned(),
        ConfigError::Unsupported { name, .. } | ConfigError::Unknown { name, .. } => name,
        ConfigError::Syntax { .. } => unreachable!("no text was read"),
    }
}

#[test]
fn defaults_are_java_s() {
    let s = valid().resolve().unwrap();
    assert_eq!(s.bootstrap, [(Arc::from("kafka"), 9092)]);
    assert_eq!(&*s.client_id, "producer");
    assert_eq!((s.acks, s.acks.to_wire()), (Acks::All, -1));
    assert!(s.idempotence, "no loss, no duplicates, no reordering unless asked for");
    assert_eq!(s.linger, ms(5));
    assert_eq!(
        (s.batch_size, s.max_request_size, s.buffer_memory),
        (16_384, 1_048_576, 33_554_432)
    );
    assert_eq!(s.retries, 2_147_483_647);
    assert_eq!((s.delivery_timeout, s.request_timeout), (ms(120_000), ms(30_000)));
    assert_eq!((s.retry_backoff, s.retry_backoff_max), (ms(100), ms(1_000)));
    assert_eq!(s.max_in_flight_requests_per_connection, 5);
    assert_eq!(s.compression, Compression { codec: Codec::None, level: 0 });
    assert_eq!(s.partitioner, PartitionerKind::Murmur2);
    assert!(s.partitioner_adaptive_partitioning_enable && !s.partitioner_ignore_keys);
    assert_eq!(s.partitioner_availability_timeout, ms(0));
    assert_eq!((s.metadata_max_age, s.metadata_max_idle), (ms(300_000), ms(300_000)));
    assert_eq!(s.metadata_recovery_strategy, MetadataRecoveryStrategy::Rebootstrap);
    assert_eq!(s.metadata_recovery_rebootstrap_trigger, ms(300_000));
    assert_eq!((s.reconnect_backoff, s.reconnect_backoff_max), (ms(50), ms(1_000)));
    assert_eq!(s.socket_connection_setup_timeout, ms(10_000));
    assert_eq!(s.socket_connection_setup_timeout_max, ms(30_000));
    assert_eq!(s.connections_max_idle, ms(540_000));
    assert_eq!(s.receive_message_max_bytes, 104_857_600);
    assert_eq!(
        (&*s.client_software_name, &*s.client_software_version),
        ("producer-proto", env!("CARGO_PKG_VERSION"))
    );
    assert!(!s.allow_reordering_on_retry && s.allow_auto_topic_creation);
    let config = valid();
    assert_eq!(
        (config.send_buffer_bytes, config.receive_buffer_bytes),
        (Some(131_072), Some(32_768))
    );
}

/// For a field: its name in Java, the values at the edges that are allowed, and those beyond.
macro_rules! edges {
    ($($name:literal $field:ident: [$($good:expr),*], not [$($bad:expr),*];)*) => { $(
        $( assert!(resolve(|c| c.$field = $good).is_ok(), "{}: {}", $name, stringify!($good)); )*
        $( assert_eq!(refused(|c| c.$field = $bad), $name, "{}", stringify!($bad)); )*
    )* };
}

#[test]
fn ranges_end_where_they_say() {
    const MAX: usize = i32::MAX as usize;
    edges! {
        "batch.size" batch_size: [0, 1, MAX], not [MAX + 1, usize::MAX];
        "max.request.size" max_request_size: [1, MAX], not [0, MAX + 1];
        "buffer.memory" buffer_memory: [1, usize::MAX], not [0];
        "retries" retries: [0, i32::MAX as u32], not [i32::MAX as u32 + 1];
        "max.in.flight.requests.per.connection" max_in_flight_requests_per_connection: [1, 5], not [0, 6];
        "receive.message.max.bytes" receive_message_max_bytes: [1_000, MAX], not [999, MAX + 1];
        "send.buffer.bytes" send_buffer_bytes: [None, Some(1), Some(MAX)], not [Some(0), Some(MAX + 1)];
        "receive.buffer.bytes" receive_buffer_bytes: [None, Some(1), Some(MAX)], not [Some(0), Some(MAX + 1)];
        "linger.ms" linger: [ms(0), ms(60_000), Duration::MAX], not [];
        "max.block.ms" max_block: [ms(0), Duration::MAX], not [];
        "request.timeout.ms" request_timeout: [ms(1), ms(MAX as u64)], not [ms(0), ms(MAX as u64 + 1), Duration::MAX];
        "delivery.timeout.ms" delivery_timeout: [None, Some(ms(30_005)), Some(ms(MAX as u64))], not [Some(ms(30_004)), Some(ms(MAX as u64 + 1))];
        "metadata.max.age.ms" metadata_max_age: [ms(1), Duration::MAX], not [ms(0)];
        "metadata.max.idle.ms" metadata_max_idle: [ms(5_000), Duration::MAX], not [ms(4_999)];
        "metadata.recovery.rebootstrap.trigger.ms" metadata_recovery_rebootstrap_trigger: [ms(0), Duration::MAX], not [];
        "socket.connection.setup.timeout.ms" socket_connection_setup_timeout: [ms(1), Duration::MAX], not [ms(0)];
        "socket.connection.setup.timeout.max.ms" socket_connection_setup_timeout_max: [ms(1), Duration::MAX], not [ms(0)];
        "connections.max.idle.ms" connections_max_idle: [ms(1), Duration::MAX], not [ms(0)];
        "client.id" client_id: ["é".repeat(16_383)], not ["x".repeat(32_768)];
    }
    assert_eq!(resolve(|c| c.batch_size = 0).unwrap().batch_size, 1, "0 acts as 1");
}

#[test]
fn for_ever_leaves_room_for_arithmetic() {
    let s = resolve(|c| {
        c.linger = Duration::MAX;
        c.max_block = Duration::MAX;
        c.retry_backoff_max = Some(Duration::MAX);
        c.connections_max_idle = Duration::MAX;
    })
    .unwrap();
    for duration in [s.linger, s.retry_backoff_max, s.connections_max_idle] {
        assert!(duration.checked_mul(2).is_some());
    }
    assert_eq!(s.delivery_timeout, ms(i32::MAX as u64), "raised, but within 32 bits");
}

#[test]
fn cmp_08_levels() {
    edges! {
        "compression.gzip.level" compression_gzip_level: [-1, 1, 9], not [-2, 0, 10];
        "compression.lz4.level" compression_lz4_level: [1, 9, 17], not [0, 18];
        "compression.zstd.level" compression_zstd_level: [-131_072, 0, 22], not [-131_073, 23];
    }
    let level = |codec| {
        let config = Config {
            compression_type: codec,
            compression_gzip_level: 6,
            compression_zstd_level: -7,
            ..valid()
        };
        config.resolve().map(|settings| settings.compression.level)
    };
    assert_eq!(level(Codec::None), Ok(0));
    for (codec, feature, expected) in [
        (Codec::Gzip, cfg!(feature = "gzip"), 6),
        (Codec::Snappy, cfg!(feature = "snappy"), 0),
        (Codec::Lz4, cfg!(feature = "lz4"), 9),
        (Codec::Zstd, cfg!(feature = "zstd"), -7),
    ] {
        match level(codec) {
            Ok(level) => assert!(feature && level == expected, "{codec:?}"),
            Err(error) => assert!(!feature && error.to_string().contains("feature"), "{error}"),
        }
    }
    let high = resolve(|c| {
        c.compression_type = Codec::Lz4;
        c.compression_lz4_level = 12;
    });
    assert_eq!(high.is_ok(), cfg!(feature = "lz4-hc"));
}

#[test]
fn cod_15_client_software_name() {
    for bad in ["", "a b", "-x", "x-", ".", "a_b", "é"] {
        assert_eq!(refused(|c| c.client_software_name = bad.to_owned()), "client.software.name");
        assert_eq!(
            refused(|c| c.client_software_version = bad.to_owned()),
            "client.software.version"
        );
    }
    for good in ["ok-1.2", "x", "1"] {
        assert!(resolve(|c| c.client_software_name = good.to_owned()).is_ok());
    }
    assert!(resolve(|c| c.client_software_name = "x".repeat(32_768)).is_err());
}

#[test]
fn idp_23_idempotence_asked_for_tolerates_no_contradiction() {
    let explicit = |change: fn(&mut Config)| {
        refused(|c| {
            c.enable_idempotence = Some(true);
            change(c);
        })
    };
    assert_eq!(explicit(|c| c.acks = Acks::Leader), "acks");
    assert_eq!(explicit(|c| c.acks = Acks::None), "acks");
    assert_eq!(explicit(|c| c.retries = 0), "retries");
    assert_eq!(
        explicit(|c| c.max_in_flight_requests_per_connection = 6),
        "max.in.flight.requests.per.connection"
    );
    assert!(resolve(|c| c.enable_idempotence = Some(true)).unwrap().idempotence);
}

#[test]
fn idp_23_idempotence_by_default_gives_way_but_not_to_requests_in_flight() {
    assert!(!resolve(|c| c.acks = Acks::Leader).unwrap().idempotence);
    assert!(!resolve(|c| c.acks = Acks::None).unwrap().idempotence);
    assert!(!resolve(|c| c.retries = 0).unwrap().idempotence);
    assert!(resolve(|c| c.retries = 1).unwrap().idempotence);

    let six = |c: &mut Config| c.max_in_flight_requests_per_connection = 6;
    let error = resolve(six).unwrap_err().to_string();
    assert_eq!(
        error,
        "max.in.flight.requests.per.connection = 6 contradicts enable.idempotence = true (the \
         default): idempotence allows at most 5 requests in flight"
    );
    for off in [
        |c: &mut Config| c.enable_idempotence = Some(false),
        |c: &mut Config| c.acks = Acks::Leader,
        |c: &mut Config| c.retries = 0,
    ] {
        let settings = resolve(|c| {
            off(c);
            six(c);
        });
        assert!(!settings.unwrap().idempotence);
    }
}

#[test]
fn delivery_timeout_covers_an_attempt() {
    let with = |linger, request, delivery| {
        resolve(|c| {
            c.linger = ms(linger);
            c.request_timeout = ms(request);
            c.delivery_timeout = delivery;
        })
        .map(|settings| settings.delivery_timeout)
    };
    assert_eq!(with(5, 30_000, None), Ok(ms(120_000)));
    assert_eq!(with(100_000, 30_000, None), Ok(ms(130_000)), "the default is raised");
    assert_eq!(with(1_000, 2_000, Some(ms(3_000))), Ok(ms(3_000)));
    let error = with(1_000, 2_000, Some(ms(2_999))).unwrap_err().to_string();
    assert!(error.starts_with("delivery.timeout.ms = 2999 ms contradicts linger.ms + "), "{error}");
}

#[test]
fn backoffs_follow_what_is_set() {
    let with = |base, max| {
        let settings = resolve(|c| {
            c.retry_backoff = base;
            c.retry_backoff_max = max;
            c.reconnect_backoff = base;
            c.reconnect_backoff_max = max;
        })
        .unwrap();
        (
            (settings.retry_backoff, settings.retry_backoff_max),
            (settings.reconnect_backoff, settings.reconnect_backoff_max),
        )
    };
    let both = |base, max| ((ms(base), ms(max)), (ms(base), ms(max)));
    assert_eq!(with(Some(ms(7)), None), both(7, 7), "the longest follows");
    assert_eq!(with(Some(ms(7_000)), None), both(7_000, 7_000));
    assert_eq!(with(Some(ms(7)), Some(ms(9))), both(7, 9));
    assert_eq!(with(Some(ms(9)), Some(ms(7))), both(7, 7), "the base is cut");
    assert_eq!(with(None, Some(ms(7))), both(7, 7));
    assert_eq!(with(None, Some(ms(70))), ((ms(70), ms(70)), (ms(50), ms(70))));

    let setup = resolve(|c| c.socket_connection_setup_timeout_max = ms(20)).unwrap();
    assert_eq!(setup.socket_connection_setup_timeout, ms(20));
}
