//! Carries out the steps that [`curation`] decides, for the function `curate` and for the
//! commands of `tick-consumer`: [`look`] at S3 and Glue, ask for the next step, take its
//! [`Effects`], look again. Any number of processes may do so at the same time.

mod catalog;
mod effects;
mod lake_bucket;
pub mod look;
mod planner;
mod summary;
mod unit;
mod worker;

use std::time::Duration;

pub use catalog::Catalog;
pub use effects::Effects;
pub use lake_bucket::{LakeBucket, Listed, Put};
pub use planner::{HandOver, Looked, Planner};
pub use summary::Summary;
pub use worker::Worker;

/// How long after the commit of a version the older ones are tagged to expire. A query
/// that has begun with one of them ends sooner.
pub const RETIRE_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Rows that one unit of work holds in memory: they fit into the `MemorySize` of
/// `CurateFunction` in template.yaml.
pub const MAX_ROWS: u64 = 8_000_000;
