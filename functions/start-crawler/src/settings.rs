use anyhow::{Result, bail};
use function::required;

use crate::CrawlOn;

/// The settings that the template gives the function through its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the Glue crawler to start.
    pub crawler: String,
    /// Glue database of the lake's table.
    pub database: String,
    /// The lake's table.
    pub table: String,
    /// The objects for which a crawl is due.
    pub crawl_on: CrawlOn,
}

impl Settings {
    /// Returns the settings in the environment.
    ///
    /// # Errors
    /// A variable is missing, empty or malformed; the error names it.
    pub fn from_env() -> Result<Self> {
        let crawl_on = match required("CRAWL_ON")?.as_str() {
            "new-partition" => CrawlOn::NewPartition,
            "every-file" => CrawlOn::EveryFile,
            other => bail!(
                "environment variable CRAWL_ON is {other:?}; wanted new-partition or every-file"
            ),
        };
        Ok(Self {
            crawler: required("CRAWLER_NAME")?,
            database: required("GLUE_DATABASE")?,
            table: required("GLUE_TABLE")?,
            crawl_on,
        })
    }
}
