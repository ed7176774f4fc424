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

const fn column(name: &'static str, kind: ColumnType, required: bool) -> Column {
    Column {
        name,
        kind,
        required,
    }
}

/// The columns, in the order in which every format writes them.
pub const COLUMNS: [Column; 12] = [
    column("symbol", ColumnType::String, true),
    column("event_time", ColumnType::Timestamp, true),
    column("price", ColumnType::Double, true),
    column("volume", ColumnType::Double, false),
    column("open", ColumnType::Double, false),
    column("high", ColumnType::Double, false),
    column("low", ColumnType::Double, false),
    column("close", ColumnType::Double, false),
    // One JSON object with the fields that a tick does not define.
    column("extra", ColumnType::String, false),
    column("kafka_partition", ColumnType::Int, true),
    column("kafka_offset", ColumnType::Bigint, true),
    column("kafka_timestamp", ColumnType::Timestamp, false),
];

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
