use serde::Deserialize;

/// The encoding of a lake's data objects. A lake has one format, as a crawler splits a
/// table with several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Parquet, zstd, typed columns.
    #[default]
    Parquet,
    /// One JSON object per line, gzip.
    Json,
    /// Delimited text with a header, gzip. The delimiter is a tab. Athena's only text
    /// SerDe with typed columns (LazySimpleSerDe) does not unquote, and the `extra`
    /// column of nearly every row contains commas.
    Csv,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Parquet, Self::Json, Self::Csv];

    /// Returns the part of an object key after the first dot that follows the offsets.
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
