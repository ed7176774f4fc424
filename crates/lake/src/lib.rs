//! The objects of the lake, and their names.
//!
//! Everything here is pure: values and `now` go in, values come out. A [`Batch`] collects
//! a contiguous range of offsets of one Kafka partition and becomes the [`Object`]s that
//! the consumer puts into S3; the same batch gives the same bytes.

#[cfg(feature = "encodings")]
mod audit;
#[cfg(feature = "encodings")]
mod batch;
#[cfg(feature = "encodings")]
mod dead_letter;
#[cfg(feature = "encodings")]
mod decode;
#[cfg(feature = "encodings")]
mod encode;
mod format;
mod lake_partition;
#[cfg(feature = "encodings")]
mod manifest;
#[cfg(feature = "encodings")]
mod object;
mod object_key;
mod object_metadata;
#[cfg(feature = "encodings")]
mod offset_runs;
#[cfg(feature = "encodings")]
mod protocol;
#[cfg(feature = "encodings")]
mod record;
#[cfg(feature = "encodings")]
mod repair;
#[cfg(feature = "encodings")]
mod retention;
#[cfg(feature = "encodings")]
mod rows;
mod schema;
#[cfg(feature = "encodings")]
mod seal_policy;
mod writer;

#[cfg(feature = "encodings")]
pub use audit::{Audit, Found};
#[cfg(feature = "encodings")]
pub use batch::{Batch, Routing, Rules};
#[cfg(feature = "encodings")]
pub use dead_letter::DeadLetter;
#[cfg(feature = "encodings")]
pub use decode::{Content, DecodeError};
#[cfg(feature = "encodings")]
pub use encode::EncodeError;
pub use format::Format;
pub use lake_partition::{Granularity, LakePartition, PartitionBy};
#[cfg(feature = "encodings")]
pub use manifest::{GapReason, Manifest, ManifestError, ManifestKey, ManifestObject};
#[cfg(feature = "encodings")]
pub use object::Object;
pub use object_key::{Kind, ObjectKey, ObjectKeyError};
pub use object_metadata::ObjectMetadata;
#[cfg(feature = "encodings")]
pub use offset_runs::OffsetRuns;
#[cfg(feature = "encodings")]
pub use protocol::{Answer, Fault, Log, Protocol, Request, Standing};
#[cfg(feature = "encodings")]
pub use record::Record;
#[cfg(feature = "encodings")]
pub use repair::{How, Repair, RepairError, Room};
#[cfg(feature = "encodings")]
pub use retention::{Retention, Term};
pub use schema::{COLUMNS, Column, ColumnType, fingerprint};
#[cfg(feature = "encodings")]
pub use seal_policy::{EncodedRatio, SealCause, SealPolicy};
