//! What lies in the lake, and under which name.
//!
//! Everything here is pure: values and `now` go in, values come out. A [`Batch`] collects a contiguous range of offsets of one
//! Kafka partition and becomes the [`Object`]s that the consumer puts into S3; the same batch gives the same bytes.

#[cfg(feature = "encodings")]
mod batch;
#[cfg(feature = "encodings")]
mod dead_letter;
#[cfg(feature = "encodings")]
mod encode;
mod format;
mod lake_partition;
mod object_key;
mod object_metadata;
#[cfg(feature = "encodings")]
mod record;
mod schema;
#[cfg(feature = "encodings")]
mod seal_policy;

#[cfg(feature = "encodings")]
pub use batch::{Batch, Object, Routing};
#[cfg(feature = "encodings")]
pub use dead_letter::DeadLetter;
#[cfg(feature = "encodings")]
pub use encode::EncodeError;
pub use format::Format;
pub use lake_partition::{Granularity, LakePartition, PartitionBy};
pub use object_key::{Kind, ObjectKey, ObjectKeyError};
pub use object_metadata::ObjectMetadata;
#[cfg(feature = "encodings")]
pub use record::{Record, Row};
pub use schema::{COLUMNS, Column, ColumnType, fingerprint};
#[cfg(feature = "encodings")]
pub use seal_policy::{SealCause, SealPolicy};
