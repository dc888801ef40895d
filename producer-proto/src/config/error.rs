//! What can be wrong with the settings.

/// A setting that cannot be used. Names are Java's property names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value is not of the setting's type, or out of its range.
    #[error("{name}: {value:?} is not allowed, it must be {allowed}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// The value, as text.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The value contradicts that of another setting.
    #[error("{name} = {value} contradicts {other} = {other_value}: {why}")]
    Conflict {
        /// The setting.
        name: &'static str,
        /// Its value, as text.
        value: String,
        /// The setting that it contradicts.
        other: &'static str,
        /// That setting's value, as text.
        other_value: String,
        /// The rule.
        why: &'static str,
    },
    /// A setting or value of Kafka's that this producer does not have.
    #[error("{name} = {value:?} is not supported: {why}")]
    Unsupported {
        /// The setting.
        name: String,
        /// The value, as text.
        value: String,
        /// Why, and what to do instead.
        why: String,
    },
    /// No such setting.
    #[error("{name}: no such setting{}", .suggestion.map(|s| format!("; did you mean {s}?")).unwrap_or_default())]
    Unknown {
        /// The name as given.
        name: String,
        /// The nearest name that exists, if any is near.
        suggestion: Option<&'static str>,
    },
    /// The text is not in the form of a `.properties` file.
    #[error("line {line}: {problem}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}
