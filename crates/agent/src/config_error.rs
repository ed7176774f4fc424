/// Why a configuration is not usable. Names the layer, the setting and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file given cannot be read.
    #[error("{path}: cannot read the configuration file: {problem}")]
    File {
        /// The path given.
        path: String,
        /// The system's error.
        problem: std::io::Error,
    },
    /// The SSM parameter given cannot be read.
    #[error(
        "ssm:{name}: cannot read the parameter: {problem}\n  give --config ssm:<name> a parameter \
         of this account and region that this machine's role may read"
    )]
    Parameter {
        /// Its name.
        name: String,
        /// The error of AWS.
        problem: String,
    },
    /// The document is no YAML, or a layer contradicts itself.
    #[error("{0}")]
    Syntax(String),
    /// A setting has a value it cannot have, is missing, or is unknown.
    #[error("{origin}: {message}")]
    Setting {
        /// The file, variable or flag at fault.
        origin: String,
        /// The setting and its fault.
        message: String,
    },
}
