use std::time::Duration;

use agent::{HumanDuration, HumanSize, KafkaSettings};
use lake::{Format, Granularity, PartitionBy, Routing, Rules, SealPolicy};
use serde::Deserialize;

use crate::reserved_options::RESERVED_OPTIONS;

/// The consumer's configuration: the sum of `consumer.yaml`, the environment and the
/// flags.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The source of the ticks.
    pub kafka: KafkaSettings,
    /// The consumer's place in its group.
    #[serde(default)]
    pub group: GroupSettings,
    /// The destination of the ticks.
    pub lake: LakeSettings,
    /// When a batch is sealed.
    #[serde(default)]
    pub batch: BatchSettings,
    /// The treatment of records that are not valid ticks.
    #[serde(default)]
    pub records: RecordSettings,
    /// The limits of the process.
    #[serde(default)]
    pub memory: MemorySettings,
    /// How the process shows how it is.
    #[serde(default)]
    pub http: HttpSettings,
    /// The queues of `reconcile`; landing needs none of them.
    #[serde(default)]
    pub events: EventSettings,
}

/// The `group` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSettings {
    /// Kafka consumer group; consumers with the same one share the partitions.
    pub id: String,
    /// How the group shares out partitions.
    #[serde(deserialize_with = "agent::word")]
    pub protocol: GroupProtocol,
    /// Static membership: a name that this consumer alone has in its group. It keeps its
    /// partitions over a restart within the session timeout.
    pub instance_id: Option<String>,
}

/// Kafka's two group protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// The classic one, cooperative-sticky: every broker has it.
    #[default]
    Classic,
    /// KIP-848: brokers from 4.0 on have it, and assign faster.
    Consumer,
}

/// The `lake` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeSettings {
    /// Bucket of the lake.
    pub bucket: String,
    /// Glue database of the curated tables; landing needs none.
    pub database: Option<String>,
    /// Format of the data objects; must be the template's `LakeFormat`.
    #[serde(default, deserialize_with = "agent::word")]
    pub format: Format,
    /// Which time decides a row's lake partition.
    #[serde(default, deserialize_with = "agent::word")]
    pub partition_by: PartitionBy,
    /// How long a lake partition is.
    #[serde(default, deserialize_with = "agent::word")]
    pub granularity: Granularity,
    /// Puts the bucket's name into the path of each request instead of the host name: for
    /// MinIO, Ceph and others behind one host name.
    #[serde(default)]
    pub path_style: bool,
    /// Works with brokers that have no topic ids (before Kafka 2.8): then nobody notices
    /// that a topic was deleted and recreated, and the records of the new one count as
    /// landed up to the old one's end.
    #[serde(default)]
    pub accept_brokers_without_topic_ids: bool,
    /// For how many days the bucket's lifecycle keeps data and dead letters, the
    /// template's `RawDataDays`; without it, for ever.
    pub retention_days: Option<u32>,
}

/// The `events` section.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventSettings {
    /// URL of start-crawler's queue.
    pub crawl_queue: Option<String>,
    /// URL of notify's queue.
    pub notify_queue: Option<String>,
}

/// The `batch` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Longest wait of a record before its batch is sealed.
    pub max_age: HumanDuration,
    /// Most bytes of a batch's objects, estimated from the batch before.
    pub max_bytes: HumanSize,
    /// Most rows in a batch.
    pub max_rows: u64,
}

/// The `records` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSettings {
    /// A record whose value is larger is a dead letter.
    pub max_bytes: HumanSize,
    /// The treatment of records without a value.
    #[serde(deserialize_with = "agent::word")]
    pub tombstones: Tombstones,
}

/// The treatment of records without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tombstones {
    /// They are dead letters.
    #[default]
    Keep,
    /// They are left out, and the manifest says so.
    Skip,
}

/// The `memory` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemorySettings {
    /// Most resident memory of the process.
    pub limit: HumanSize,
}

/// The `http` section.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// The address of `/metrics`, `/health` and `/ready`, `host:port`; without it they
    /// are not served.
    pub listen: Option<String>,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            id: "tick-consumer".to_owned(),
            protocol: GroupProtocol::Classic,
            instance_id: None,
        }
    }
}

impl Default for RecordSettings {
    /// 1 MiB: the default limit of a broker.
    fn default() -> Self {
        Self {
            max_bytes: HumanSize(1 << 20),
            tombstones: Tombstones::Keep,
        }
    }
}

impl Default for MemorySettings {
    /// Half of the smallest instance that is worth its price (t4g.micro, 1 GiB) stays
    /// free.
    fn default() -> Self {
        Self {
            limit: HumanSize(512 << 20),
        }
    }
}

impl Default for BatchSettings {
    /// A minute: two PUTs per partition and minute cost cents a day. A million rows are
    /// about 10 MB of Parquet, a size that Athena reads well; larger ones take memory and
    /// save nothing.
    fn default() -> Self {
        Self {
            max_age: HumanDuration(Duration::from_secs(60)),
            max_bytes: HumanSize(64 << 20),
            max_rows: 1_000_000,
        }
    }
}

impl Config {
    /// Returns when batches are sealed.
    pub fn seal_policy(&self) -> SealPolicy {
        SealPolicy {
            max_age: self.batch.max_age.0,
            max_bytes: self.batch.max_bytes.0,
            max_rows: self.batch.max_rows,
        }
    }

    /// Returns the rules for records.
    pub fn rules(&self) -> Rules {
        Rules {
            routing: Routing {
                by: self.lake.partition_by,
                granularity: self.lake.granularity,
            },
            max_record_bytes: self.records.max_bytes.0,
            skip_tombstones: self.records.tombstones == Tombstones::Skip,
        }
    }

    /// Says which settings contradict each other.
    ///
    /// # Errors
    /// Two settings cannot both hold.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.kafka.refuse_options(&RESERVED_OPTIONS)?;
        let limit = self.memory.limit.0;
        anyhow::ensure!(
            limit >= crate::memory::MIN_LIMIT_BYTES,
            "memory.limit: {} MiB is too little to work with; set 96MiB or more",
            limit >> 20
        );
        Ok(())
    }
}
