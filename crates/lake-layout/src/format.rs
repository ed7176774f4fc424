use serde::Deserialize;

/// How the data objects of a lake are encoded. One lake has one format: a crawler splits
/// tables that mix them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Parquet, zstd, typed columns.
    #[default]
    Parquet,
    /// One JSON object per line, gzip.
    Json,
    /// Delimited text with a header, gzip. The delimiter is a tab: Athena's only text
    /// SerDe that types its columns (LazySimpleSerDe) does not unquote, and commas stand
    /// in the `extra` column of nearly every row.
    Csv,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Parquet, Self::Json, Self::Csv];

    /// Returns what follows the first dot after the offsets in an object key.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Json => "json.gz",
            Self::Csv => "csv.gz",
        }
    }

    /// Returns the name used in configuration and template parameters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}
