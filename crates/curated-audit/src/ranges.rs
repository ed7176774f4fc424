use std::collections::BTreeMap;

use lake_layout::ObjectKey;

use crate::digest::Tally;
use crate::read::Row;

/// Offsets of a Kafka partition, and the raw objects that have their rows: mostly one.
/// Objects of two topics in the same bucket may overlap, as rows do not name their topic;
/// they share a range.
#[derive(Debug, Clone)]
pub struct OffsetRange {
    partition: i32,
    first: i64,
    last: i64,
    inputs: Vec<ObjectKey>,
    /// Inputs that were not read, as they do not exist any more.
    pub(crate) gone: usize,
    pub(crate) raw: Tally,
    pub(crate) curated: Tally,
}

impl OffsetRange {
    /// Returns the raw objects.
    pub fn inputs(&self) -> &[ObjectKey] {
        &self.inputs
    }

    /// Returns whether the range has a row's coordinate.
    pub(crate) fn has(&self, row: &Row<'_>) -> bool {
        row.partition == self.partition && (self.first..=self.last).contains(&row.offset)
    }

    /// Returns whether none of the raw objects exists.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone == self.inputs.len()
    }

    /// Returns whether the rows have to be compared one by one.
    pub(crate) fn is_suspect(&self) -> bool {
        !self.is_gone() && self.raw != self.curated
    }
}

/// The offset ranges of a version's raw objects. They do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    /// By partition and first offset.
    ranges: BTreeMap<(i32, i64), OffsetRange>,
}

impl Ranges {
    pub(crate) fn of<'a>(inputs: impl IntoIterator<Item = &'a ObjectKey>) -> Self {
        let mut inputs: Vec<&ObjectKey> = inputs.into_iter().collect();
        inputs.sort_by_key(|key| (key.partition(), key.first(), key.last()));
        let mut ranges: Vec<OffsetRange> = Vec::new();
        for key in inputs {
            match ranges.last_mut() {
                Some(range) if range.partition == key.partition() && key.first() <= range.last => {
                    range.last = range.last.max(key.last());
                    range.inputs.push(key.clone());
                }
                _ => ranges.push(OffsetRange {
                    partition: key.partition(),
                    first: key.first(),
                    last: key.last(),
                    inputs: vec![key.clone()],
                    gone: 0,
                    raw: Tally::default(),
                    curated: Tally::default(),
                }),
            }
        }
        let keyed = ranges.into_iter();
        Self {
            ranges: keyed
                .map(|range| ((range.partition, range.first), range))
                .collect(),
        }
    }

    /// Returns the range of a coordinate.
    pub(crate) fn get_mut(&mut self, partition: i32, offset: i64) -> Option<&mut OffsetRange> {
        let before = self.ranges.range_mut(..=(partition, offset));
        let (_, range) = before.into_iter().next_back()?;
        (range.partition == partition && offset <= range.last).then_some(range)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &OffsetRange> {
        self.ranges.values()
    }
}
