//! The columns of the lake's table, in one place. The encodings write them,
//! `template.yaml` declares them, and a test compares.

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// Microseconds in UTC; Athena shows milliseconds.
    Timestamp,
    /// 64-bit floating point.
    Double,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Bigint,
}

impl ColumnType {
    /// Returns Glue's name of the type.
    pub fn glue(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Timestamp => "timestamp",
            Self::Double => "double",
            Self::Int => "int",
            Self::Bigint => "bigint",
        }
    }
}

/// A column: name, type, and whether every row has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: &'static str,
    /// The column's type.
    pub kind: ColumnType,
    /// True if every row has a value.
    pub required: bool,
}

impl Column {
    /// Returns a column.
    pub const fn new(name: &'static str, kind: ColumnType, required: bool) -> Self {
        Self {
            name,
            kind,
            required,
        }
    }
}

/// The columns, in the order in which every format writes them.
pub const COLUMNS: [Column; 12] = [
    Column::new("symbol", ColumnType::String, true),
    Column::new("event_time", ColumnType::Timestamp, true),
    Column::new("price", ColumnType::Double, true),
    Column::new("volume", ColumnType::Double, false),
    Column::new("open", ColumnType::Double, false),
    Column::new("high", ColumnType::Double, false),
    Column::new("low", ColumnType::Double, false),
    Column::new("close", ColumnType::Double, false),
    // One JSON object with the fields that a tick does not define.
    Column::new("extra", ColumnType::String, false),
    Column::new("kafka_partition", ColumnType::Int, true),
    Column::new("kafka_offset", ColumnType::Bigint, true),
    Column::new("kafka_timestamp", ColumnType::Timestamp, false),
];

/// Returns the schema of a Parquet file in Parquet's own words. Timestamps are local-to-UTC
/// (`isAdjustedToUTC` false), which readers without Athena's rules, DuckDB among them,
/// also take for a `timestamp` without a zone.
pub fn parquet_schema(name: &str, columns: &[Column]) -> String {
    let columns: String = columns
        .iter()
        .map(|column| {
            let repetition = if column.required {
                "REQUIRED"
            } else {
                "OPTIONAL"
            };
            let (physical, logical) = match column.kind {
                ColumnType::String => ("BYTE_ARRAY", " (STRING)"),
                ColumnType::Timestamp => ("INT64", " (TIMESTAMP(MICROS,false))"),
                ColumnType::Double => ("DOUBLE", ""),
                ColumnType::Int => ("INT32", ""),
                ColumnType::Bigint => ("INT64", ""),
            };
            format!("{repetition} {physical} {}{logical}; ", column.name)
        })
        .collect();
    format!("message {name} {{ {columns}}}")
}

/// Returns 16 hexadecimal digits that change if a column changes (64-bit FNV-1a of names
/// and types).
pub fn fingerprint() -> String {
    let text: String = COLUMNS
        .iter()
        .map(|column| format!("{}:{};", column.name, column.kind.glue()))
        .collect();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
