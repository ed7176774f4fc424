use std::collections::BTreeMap;

use bytes::Bytes;
use lake_layout::{Format, Kind, ObjectKey};

use crate::digest::digest;
use crate::fault::Faults;
use crate::ranges::OffsetRange;
use crate::read::{self, ReadError};

/// Finds the rows by which the parts of a version differ from the raw objects of one
/// offset range. It takes the range's raw objects and every part once more.
#[derive(Debug)]
pub struct Search<'a> {
    range: &'a OffsetRange,
    objects: Vec<String>,
    rows: Vec<Seen>,
}

/// A row, and the object that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    partition: i32,
    offset: i64,
    digest: u64,
    is_raw: bool,
    /// The place of the object's key.
    object: usize,
}

impl<'a> Search<'a> {
    /// Returns a search in a range.
    pub fn new(range: &'a OffsetRange) -> Self {
        Self {
            range,
            objects: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Takes a raw object of the range.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn raw(&mut self, key: &ObjectKey, body: Bytes) -> Result<(), ReadError> {
        match key.kind() {
            Kind::Data(format) => self.take(&key.to_string(), format, body, true),
            Kind::DeadLetter => Ok(()),
        }
    }

    /// Takes a part of `curated_ticks`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn part(&mut self, key: &str, body: Bytes) -> Result<(), ReadError> {
        self.take(key, Format::Parquet, body, false)
    }

    fn take(
        &mut self,
        key: &str,
        format: Format,
        body: Bytes,
        is_raw: bool,
    ) -> Result<(), ReadError> {
        let object = self.objects.len();
        self.objects.push(key.to_owned());
        read::for_each_row(format, body, &mut |row| {
            if is_raw || self.range.has(row) {
                self.rows.push(Seen {
                    partition: row.partition,
                    offset: row.offset,
                    digest: digest(row),
                    is_raw,
                    object,
                });
            }
        })
    }

    /// Adds the differences to the faults. `folder` is that of the parts.
    pub fn report(mut self, folder: &str, faults: &mut Faults) {
        self.rows.sort_unstable();
        let Self {
            range,
            objects,
            rows,
        } = self;
        let same_place = |a: &Seen, b: &Seen| (a.partition, a.offset) == (b.partition, b.offset);
        for of_offset in rows.chunk_by(same_place) {
            let (raw, curated) = unmatched(of_offset);
            let [seen, ..] = of_offset else { continue };
            let name = format!(
                "the row of partition {}, offset {}",
                seen.partition, seen.offset
            );
            let mut curated = curated.into_iter();
            for raw in raw {
                let raw_key = &objects[raw.object];
                match curated.next() {
                    Some(other) => faults.add(
                        &objects[other.object],
                        format_args!("{name} has other values than in {raw_key}"),
                    ),
                    None => faults.add(folder, format_args!("no part has {name} of {raw_key}")),
                }
            }
            for extra in curated {
                let parts: BTreeMap<usize, &String> = of_offset
                    .iter()
                    .filter(|seen| !seen.is_raw)
                    .map(|seen| (seen.object, &objects[seen.object]))
                    .collect();
                let parts: Vec<&str> = parts.into_values().map(String::as_str).collect();
                let is_known = |seen: &Seen| seen.is_raw && seen.digest == extra.digest;
                let has_raw = of_offset.iter().any(|seen| seen.is_raw);
                if of_offset.iter().any(is_known) || (has_raw && range.gone == 0) {
                    let problem = format!("{name} is there twice, in {}", parts.join(" and "));
                    faults.add(&objects[extra.object], problem);
                } else if range.gone == 0 {
                    let problem = format!("{name} is in no raw object that the version has");
                    faults.add(&objects[extra.object], problem);
                }
            }
        }
    }
}

/// Returns the raw and the curated rows of an offset without those that are equal.
fn unmatched(of_offset: &[Seen]) -> (Vec<Seen>, Vec<Seen>) {
    let (mut raw, mut curated): (Vec<Seen>, Vec<Seen>) =
        of_offset.iter().partition(|seen| seen.is_raw);
    raw.retain(|row| {
        let equal = curated.iter().position(|other| other.digest == row.digest);
        equal.map(|place| curated.swap_remove(place)).is_none()
    });
    (raw, curated)
}
