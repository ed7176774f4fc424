use anyhow::{Context as _, Result};

/// What the template tells the function through its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// ARN of the SNS topic that subscribers hear.
    pub topic_arn: String,
    /// The lake's table as a query names it, `database.table`.
    pub table: String,
}

impl Settings {
    /// Returns the settings in the environment.
    ///
    /// # Errors
    /// Names the variable that is missing or empty.
    pub fn from_env() -> Result<Self> {
        let required = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .with_context(|| format!("environment variable {name} is not set; template.yaml sets it for NotifyFunction"))
        };
        Ok(Self { topic_arn: required("TOPIC_ARN")?, table: format!("{}.{}", required("GLUE_DATABASE")?, required("GLUE_TABLE")?) })
    }
}
