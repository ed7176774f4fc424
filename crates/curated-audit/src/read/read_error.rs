/// The reason why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not Parquet, or it is damaged.
    #[error("it cannot be read as Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The Parquet reader panicked, as it does on some damaged files.
    #[error("it cannot be read as Parquet: the reader panicked")]
    Panicked,
    /// It is not gzip, or its lines are not UTF-8.
    #[error("it cannot be read as gzipped text: {0}")]
    Gzip(#[from] std::io::Error),
    /// Its columns are not those of its table.
    #[error("its columns are not those of its table: got {got}, wanted {wanted}")]
    Columns {
        /// The columns or column that it has.
        got: String,
        /// The columns or column that it should have.
        wanted: String,
    },
    /// A column lacks a value that every row has.
    #[error("column {0} lacks a value")]
    Lacking(&'static str),
    /// A line that is not a row.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}
