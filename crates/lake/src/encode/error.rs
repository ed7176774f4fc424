/// Why a batch could not be encoded: a fault in ticklake, not in the data.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The Parquet writer refused.
    #[error("cannot write parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The gzip writer refused.
    #[error("cannot write gzip: {0}")]
    Gzip(#[from] std::io::Error),
    /// A value has no JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No object key exists for the batch.
    #[error("no object key for topic {topic:?}, partition {partition}, offsets {first} to {last}")]
    Key {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset.
        first: i64,
        /// The last offset.
        last: i64,
    },
}
