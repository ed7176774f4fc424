use std::time::Duration;

use agent::{HumanDuration, HumanSize, Kafka};
use lake::{Format, Granularity, PartitionBy, Routing, SealPolicy};
use serde::Deserialize;

/// The consumer's configuration: what `consumer.yaml`, the environment and the flags add up to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the ticks come from.
    pub kafka: Kafka,
    /// The consumer's place in its group.
    #[serde(default)]
    pub group: Group,
    /// Where the ticks go.
    pub lake: Lake,
    /// When a batch is sealed.
    #[serde(default)]
    pub batch: Batch,
}

/// The `group` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    /// Kafka consumer group; consumers with the same one share the partitions.
    pub id: String,
}

/// The `lake` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lake {
    /// Bucket of the lake.
    pub bucket: String,
    /// Format of the data objects; must be the template's `LakeFormat`.
    #[serde(default, deserialize_with = "agent::word")]
    pub format: Format,
    /// Which time decides a row's lake partition.
    #[serde(default, deserialize_with = "agent::word")]
    pub partition_by: PartitionBy,
    /// How long a lake partition is.
    #[serde(default, deserialize_with = "agent::word")]
    pub granularity: Granularity,
}

/// The `batch` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// Longest wait of a record before its batch is sealed.
    pub max_age: HumanDuration,
    /// Most bytes of record values in a batch.
    pub max_bytes: HumanSize,
    /// Most rows in a batch.
    pub max_rows: u64,
}

impl Default for Group {
    fn default() -> Self {
        Self { id: "tick-consumer".to_owned() }
    }
}

impl Default for Batch {
    /// A minute: one PUT per partition and minute costs cents a day. 64 MiB and a million rows: about 10 MB of Parquet, a size that Athena
    /// reads well.
    fn default() -> Self {
        Self { max_age: HumanDuration(Duration::from_secs(60)), max_bytes: HumanSize(64 << 20), max_rows: 1_000_000 }
    }
}

impl Config {
    /// Returns when batches are sealed.
    pub fn seal_policy(&self) -> SealPolicy {
        SealPolicy { max_age: self.batch.max_age.0, max_bytes: self.batch.max_bytes.0, max_rows: self.batch.max_rows }
    }

    /// Returns how rows find their lake partition.
    pub fn routing(&self) -> Routing {
        Routing { by: self.lake.partition_by, granularity: self.lake.granularity }
    }
}
