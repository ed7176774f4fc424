use lake_layout::LakePartition;

use crate::Table;

/// The entry of one hour of one table in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pointer {
    /// The table has no such partition.
    Absent,
    /// The partition's location is that of a version.
    Version(u32),
    /// The partition's location is none of a version; somebody else set it.
    Elsewhere,
}

impl Pointer {
    /// Returns the pointer that a partition's location is.
    pub fn of_location(table: Table, bucket: &str, hour: LakePartition, location: &str) -> Self {
        location
            .trim_end_matches('/')
            .rsplit_once("/v=")
            .and_then(|(_, version)| version.parse().ok())
            .filter(|version| {
                let wanted = table.location(bucket, hour, *version);
                location.trim_end_matches('/') == wanted.trim_end_matches('/')
            })
            .map_or(Self::Elsewhere, Self::Version)
    }
}

/// The pointers of an hour, one a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pointers {
    /// That of `curated_ticks`.
    pub ticks: Pointer,
    /// That of `bars_1m`.
    pub bars: Pointer,
}

/// A change of the catalog: one table's partition gets the location of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Move {
    /// The table.
    pub table: Table,
    /// The version.
    pub version: u32,
    /// Whether the partition exists and is updated; otherwise it is created.
    pub exists: bool,
}

impl Pointers {
    /// The pointers of an hour that the catalog does not have.
    pub const ABSENT: Self = Self {
        ticks: Pointer::Absent,
        bars: Pointer::Absent,
    };

    /// Returns the changes after which both tables name a version.
    pub(crate) fn moves_to(&self, version: u32) -> Vec<Move> {
        [(Table::Ticks, self.ticks), (Table::Bars, self.bars)]
            .into_iter()
            .filter(|(_, pointer)| *pointer != Pointer::Version(version))
            .map(|(table, pointer)| Move {
                table,
                version,
                exists: pointer != Pointer::Absent,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_version_or_somebody_elses() {
        let hour = LakePartition::parse("2026-11-24", "05").expect("an hour");
        let pointer = |location: &str| Pointer::of_location(Table::Ticks, "lake", hour, location);
        let location = Table::Ticks.location("lake", hour, 7);
        assert_eq!(
            location,
            "s3://lake/curated/ticks/dt=2026-11-24/hr=05/v=000007/"
        );
        assert_eq!(pointer(&location), Pointer::Version(7));
        assert_eq!(pointer(location.trim_end_matches('/')), Pointer::Version(7));
        for location in [
            "s3://other/curated/ticks/dt=2026-11-24/hr=05/v=000007/",
            "s3://lake/curated/bars_1m/dt=2026-11-24/hr=05/v=000007/",
            "s3://lake/curated/ticks/dt=2026-11-24/hr=05/v=7/",
            "s3://lake/ticks/dt=2026-11-24/hr=05/",
        ] {
            assert_eq!(pointer(location), Pointer::Elsewhere, "{location}");
        }
    }
}
