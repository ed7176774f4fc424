use std::collections::BTreeMap;

use lake_layout::{Format, Kind, LakePartition, ObjectKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::form::{self, RegisterError};
use crate::units::MAX_UNITS;
use crate::{OutputKey, Register, RegisterKey, Table, Task};

/// The raw objects that a version adds to its base, and how the work is cut into units. A
/// write-once register decides it for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    hour: LakePartition,
    version: u32,
    base: Option<Base>,
    units: u32,
    inputs: Vec<ObjectKey>,
}

/// The committed version that a plan builds on. Its *outputs* are read, never its raw
/// objects: those may have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The version.
    pub version: u32,
    /// Its number of units.
    pub units: u32,
}

/// The content of the register. Object keys follow from the groups.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    base: Option<Base>,
    units: u32,
    inputs: Vec<Group>,
}

/// The objects of one Kafka partition and format, by the offset ranges of their batches.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    topic: String,
    partition: i32,
    format: String,
    ranges: Vec<[i64; 2]>,
}

impl Plan {
    /// Returns a plan. The caller sees to the conditions that [`Plan::from_json`] checks.
    pub(crate) fn new(
        hour: LakePartition,
        version: u32,
        base: Option<Base>,
        units: u32,
        mut inputs: Vec<ObjectKey>,
    ) -> Self {
        inputs.sort_by_cached_key(ToString::to_string);
        Self {
            hour,
            version,
            base,
            units,
            inputs,
        }
    }

    /// Returns the curated hour.
    pub fn hour(&self) -> LakePartition {
        self.hour
    }

    /// Returns the version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Returns the version that it builds on.
    pub fn base(&self) -> Option<Base> {
        self.base
    }

    /// Returns the number of units, a power of two. Unit k has the symbols whose hash
    /// leaves k.
    pub fn units(&self) -> u32 {
        self.units
    }

    /// Returns the raw objects that the version adds. Every unit reads all of them.
    pub fn inputs(&self) -> &[ObjectKey] {
        &self.inputs
    }

    /// Returns the part of the base that has a unit's symbols, among others if the base
    /// has fewer units.
    pub fn base_part(&self, unit: u32) -> Option<OutputKey> {
        self.base.map(|base| OutputKey {
            table: Table::Ticks,
            hour: self.hour,
            version: base.version,
            unit: unit % base.units,
        })
    }

    /// Returns the outputs of a unit, ticks and bars.
    pub fn outputs_of(&self, unit: u32) -> [OutputKey; 2] {
        Table::ALL.map(|table| OutputKey {
            table,
            hour: self.hour,
            version: self.version,
            unit,
        })
    }

    /// Returns the outputs of all units.
    pub fn outputs(&self) -> impl Iterator<Item = OutputKey> + '_ {
        (0..self.units).flat_map(|unit| self.outputs_of(unit))
    }

    /// Returns the task of a unit.
    pub fn task(&self, unit: u32) -> Task {
        Task {
            hour: self.hour,
            version: self.version,
            unit,
        }
    }

    /// Returns the key of one of the version's registers.
    pub fn register(&self, register: Register) -> RegisterKey {
        RegisterKey {
            hour: self.hour,
            version: self.version,
            register,
        }
    }

    /// Returns a digest of the plan, 32 hexadecimal digits. Its outputs carry it, so that
    /// nobody takes them for those of another plan with the same number.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("{} {} {}", self.hour, self.version, self.units));
        if let Some(base) = self.base {
            digest.update(format!(" on {} {}", base.version, base.units));
        }
        for input in &self.inputs {
            digest.update(format!("\n{input}"));
        }
        let digest = digest.finalize();
        digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Returns the body of the register. The same plan gives the same bytes.
    ///
    /// # Errors
    /// None that a plan can cause; serde's signature has one.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut groups: BTreeMap<_, Vec<[i64; 2]>> = BTreeMap::new();
        for key in &self.inputs {
            if let Kind::Data(format) = key.kind() {
                groups
                    .entry((key.topic(), key.partition(), format.name()))
                    .or_default()
                    .push([key.first(), key.last()]);
            }
        }
        let group = |((topic, partition, format), ranges): ((&str, i32, &str), _)| Group {
            topic: topic.to_owned(),
            partition,
            format: format.to_owned(),
            ranges,
        };
        let content = Content {
            base: self.base,
            units: self.units,
            inputs: groups.into_iter().map(group).collect(),
        };
        form::to_json(&self.register(Register::Plan), content)
    }

    /// Returns the plan that a body holds.
    ///
    /// # Errors
    /// It is of a later version, or not a plan of this key.
    pub fn from_json(key: &RegisterKey, body: &[u8]) -> Result<Self, RegisterError> {
        let wrong = |problem| RegisterError::Content { key: *key, problem };
        let Content {
            base,
            units,
            inputs: groups,
        } = form::from_json(key, body)?;
        if !units.is_power_of_two() || units > MAX_UNITS {
            return Err(wrong(
                "its number of units is not a power of two up to 4,096",
            ));
        }
        if base.is_some_and(|base| base.version >= key.version) {
            return Err(wrong("its base is not an earlier version"));
        }
        if base.is_some_and(|base| !base.units.is_power_of_two() || base.units > units) {
            return Err(wrong("its base has more units, or not a power of two"));
        }
        let mut inputs = Vec::new();
        for group in groups {
            let format = Format::ALL
                .into_iter()
                .find(|format| format.name() == group.format)
                .ok_or_else(|| wrong("an input's format is not one of the lake's"))?;
            for [first, last] in group.ranges {
                let (kind, topic) = (Kind::Data(format), &group.topic);
                let input = ObjectKey::new(kind, key.hour, topic, group.partition, first, last)
                    .ok_or_else(|| wrong("an input is not an object of the lake"))?;
                inputs.push(input);
            }
        }
        let plan = Self::new(key.hour, key.version, base, units, inputs);
        if plan.inputs.is_empty() {
            return Err(wrong("it has no raw objects"));
        }
        if plan.inputs.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(wrong("it has a raw object twice"));
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "_curated/dt=2026-11-24/hr=05/000003.plan.json";

    fn plan() -> Plan {
        let input = |topic: &str, partition, first, format| {
            let hour = LakePartition::parse("2026-11-24", "05").expect("an hour");
            ObjectKey::new(Kind::Data(format), hour, topic, partition, first, first + 9)
                .expect("a key")
        };
        let base = Base {
            version: 1,
            units: 2,
        };
        let inputs = vec![
            input("ticks", 10, 0, Format::Parquet),
            input("ticks", 9, 10, Format::Parquet),
            input("ticks", 9, 0, Format::Parquet),
            input("ticks", 9, 20, Format::Json),
        ];
        let hour = LakePartition::parse("2026-11-24", "05").expect("an hour");
        Plan::new(hour, 3, Some(base), 4, inputs)
    }

    #[test]
    fn a_plan_reads_back() {
        let key = RegisterKey::parse(KEY).expect("a key");
        let plan = plan();
        assert_eq!(plan.register(Register::Plan), key);
        let body = plan.to_json().expect("JSON");
        assert_eq!(
            String::from_utf8_lossy(&body),
            concat!(
                r#"{"form":1,"writer":"ticklake/0.1.0","hour":"dt=2026-11-24/hr=05","version":3,"#,
                r#""content":{"base":{"version":1,"units":2},"units":4,"inputs":["#,
                r#"{"topic":"ticks","partition":9,"format":"json","ranges":[[20,29]]},"#,
                r#"{"topic":"ticks","partition":9,"format":"parquet","ranges":[[0,9],[10,19]]},"#,
                r#"{"topic":"ticks","partition":10,"format":"parquet","ranges":[[0,9]]}]}}"#,
            )
        );
        assert_eq!(Plan::from_json(&key, &body).expect("a plan"), plan);
    }

    #[test]
    fn a_register_that_is_newer_or_wrong_is_refused_with_its_key_and_the_remedy() {
        let key = RegisterKey::parse(KEY).expect("a key");
        let body = String::from_utf8(plan().to_json().expect("JSON")).expect("text");
        let error = |from: &str, to: &str| {
            assert!(body.contains(from), "{from}");
            let error = Plan::from_json(&key, body.replacen(from, to, 1).as_bytes());
            error.expect_err(to).to_string()
        };
        let newer = error(
            r#""form":1,"writer":"ticklake/0.1.0""#,
            r#""form":2,"writer":"x/9""#,
        );
        assert!(
            newer.contains(KEY) && newer.ends_with("run x/9 or later"),
            "{newer}"
        );
        for (from, to, wanted) in [
            ("hr=05", "hr=06", "not that of its key"),
            (r#""version":3"#, r#""version":4"#, "not that of its key"),
            (r#""units":4"#, r#""units":3"#, "power of two"),
            (r#""units":4"#, r#""units":1"#, "base has more units"),
            (r#""version":1,"#, r#""version":3,"#, "earlier version"),
            (r#""units":4"#, r#""unit":4"#, "unknown field"),
            (r#""json""#, r#""xml""#, "format"),
            ("[20,29]", "[29,20]", "not an object"),
            ("[10,19]", "[0,9]", "twice"),
            ("{", "<", "expected"),
        ] {
            let error = error(from, to);
            assert!(
                error.contains(KEY) && error.contains(wanted),
                "{to}: {error}"
            );
        }
    }

    /// Outputs of earlier releases carry it, so it never changes.
    #[test]
    fn a_digest_is_of_everything_that_the_outputs_follow_from() {
        let plan = plan();
        assert_eq!(plan.digest(), "0ccabd1428af9ed2c1356d204bdd26d8");
        let mut others = vec![plan.clone(); 4];
        others[0].version = 4;
        others[1].base = None;
        others[2].units = 8;
        others[3].inputs.pop();
        for other in others {
            assert_ne!(other.digest(), plan.digest(), "{other:?}");
        }
    }

    #[test]
    fn a_unit_reads_the_part_of_the_base_that_has_its_symbols() {
        let parts = (0..4).filter_map(|unit| plan().base_part(unit));
        let parts: Vec<_> = parts.map(|part| (part.version, part.unit)).collect();
        assert_eq!(parts, [(1, 0), (1, 1), (1, 0), (1, 1)]);
    }
}
