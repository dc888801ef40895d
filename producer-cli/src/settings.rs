//! The producer's settings, from a file, `--property` and the options that stand for one.

use std::fs;
use std::path::Path;

use producer_tokio::Config;

/// Puts the settings together: the file, then the properties in their order, then the bootstrap
/// servers of `--bootstrap`. Not yet validated.
pub(crate) fn config(
    file: Option<&Path>,
    properties: &[(String, String)],
    bootstrap: Option<&str>,
) -> Result<Config, String> {
    let mut config = match file {
        Some(path) => {
            let name = path.display();
            let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            Config::parse_properties(&text).map_err(|error| format!("{name}: {error}"))?
        }
        None => Config::default(),
    };
    let bootstrap = bootstrap.map(|servers| ("bootstrap.servers", servers));
    let properties = properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in properties.chain(bootstrap) {
        config.set(name, value).map_err(|error| error.to_string())?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_later_and_the_nearer_counts() {
        let folder = std::env::temp_dir().join(format!("producer-settings-{}", std::process::id()));
        fs::write(&folder, "linger.ms=1\nacks = 1\nbootstrap.servers=a:1").unwrap();
        let properties = pairs(&[("linger.ms", "2"), ("linger.ms", "3")]);
        let config = config(Some(&folder), &properties, Some("b:2,c:3"));
        fs::remove_file(&folder).unwrap();
        let config = config.unwrap();
        assert_eq!(config.linger, Duration::from_millis(3));
        assert_eq!(config.acks, producer_tokio::proto::Acks::Leader);
        assert_eq!(config.bootstrap_servers, ["b:2", "c:3"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = config(None, &pairs(&[("linger.mss", "2")]), None).unwrap_err();
        assert!(error.contains("linger.mss"), "{error}");
        let error = config(Some(Path::new("no/such/file")), &[], None).unwrap_err();
        assert!(error.contains("no/such/file"), "{error}");
    }
}
