/// The form of a number, in errors.
pub(crate) const NUMBER: &str = "a finite number";

/// Why an object's ticks cannot be collected.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The unit has too many rows, or too much text in `extra`.
    #[error(
        "the unit has {rows} rows or more, too many to sort at once: cut the partition into smaller units"
    )]
    TooLarge {
        /// Rows that were counted before the collector gave up.
        rows: u64,
    },
    /// The object is not Parquet, or it is damaged.
    #[error("it cannot be read as Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The Parquet reader panicked, as it does on some damaged files.
    #[error("it cannot be read as Parquet, on which the reader panicked: {0}")]
    Panicked(String),
    /// The object is not gzip, or it is damaged.
    #[error("it cannot be read as gzip: {0}")]
    Gzip(#[from] std::io::Error),
    /// The columns are not a tick's.
    #[error("its columns are not those of a tick: got {got}, wanted {wanted}")]
    Columns {
        /// The column that differs.
        got: String,
        /// The column that should be in its place.
        wanted: String,
    },
    /// A column has fewer values than the others.
    #[error("column {column} has fewer values than the others: it is damaged")]
    Short {
        /// The column's name.
        column: &'static str,
    },
    /// A value that a tick cannot have.
    #[error("column {column}: got {got:?}, wanted {wanted}")]
    Value {
        /// The column's name.
        column: &'static str,
        /// The value.
        got: String,
        /// The accepted form.
        wanted: &'static str,
    },
    /// A tick of another Kafka partition or offset than the object's key says.
    #[error(
        "it has the tick of Kafka partition {partition} and offset {offset}, which are not those \
         of its key: somebody has copied or overwritten it"
    )]
    Elsewhere {
        /// The tick's Kafka partition.
        partition: i32,
        /// The tick's offset.
        offset: i64,
    },
    /// The key is that of dead letters.
    #[error("it has dead letters, not ticks")]
    DeadLetters,
    /// A line of text that cannot be read.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// The fault.
        problem: String,
    },
}

impl InputError {
    pub(crate) fn value(column: &'static str, got: &str, wanted: &'static str) -> Self {
        // A value may be a megabyte long.
        Self::Value {
            column,
            got: got.chars().take(100).collect(),
            wanted,
        }
    }
}
