//! The lake's objects: batches, their manifests and their encodings. Their names and
//! metadata are in [`lake_layout`].
//!
//! Everything here is pure: values and `now` go in, values come out. A [`Batch`] collects
//! a contiguous range of offsets of one Kafka partition and becomes the [`Object`]s that
//! the consumer puts into S3; the same batch gives the same bytes.

mod audit;
mod batch;
mod dead_letter;
mod decode;
mod encode;
mod manifest;
mod object;
mod offset_runs;
mod protocol;
mod record;
mod repair;
mod retention;
mod rows;
mod seal_policy;

pub use audit::{Audit, Found};
pub use batch::{Batch, Routing, Rules};
pub use dead_letter::DeadLetter;
pub use decode::{Content, DecodeError};
pub use encode::EncodeError;
pub use lake_layout::{
    COLUMNS, Column, ColumnType, Format, Granularity, Kind, LakePartition, ObjectKey,
    ObjectKeyError, ObjectMetadata, PartitionBy, fingerprint, parquet_schema,
};
pub use manifest::{GapReason, Manifest, ManifestError, ManifestKey, ManifestObject};
pub use object::Object;
pub use offset_runs::OffsetRuns;
pub use protocol::{Answer, Fault, Log, Protocol, Request, Standing};
pub use record::Record;
pub use repair::{How, Repair, RepairError, Room};
pub use retention::{Retention, Term};
pub use seal_policy::{EncodedRatio, SealCause, SealPolicy};
