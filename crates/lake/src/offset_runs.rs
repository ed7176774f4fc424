use std::fmt::Write as _;

/// Offsets in ascending order, kept as runs of consecutive ones.
///
/// Its text form in a manifest is relative to the manifest's first offset: `0-4,7` in a
/// manifest that begins at 100 means 100 to 104 and 107.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct OffsetRuns(Vec<(i64, i64)>);

impl OffsetRuns {
    /// Returns one run, both ends included, or none if `first > last`.
    pub fn run(first: i64, last: i64) -> Self {
        Self(if first <= last {
            vec![(first, last)]
        } else {
            Vec::new()
        })
    }

    /// Adds an offset, which must be above all others. Ignores a lower one, which is a
    /// fault of the caller.
    pub fn push(&mut self, offset: i64) {
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            Some((_, last)) if *last >= offset => {}
            _ => self.0.push((offset, offset)),
        }
    }

    /// Returns the runs, first and last offset of each.
    pub fn runs(&self) -> &[(i64, i64)] {
        &self.0
    }

    /// Returns the offsets.
    pub fn offsets(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Returns the number of offsets.
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .map(|(first, last)| (last - first).unsigned_abs() + 1)
            .sum()
    }

    /// Returns true if an offset is among them.
    pub fn contains(&self, offset: i64) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= offset);
        behind > 0 && offset <= self.0[behind - 1].1
    }

    /// Returns the offsets from `offset` on.
    pub fn from(&self, offset: i64) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(_, last)| *last >= offset)
                .map(|(first, last)| ((*first).max(offset), *last))
                .collect(),
        )
    }

    pub(crate) fn to_text(&self, base: i64) -> String {
        let mut text = String::new();
        for (first, last) in &self.0 {
            if !text.is_empty() {
                text.push(',');
            }
            // Writing to a String cannot fail.
            let _ = match first == last {
                true => write!(text, "{}", first - base),
                false => write!(text, "{}-{}", first - base, last - base),
            };
        }
        text
    }

    pub(crate) fn parse(text: &str, base: i64) -> Option<Self> {
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for run in text.split(',').filter(|run| !run.is_empty()) {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let number = |text: &str| {
                base.checked_add(text.parse::<i64>().ok().filter(|number| *number >= 0)?)
            };
            let (first, last) = (number(first)?, number(last)?);
            // Runs must ascend and have a gap between them, so that a set has one
            // spelling.
            if first > last || runs.last().is_some_and(|(_, before)| first <= *before + 1) {
                return None;
            }
            runs.push((first, last));
        }
        Some(Self(runs))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_the_set_that_was_pushed_and_read_back(
            offsets in proptest::collection::btree_set(0i64..60, 0..40),
            base in 0i64..5,
            cut in 0i64..70,
        ) {
            let offsets: BTreeSet<i64> = offsets.into_iter().map(|offset| offset + base).collect();
            let mut runs = OffsetRuns::default();
            offsets.iter().for_each(|offset| runs.push(*offset));
            prop_assert_eq!(runs.offsets().collect::<BTreeSet<_>>(), offsets.clone());
            prop_assert_eq!(runs.count(), offsets.len() as u64);
            prop_assert!((0..70).all(|offset| runs.contains(offset) == offsets.contains(&offset)));
            let rest: BTreeSet<_> = offsets.into_iter().filter(|offset| *offset >= cut).collect();
            prop_assert_eq!(runs.from(cut).offsets().collect::<BTreeSet<_>>(), rest);
            prop_assert_eq!(OffsetRuns::parse(&runs.to_text(base), base), Some(runs));
        }
    }

    #[test]
    fn what_is_not_ascending_is_no_text_form() {
        assert_eq!(OffsetRuns::run(100, 104).to_text(100), "0-4");
        for text in ["4-0", "0-4,5", "0-4,2", "a", "-1", "9223372036854775807"] {
            assert_eq!(OffsetRuns::parse(text, 100), None, "{text}");
        }
    }
}
