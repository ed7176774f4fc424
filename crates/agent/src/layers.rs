use config::builder::DefaultState;
use config::{Config, ConfigBuilder, Environment, File, FileFormat, Value, ValueKind};
use serde::de::DeserializeOwned;

use crate::{ConfigError, ConfigSource};

/// Configuration in layers, each overriding the one before it: a YAML document,
/// environment variables, flags.
///
/// The variable for `kafka.topic` is `<PREFIX>_KAFKA__TOPIC`. Keys that the target type
/// does not know are errors.
pub struct Layers {
    builder: ConfigBuilder<DefaultState>,
    /// The place of the document.
    document: String,
    prefix: &'static str,
}

impl Layers {
    /// Begins with a YAML document, if one is given, and the process's environment
    /// variables with this prefix. Blocks.
    ///
    /// # Errors
    /// The document cannot be read.
    pub fn new(source: Option<&ConfigSource>, prefix: &'static str) -> Result<Self, ConfigError> {
        let mut builder = Config::builder();
        if let Some(source) = source {
            builder = builder.add_source(File::from_str(&source.read()?, FileFormat::Yaml));
        }
        let environment = Environment::with_prefix(prefix)
            .prefix_separator("_")
            .separator("__");
        let document = source.map_or_else(|| "configuration".to_owned(), ToString::to_string);
        Ok(Self {
            builder: builder.add_source(environment),
            document,
            prefix,
        })
    }

    /// Begins with a YAML text.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            builder: Config::builder().add_source(File::from_str(text, FileFormat::Yaml)),
            document: "test".to_owned(),
            prefix: "TEST",
        }
    }

    /// Adds a flag's value for a setting such as `kafka.topic`, if the flag was given.
    ///
    /// # Errors
    /// The setting's name is not a path.
    pub fn flag(
        mut self,
        setting: &str,
        value: Option<impl ToString>,
    ) -> Result<Self, ConfigError> {
        if let Some(value) = value {
            let value = Value::new(Some(&format!("flag for {setting}")), value.to_string());
            self.builder = self
                .builder
                .set_override(setting, value)
                .map_err(|error| ConfigError::Syntax(error.to_string()))?;
        }
        Ok(self)
    }

    /// Returns the configuration that the layers add up to.
    ///
    /// # Errors
    /// Names the first setting that is missing, unknown or has a wrong value, and the
    /// layer it came from.
    pub fn load<T: DeserializeOwned>(self) -> Result<T, ConfigError> {
        let document = self.document;
        let built = self
            .builder
            .build()
            .map_err(|error| ConfigError::Syntax(format!("{document}: {error}")))?;
        let values = built.cache.clone();
        serde_path_to_error::deserialize(built).map_err(|error| {
            let path = error.path().to_string();
            let message = plain(error.inner());
            let origin = match origin_of(&values, &path) {
                // Its origin names the setting.
                Some(origin) if origin.starts_with("flag for") => {
                    return ConfigError::Setting { origin, message };
                }
                Some(origin) if origin.contains("environment") => {
                    format!(
                        "environment variable {}_{}",
                        self.prefix,
                        path.replace('.', "__").to_uppercase()
                    )
                }
                _ => document,
            };
            // Of a missing or unknown field the path names the section only, and the
            // message the field.
            ConfigError::Setting {
                origin,
                message: if path == "." {
                    message
                } else {
                    format!("{path}: {message}")
                },
            }
        })
    }
}

/// Returns which layer the value at a path came from.
fn origin_of(values: &Value, path: &str) -> Option<String> {
    path.split('.')
        .try_fold(values, |value, key| match &value.kind {
            ValueKind::Table(table) => table.get(key),
            _ => None,
        })?
        .origin()
        .map(str::to_owned)
}

/// The error without the keys and origins that `config` adds: they are in front of it
/// already.
fn plain(error: &config::ConfigError) -> String {
    match error {
        config::ConfigError::At { error, .. } => plain(error),
        config::ConfigError::Type {
            unexpected,
            expected,
            ..
        } => format!("got {unexpected}, wanted {expected}"),
        error => error
            .to_string()
            .replace("missing configuration field", "missing setting"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{HumanDuration, HumanSize};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        batch: Batch,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        max_age: HumanDuration,
        max_bytes: HumanSize,
        max_rows: u64,
    }

    fn load(yaml: &str, flags: &[(&str, &str)]) -> Result<Sample, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sample.yaml");
        std::fs::write(&path, yaml).expect("a file");
        let mut layers =
            Layers::new(Some(&ConfigSource::File(path)), "NOBODY_SETS_THIS").expect("layers");
        for (setting, value) in flags {
            layers = layers.flag(setting, Some(value)).expect("a flag");
        }
        let folder = format!("{}/", directory.path().display());
        layers
            .load()
            .map_err(|error| error.to_string().replace(&folder, ""))
    }

    const GOOD: &str = "batch: {max_age: 10s, max_bytes: 64MiB, max_rows: 5}";

    #[test]
    fn a_flag_overrides_the_file() {
        let batch = load(GOOD, &[("batch.max_rows", "7"), ("batch.max_age", "2m")])
            .expect("a configuration")
            .batch;
        assert_eq!(
            (batch.max_rows, batch.max_age.0.as_secs(), batch.max_bytes.0),
            (7, 120, 64 << 20)
        );
    }

    #[test]
    fn errors_name_layer_setting_and_remedy() {
        let error = |yaml: &str, flags: &[(&str, &str)]| load(yaml, flags).expect_err(yaml);
        assert_eq!(
            error("batch: {max_age: ten, max_bytes: 1, max_rows: 5}", &[]),
            "sample.yaml: batch.max_age: \"ten\" is not a duration above zero; write 10s, 500ms or \
             2m"
        );
        assert_eq!(
            error(GOOD, &[("batch.max_bytes", "big")]),
            "flag for batch.max_bytes: \"big\" is not a size above zero; write 64MiB, 512KiB or a \
             number of bytes"
        );
        assert!(
            error(GOOD, &[("batch.max_age", "0s")]).contains("\"0s\" is not a duration above zero")
        );
        assert!(
            error(GOOD, &[("batch.max_bytes", "0")]).contains("\"0\" is not a size above zero")
        );
        let unknown = error(
            "batch: {max_age: 10s, max_bytes: 1, max_rows: 5, max_row: 5}",
            &[],
        );
        assert!(
            unknown.starts_with("sample.yaml: ")
                && unknown.contains("unknown field `max_row`, expected one of"),
            "{unknown}"
        );
        let missing = error("batch: {max_age: 10s, max_bytes: 1}", &[]);
        assert!(
            missing.starts_with("sample.yaml: ") && missing.contains("max_rows"),
            "{missing}"
        );
        let syntax = error("batch: {", &[]);
        assert!(syntax.starts_with("sample.yaml: "), "{syntax}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Layers::new(
            Some(&ConfigSource::File("/nowhere/consumer.yaml".into())),
            "X",
        )
        .err()
        .expect("an error")
        .to_string();
        assert!(
            error.starts_with(
                "/nowhere/consumer.yaml: cannot read the configuration file: No such file"
            ),
            "{error}"
        );
    }
}
