use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{ConfigError, aws};

/// The source of an agent's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// A YAML file.
    File(PathBuf),
    /// A YAML document in SSM Parameter Store, by its name.
    Parameter(String),
}

impl FromStr for ConfigSource {
    type Err = Infallible;

    /// Reads `ssm:<name>` as a parameter and anything else as a path.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("ssm:") {
            Some(name) => Self::Parameter(name.to_owned()),
            None => Self::File(PathBuf::from(text)),
        })
    }
}

impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
        }
    }
}

impl ConfigSource {
    /// Returns the YAML text. Blocks, for some seconds if AWS does not answer.
    pub(crate) fn read(&self) -> Result<String, ConfigError> {
        match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|problem| ConfigError::File {
                    path: path.display().to_string(),
                    problem,
                })
            }
            Self::Parameter(name) => {
                aws::parameter(name).map_err(|problem| ConfigError::Parameter {
                    name: name.clone(),
                    problem,
                })
            }
        }
    }
}
