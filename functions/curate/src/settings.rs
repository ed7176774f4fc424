use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use curator::{MAX_ROWS, RETIRE_AFTER};
use function::required;

/// The settings that the template gives the function through its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The lake's bucket.
    pub bucket: String,
    /// URL of the queue of units of work.
    pub queue_url: String,
    /// Glue database of the curated tables.
    pub database: String,
    /// How long after its end, and after its newest raw object, an hour is closed.
    pub grace: Duration,
    /// How far back a look goes if its event names no range.
    pub look_back: Duration,
    /// Maximum number of rows of a unit: [`MAX_ROWS`], unless `CURATE_MAX_ROWS` says
    /// otherwise.
    pub max_rows: u64,
    /// How long after the commit of a version the older ones are tagged to expire:
    /// [`RETIRE_AFTER`], unless `CURATE_RETIRE_HOURS` says otherwise.
    pub retire_after: Duration,
}

impl Settings {
    /// Returns the settings in the environment.
    ///
    /// # Errors
    /// A variable is missing, empty or malformed; the error names it.
    pub fn from_env() -> Result<Self> {
        let minutes: u32 = number("CURATE_GRACE_MINUTES", &required("CURATE_GRACE_MINUTES")?)?;
        let days: u32 = number("CURATE_LOOK_BACK_DAYS", &required("CURATE_LOOK_BACK_DAYS")?)?;
        let max_rows = optional("CURATE_MAX_ROWS")?.unwrap_or(MAX_ROWS);
        let retire_hours: Option<u32> = optional("CURATE_RETIRE_HOURS")?;
        Ok(Self {
            bucket: required("LAKE_BUCKET")?,
            queue_url: required("WORK_QUEUE_URL")?,
            database: required("GLUE_DATABASE")?,
            grace: Duration::from_secs(60 * u64::from(minutes)),
            look_back: Duration::from_secs(24 * 3_600 * u64::from(days)),
            max_rows,
            retire_after: retire_hours.map_or(RETIRE_AFTER, |hours| {
                Duration::from_secs(3_600 * u64::from(hours))
            }),
        })
    }
}

fn optional<T: FromStr<Err: Display>>(name: &str) -> Result<Option<T>> {
    let text = std::env::var(name).ok();
    text.map(|text| number(name, &text)).transpose()
}

fn number<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T> {
    text.parse()
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("environment variable {name} is {text:?}; wanted a whole number"))
}
