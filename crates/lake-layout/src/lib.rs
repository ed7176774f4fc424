//! Where objects lie in the lake, and what their names and metadata say: all that a
//! program needs that reads no object.

mod format;
mod lake_partition;
mod object_key;
mod object_metadata;
mod schema;

pub use format::Format;
pub use lake_partition::{Granularity, LakePartition, PartitionBy};
pub use object_key::{Kind, ObjectKey, ObjectKeyError};
pub use object_metadata::ObjectMetadata;
pub use schema::{COLUMNS, Column, ColumnType, fingerprint};
