use anyhow::Result;
use function::required;

/// The template's settings for the function, from its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// ARN of the SNS topic that subscribers hear.
    pub topic_arn: String,
    /// URL of the queue that the function's messages come from.
    pub queue_url: String,
    /// The Glue database.
    pub database: String,
    /// The lake's table in it.
    pub table: String,
    /// The Athena workgroup with the saved queries.
    pub workgroup: String,
}

impl Settings {
    /// Returns the settings in the environment.
    ///
    /// # Errors
    /// Names the variable that is missing or empty.
    pub fn from_env() -> Result<Self> {
        Ok(Self {
            topic_arn: required("TOPIC_ARN")?,
            queue_url: required("QUEUE_URL")?,
            database: required("GLUE_DATABASE")?,
            table: required("GLUE_TABLE")?,
            workgroup: required("ATHENA_WORKGROUP")?,
        })
    }
}
