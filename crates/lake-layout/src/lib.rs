//! The names and metadata of the lake's objects, and the columns of its table. A program
//! that never reads an object needs no more than this.

mod format;
mod lake_partition;
mod object_key;
mod object_metadata;
mod schema;
mod writer;

pub use format::Format;
pub use lake_partition::{Granularity, LakePartition, PartitionBy};
pub use object_key::{Kind, ObjectKey, ObjectKeyError};
pub use object_metadata::ObjectMetadata;
pub use schema::{COLUMNS, Column, ColumnType, fingerprint, parquet_schema};
pub use writer::WRITER;
