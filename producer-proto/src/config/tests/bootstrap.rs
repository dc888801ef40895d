//! Addresses, good and bad.

use super::*;

fn parse(servers: &str) -> Result<Vec<(String, u16)>, ConfigError> {
    let settings = Config::new(servers).resolve()?;
    Ok(settings.bootstrap.iter().map(|(host, port)| (host.to_string(), *port)).collect())
}

#[test]
fn accepted() {
    for (text, host, port) in [
        ("localhost:9092", "localhost", 9092),
        (" a_b-c.example:1 ", "a_b-c.example", 1),
        ("10.0.0.1:65535", "10.0.0.1", 65_535),
        ("[::1]:9092", "::1", 9092),
        ("[fe80::1%eth0]:9092", "fe80::1%eth0", 9092),
        ("PLAINTEXT://h:9092", "h", 9092),
        ("plaintext://[::1]:9092", "::1", 9092),
    ] {
        assert_eq!(parse(text), Ok(vec![(host.to_owned(), port)]), "{text:?}");
    }
    assert_eq!(parse("a:1, b:1,a:2").unwrap().len(), 3);
}

#[test]
fn refused_with_a_reason() {
    for (text, reason) in [
        ("", "the port is missing"),
        ("a:1,,b:2", "the port is missing"),
        ("a:1,", "the port is missing"),
        ("a", "the port is missing"),
        ("[::1]", "[IPv6 address]:port"),
        ("[::1]9092", "[IPv6 address]:port"),
        ("[nonsense]:1", "[IPv6 address]:port"),
        ("[]:1", "[IPv6 address]:port"),
        (":9092", "the host is missing"),
        ("::1:9092", "an IPv6 address is in brackets"),
        ("a:", "the port is a number"),
        ("a:+1", "the port is a number"),
        ("a:9092x", "the port is a number"),
        ("a:0", "ports are 1 to 65535"),
        ("a:70000", "ports are 1 to 65535"),
        ("a:99999999999999999999", "ports are 1 to 65535"),
        ("a b:1", "the host of ASCII letters"),
        ("münchen:1", "the host of ASCII letters"),
        ("a/b:1", "the host of ASCII letters"),
        ("a:1,a:1", "not there already"),
        ("a:1,PLAINTEXT://A:1", "not there already"),
        ("SSL://a:1", "only PLAINTEXT:// (or no scheme) is, not SSL://"),
        ("http://a:1", "not http://"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.starts_with("bootstrap.servers"), "{error}");
        assert!(error.contains(reason), "{text:?}: {error}");
    }
    let error = Config::default().validate().unwrap_err().to_string();
    assert_eq!(error, "bootstrap.servers: \"\" is not allowed, it must be at least one host:port");
}
