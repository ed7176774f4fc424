use anyhow::{Context as _, Result};

/// What the template tells the function through its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the Glue crawler to start.
    pub crawler: String,
    /// Glue database of the lake's table.
    pub database: String,
    /// The lake's table.
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
                .with_context(|| format!("environment variable {name} is not set; template.yaml sets it for StartCrawlerFunction"))
        };
        Ok(Self { crawler: required("CRAWLER_NAME")?, database: required("GLUE_DATABASE")?, table: required("GLUE_TABLE")? })
    }
}
