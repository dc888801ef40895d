//! Defaults, ranges and rules.

use super::*;

#[test]
fn defaults_resolve_to_the_safe_mode() {
    let settings = Config::new("a:1").resolve().unwrap();
    assert!(settings.idempotence);
}
