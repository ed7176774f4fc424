use std::fmt;

use lake_layout::LakePartition;

use crate::{Table, hour};

/// A register of a version. Each is created once, with `If-None-Match: *`, and never
/// changed or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Register {
    /// The raw objects that the version reads, and its units.
    Plan,
    /// The tasks of its open units were in the queue: for the first time (0), or again.
    /// Only its presence and age count.
    Sent(u32),
    /// The summary of a unit's files, created before them.
    Unit(u32),
    /// Whether it is committed or abandoned.
    Outcome,
    /// Its outputs carry the tag by which they expire. Only its presence counts.
    Superseded,
}

impl Register {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "plan" => Some(Self::Plan),
            "outcome" => Some(Self::Outcome),
            "superseded" => Some(Self::Superseded),
            name => match name.split_once('-')? {
                ("sent", number) => Some(Self::Sent(number.parse().ok()?)),
                ("unit", number) => Some(Self::Unit(number.parse().ok()?)),
                _ => None,
            },
        }
    }

    /// Returns whether a look needs the body, not only the key.
    pub fn has_content(self) -> bool {
        matches!(self, Self::Plan | Self::Outcome)
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => f.write_str("plan"),
            Self::Sent(number) => write!(f, "sent-{number}"),
            Self::Unit(unit) => write!(f, "unit-{unit:04}"),
            Self::Outcome => f.write_str("outcome"),
            Self::Superseded => f.write_str("superseded"),
        }
    }
}

/// The key of a register: `_curated/dt=…/hr=…/000000.plan.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegisterKey {
    /// The curated hour.
    pub hour: LakePartition,
    /// The version.
    pub version: u32,
    /// Which of its registers.
    pub register: Register,
}

impl RegisterKey {
    /// The prefix of all registers.
    pub const ROOT: &str = "_curated/";

    /// Returns the prefix of an hour's registers, with the slash.
    pub fn prefix(hour: LakePartition) -> String {
        format!("{}{hour}/", Self::ROOT)
    }

    /// Returns the key that this text is.
    pub fn parse(text: &str) -> Option<Self> {
        let (folder, name) = text.strip_prefix(Self::ROOT)?.rsplit_once('/')?;
        let (version, register) = name.strip_suffix(".json")?.split_once('.')?;
        let key = Self {
            hour: hour::parse(folder)?,
            version: version.parse().ok()?,
            register: Register::parse(register)?,
        };
        (key.to_string() == text).then_some(key)
    }
}

impl fmt::Display for RegisterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Self::prefix(self.hour);
        write!(f, "{prefix}{:06}.{}.json", self.version, self.register)
    }
}

/// The key of an output: `curated/ticks/dt=…/hr=…/v=000000/part-0000.parquet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputKey {
    /// The table.
    pub table: Table,
    /// The curated hour.
    pub hour: LakePartition,
    /// The version.
    pub version: u32,
    /// The unit that it comes from.
    pub unit: u32,
}

impl OutputKey {
    /// Returns the key that this text is.
    pub fn parse(text: &str) -> Option<Self> {
        let table = Table::ALL
            .into_iter()
            .find(|table| text.starts_with(table.prefix()))?;
        let (folder, name) = text.strip_prefix(table.prefix())?.rsplit_once('/')?;
        let (folder, version) = folder.rsplit_once("/v=")?;
        let unit = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
        let key = Self {
            table,
            hour: hour::parse(folder)?,
            version: version.parse().ok()?,
            unit: unit.parse().ok()?,
        };
        (key.to_string() == text).then_some(key)
    }
}

impl fmt::Display for OutputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.table.version_prefix(self.hour, self.version);
        write!(f, "{prefix}part-{:04}.parquet", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_parse_back_and_have_one_spelling() {
        for text in [
            "_curated/dt=2026-11-24/hr=05/000000.plan.json",
            "_curated/dt=2026-11-24/hr=all/000012.superseded.json",
            "_curated/dt=2026-11-24/hr=05/000000.sent-1.json",
            "_curated/dt=2026-11-24/hr=05/000000.unit-0255.json",
        ] {
            let key = RegisterKey::parse(text).expect(text);
            assert_eq!(key.to_string(), text);
        }
        for text in [
            "curated/ticks/dt=2026-11-24/hr=05/v=000000/part-0000.parquet",
            "curated/bars_1m/dt=2026-11-24/hr=all/v=000012/part-0255.parquet",
        ] {
            let key = OutputKey::parse(text).expect(text);
            assert_eq!(key.to_string(), text);
        }
        for text in [
            "_curated/dt=2026-11-24/hr=05/0.plan.json",
            "_curated/dt=2026-11-24/hr=05/000000.plans.json",
            "_curated/dt=2026-11-24/hr=05/000000.unit-255.json",
            "_curated/dt=2026-11-24/hr=05/000000.part-0255.json",
            "_curated/dt=unknown/hr=unknown/000000.plan.json",
            "_curated/x/dt=2026-11-24/hr=05/000000.plan.json",
            "_curated/dt=2026-11-24/hr=05/x/000000.plan.json",
        ] {
            assert_eq!(RegisterKey::parse(text), None, "{text}");
        }
        for text in [
            "curated/ticks/dt=2026-11-24/hr=05/v=0/part-0000.parquet",
            "curated/ticks/dt=2026-11-24/hr=05/v=000000/part-0.parquet",
            "curated/ticks/dt=2026-11-24/hr=05/part-0000.parquet",
        ] {
            assert_eq!(OutputKey::parse(text), None, "{text}");
        }
    }
}
