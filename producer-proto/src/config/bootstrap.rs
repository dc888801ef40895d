//! The addresses of the bootstrap servers.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::ConfigError;
use super::settings::invalid;

const NAME: &str = "bootstrap.servers";

/// Host (IPv6 without brackets) and port of each entry.
pub(super) fn parse_bootstrap(servers: &[String]) -> Result<Vec<(Arc<str>, u16)>, ConfigError> {
    if servers.is_empty() {
        return Err(invalid(NAME, "", "at least one host:port"));
    }
    let mut parsed: Vec<(Arc<str>, u16)> = Vec::with_capacity(servers.len());
    for server in servers {
        let (host, port) = parse_server(server)?;
        if parsed.iter().any(|(h, p)| h.eq_ignore_ascii_case(host) && *p == port) {
            return Err(invalid(NAME, server, "a server that is not there already"));
        }
        parsed.push((host.into(), port));
    }
    Ok(parsed)
}

fn parse_server(server: &str) -> Result<(&str, u16), ConfigError> {
    let wrong = |allowed: &str| invalid(NAME, server, allowed);
    let address = match server.trim().split_once("://") {
        None => server.trim(),
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("PLAINTEXT") => address,
        Some((scheme, _)) => {
            return Err(ConfigError::Unsupported {
                name: NAME.to_owned(),
                value: server.to_owned(),
                why: format!("only PLAINTEXT:// (or no scheme) is, not {scheme}://"),
            });
        }
    };
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(wrong("host:port (the port is missing)"));
    };
    let host = if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').ok_or_else(|| wrong("[IPv6 address]:port"))?;
        // A zone ("%eth0") is the resolver's business.
        let bare = address.split_once('%').map_or(address, |(bare, _)| bare);
        if bare.parse::<Ipv6Addr>().is_err() {
            return Err(wrong("[IPv6 address]:port"));
        }
        address
    } else {
        if host.contains(':') {
            return Err(wrong("host:port (an IPv6 address is in brackets)"));
        }
        host
    };
    if host.is_empty() {
        return Err(wrong("host:port (the host is missing)"));
    }
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'%' | b':');
    if !host.bytes().all(allowed) {
        return Err(wrong("host:port (the host of ASCII letters, digits, '-', '.' and '_')"));
    }
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("host:port (the port is a number)"));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok((host, port)),
        _ => Err(wrong("host:port (ports are 1 to 65535)")),
    }
}
