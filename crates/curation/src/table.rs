use lake_layout::LakePartition;

/// A curated table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The ticks, sorted.
    Ticks,
    /// One row a symbol and minute.
    Bars,
}

impl Table {
    /// Both tables.
    pub const ALL: [Self; 2] = [Self::Ticks, Self::Bars];

    /// Returns the name in the Glue database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ticks => "curated_ticks",
            Self::Bars => "bars_1m",
        }
    }

    /// Returns the prefix of the keys of its objects, with the slash.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Ticks => "curated/ticks/",
            Self::Bars => "curated/bars_1m/",
        }
    }

    /// Returns the prefix of the outputs of a version, with the slash.
    pub fn version_prefix(self, hour: LakePartition, version: u32) -> String {
        format!("{}{hour}/v={version:06}/", self.prefix())
    }

    /// Returns the location of a version in the catalog: the content of a pointer to it.
    pub fn location(self, bucket: &str, hour: LakePartition, version: u32) -> String {
        format!("s3://{bucket}/{}", self.version_prefix(hour, version))
    }
}
