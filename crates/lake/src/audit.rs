use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::{Content, GapReason, Kind, Manifest, ManifestObject, ObjectMetadata};

/// Faults that are listed one by one; the others are counted.
const MAX_FAULT_MESSAGES: usize = 50;

/// The offsets that the manifests of one partition account for, and the faults. Takes the
/// manifests from the newest to the oldest.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Audit {
    /// The first offset accounted for; `None` without manifests.
    pub from: Option<i64>,
    /// The last offset accounted for.
    pub to: Option<i64>,
    /// Offsets that are rows.
    pub landed: u64,
    /// Offsets that are dead letters.
    pub dead_letters: u64,
    /// Offsets that are in no object, by reason.
    pub gaps: BTreeMap<&'static str, u64>,
    /// Offsets that the log never had: transaction markers and aborted records.
    pub absent: u64,
    /// Manifests.
    pub batches: u64,
    /// Objects that are there.
    pub objects: u64,
    /// Objects that the bucket's lifecycle has taken; their offsets have landed.
    pub expired: u64,
    /// Numbers of rows that a double does not hold, whose digits are in `extra`; `None`
    /// if no rows were read.
    pub inexact_numbers: Option<u64>,
    /// How many faults were found.
    pub faults: u64,
    /// The first of them, in words.
    pub fault_messages: Vec<String>,
    /// The topic id of the manifest taken before.
    #[serde(skip)]
    topic_id: Option<String>,
}

/// The finding at the key of a manifest's object.
#[derive(Debug, Clone)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Nothing, as its time is over.
    Expired,
    /// An object that another program wrote.
    Foreign,
    /// An object of ours, and its rows if they were read.
    Object {
        /// Its metadata.
        metadata: ObjectMetadata,
        /// Its rows, or why they cannot be read.
        rows: Option<Result<Content, String>>,
    },
}

impl Audit {
    /// Takes the next older manifest.
    pub fn manifest(&mut self, manifest: &Manifest) {
        let Manifest { first, last, .. } = manifest;
        match self.from {
            Some(from) if *last + 1 < from => self.fault(format!(
                "no manifest accounts for offsets {} to {}",
                last + 1,
                from - 1
            )),
            Some(from) if *last + 1 > from => self.fault(format!(
                "two manifests account for offsets {from} to {last}"
            )),
            _ => {}
        }
        if let Some(newer) = self
            .topic_id
            .replace(manifest.topic_id.clone())
            .filter(|newer| *newer != manifest.topic_id)
        {
            self.fault(format!(
                "{} names topic id {}, and the manifest after it names {newer}: the chain mixes \
                 two topics",
                manifest.key(),
                manifest.topic_id
            ));
        }
        self.to = self.to.or(Some(*last));
        self.from = Some(*first);
        self.batches += 1;
        self.absent += manifest.absent();
        let mut gap = |reason, offsets| {
            if offsets > 0 {
                *self.gaps.entry(reason).or_default() += offsets;
            }
        };
        gap("tombstones left out", manifest.tombstones.count());
        if let Some(reason) = manifest.gap {
            gap(reason.words(), (last - first).unsigned_abs() + 1);
        }
        let mut runs: Vec<(i64, i64)> = manifest
            .objects
            .iter()
            .flat_map(|object| object.offsets.runs())
            .copied()
            .collect();
        runs.extend(manifest.tombstones.runs());
        runs.sort_unstable();
        if runs.windows(2).any(|pair| pair[1].0 <= pair[0].1)
            || runs.first().is_some_and(|run| run.0 < *first)
        {
            self.fault(format!(
                "the manifest of offset {first} has an offset in two objects"
            ));
        }
    }

    /// Takes an object of a manifest.
    pub fn object(&mut self, manifest: &Manifest, object: &ManifestObject, found: &Found) {
        let key = &object.key;
        let (metadata, rows) = match found {
            Found::Nothing => {
                return self.fault(format!(
                    "{key} is missing: {} offsets of it",
                    object.offsets.count()
                ));
            }
            Found::Expired => {
                self.expired += 1;
                return self.count(object.key.kind(), object.offsets.count());
            }
            Found::Foreign => return self.fault(format!("{key} was written by another program")),
            Found::Object { metadata, rows } => (metadata, rows),
        };
        if metadata.attempt.as_deref() != Some(manifest.attempt.as_str()) {
            return self.fault(format!(
                "{key} is not of the attempt that its manifest names"
            ));
        }
        self.objects += 1;
        let wanted = object.offsets.from(metadata.lost_below.unwrap_or(0));
        let lost = object.offsets.count() - wanted.count();
        if lost > 0 {
            *self
                .gaps
                .entry(GapReason::LostToRetention.words())
                .or_default() += lost;
        }
        if metadata.skipped > 0 {
            *self.gaps.entry(GapReason::Skipped.words()).or_default() += metadata.skipped;
        }
        let rows_wanted = wanted.count().saturating_sub(metadata.skipped);
        self.count(key.kind(), rows_wanted);
        if metadata.rows != rows_wanted {
            self.fault(format!(
                "{key} has {} rows, and its manifest says {rows_wanted}",
                metadata.rows
            ));
        }
        match rows {
            None => {}
            Some(Err(error)) => self.fault(format!("{key} cannot be read: {error}")),
            Some(Ok(Content {
                coordinates: rows,
                inexact_numbers,
            })) => {
                *self.inexact_numbers.get_or_insert_default() += inexact_numbers;
                let mut seen = HashSet::with_capacity(rows.len());
                let foreign = rows
                    .iter()
                    .filter(|(partition, offset)| {
                        *partition != manifest.partition || !wanted.contains(*offset)
                    })
                    .count();
                let twice = rows.iter().filter(|row| !seen.insert(**row)).count();
                if foreign > 0 || twice > 0 || rows.len() as u64 != rows_wanted {
                    let got = rows.len();
                    self.fault(format!(
                        "{key} holds {got} rows, {rows_wanted} are its own; {foreign} are not in \
                         its manifest, {twice} are there twice"
                    ));
                }
            }
        }
    }

    fn count(&mut self, kind: Kind, offsets: u64) {
        match kind {
            Kind::Data(_) => self.landed += offsets,
            Kind::DeadLetter => self.dead_letters += offsets,
        }
    }

    /// Ends the audit after the oldest manifest.
    pub fn close(&mut self) {
        if let Some(from) = self.from.filter(|from| *from > 0) {
            self.fault(format!(
                "no manifest accounts for offsets 0 to {}",
                from - 1
            ));
        }
    }

    /// Counts a fault.
    pub fn fault(&mut self, text: String) {
        self.faults += 1;
        if self.fault_messages.len() < MAX_FAULT_MESSAGES {
            self.fault_messages.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ObjectKey, OffsetRuns};

    fn manifest(first: i64, last: i64) -> Manifest {
        let mut manifest = Manifest::of_gap(
            "t",
            "id",
            0,
            (first, last),
            GapReason::Skipped,
            format!("a{first}"),
        );
        let key = format!("ticks/dt=1970-01-01/hr=00/t-0-{first:020}-{last:020}.json.gz");
        manifest.gap = None;
        manifest.objects = vec![ManifestObject {
            key: ObjectKey::parse(&key).expect("a key"),
            offsets: OffsetRuns::run(first, last),
        }];
        manifest
    }

    fn audit(manifests: &[Manifest], found: impl Fn(&Manifest) -> Found) -> Audit {
        let mut audit = Audit::default();
        for manifest in manifests {
            audit.manifest(manifest);
            for object in &manifest.objects {
                audit.object(manifest, object, &found(manifest));
            }
        }
        audit.close();
        audit
    }

    fn whole(manifest: &Manifest) -> Found {
        let offsets = &manifest.objects[0].offsets;
        let metadata = ObjectMetadata {
            rows: offsets.count(),
            event_times: None,
            reasons: BTreeMap::new(),
            attempt: Some(manifest.attempt.clone()),
            lost_below: None,
            skipped: 0,
        };
        let coordinates = offsets.offsets().map(|offset| (0, offset)).collect();
        Found::Object {
            metadata,
            rows: Some(Ok(Content {
                coordinates,
                inexact_numbers: 1,
            })),
        }
    }

    #[test]
    fn a_whole_lake_has_no_fault() {
        let audit = audit(
            &[
                manifest(5, 9),
                Manifest::of_gap("t", "id", 0, (2, 4), GapReason::Skipped, String::new()),
                manifest(0, 1),
            ],
            whole,
        );
        assert_eq!(
            (
                audit.from,
                audit.to,
                audit.landed,
                audit.objects,
                audit.faults
            ),
            (Some(0), Some(9), 7, 2, 0)
        );
        assert_eq!(audit.gaps, BTreeMap::from([("skipped by an operator", 3)]));
        assert_eq!(audit.inexact_numbers, Some(2));
    }

    #[test]
    fn what_expired_has_landed() {
        let audit = audit(&[manifest(5, 9), manifest(0, 4)], |manifest| {
            if manifest.first == 0 {
                Found::Expired
            } else {
                whole(manifest)
            }
        });
        assert_eq!(
            (audit.landed, audit.objects, audit.expired, audit.faults),
            (10, 1, 1, 0)
        );
    }

    /// Offsets follow each other, and every object is there: only the ids tell that they
    /// are of two topics.
    #[test]
    fn a_chain_that_mixes_topic_ids_is_a_fault() {
        let of_topic = |id: &str, first, last| Manifest {
            topic_id: id.to_owned(),
            ..manifest(first, last)
        };
        let audit = audit(
            &[
                of_topic("new", 8, 9),
                of_topic("new", 5, 7),
                of_topic("old", 2, 4),
                of_topic("old", 0, 1),
            ],
            whole,
        );
        assert_eq!(
            audit.fault_messages,
            [
                "_manifests/t/0/9999999999999999997-2.json names topic id old, and the manifest \
                 after it names new: the chain mixes two topics"
            ]
        );
        assert_eq!(audit.faults, 1);
    }

    #[test]
    fn offsets_that_an_operator_gave_up_are_a_gap() {
        let given_up = |skipped| {
            audit(&[manifest(0, 9)], |manifest| {
                let Found::Object {
                    mut metadata,
                    rows: Some(Ok(mut rows)),
                } = whole(manifest)
                else {
                    return Found::Nothing;
                };
                rows.coordinates.remove(4);
                metadata.rows -= 1;
                metadata.skipped = skipped;
                Found::Object {
                    metadata,
                    rows: Some(Ok(rows)),
                }
            })
        };
        let audit = given_up(1);
        assert_eq!(
            (audit.landed, audit.faults, audit.gaps),
            (9, 0, BTreeMap::from([("skipped by an operator", 1)]))
        );
        assert!(given_up(0).faults > 0 && given_up(2).faults > 0);
    }

    #[test]
    fn what_retention_took_of_an_incomplete_batch_is_a_gap() {
        let lost = |rows: u64| {
            audit(&[manifest(0, 9)], |manifest| {
                let Found::Object {
                    metadata,
                    rows: Some(Ok(all)),
                } = whole(manifest)
                else {
                    return Found::Nothing;
                };
                let coordinates = all.coordinates[10 - rows as usize..].to_vec();
                let left = Content { coordinates, ..all };
                Found::Object {
                    metadata: ObjectMetadata {
                        rows,
                        lost_below: Some(3),
                        ..metadata
                    },
                    rows: Some(Ok(left)),
                }
            })
        };
        let audit = lost(7);
        assert_eq!(
            (audit.landed, audit.faults, audit.gaps),
            (7, 0, BTreeMap::from([("lost to retention", 3)]))
        );
        assert!(
            lost(6)
                .fault_messages
                .join("; ")
                .contains("has 6 rows, and its manifest says 7")
        );
        assert!(
            lost(8)
                .fault_messages
                .join("; ")
                .contains("1 are not in its manifest")
        );
    }

    #[test]
    fn each_fault_is_found() {
        let messages = |manifests: &[Manifest], found: &dyn Fn(&Manifest) -> Found| {
            audit(manifests, found).fault_messages.join("; ")
        };
        assert!(
            messages(&[manifest(5, 9), manifest(0, 2)], &whole)
                .contains("no manifest accounts for offsets 3 to 4")
        );
        assert!(
            messages(&[manifest(5, 9), manifest(0, 5)], &whole)
                .contains("two manifests account for offsets 5 to 5")
        );
        assert!(
            messages(&[manifest(5, 9)], &whole).contains("no manifest accounts for offsets 0 to 4")
        );
        let mut twice = manifest(0, 9);
        twice.objects.push(ManifestObject {
            offsets: OffsetRuns::run(9, 9),
            ..twice.objects[0].clone()
        });
        assert!(
            messages(&[twice], &whole)
                .contains("the manifest of offset 0 has an offset in two objects")
        );
        assert!(
            messages(&[manifest(0, 9)], &|_| Found::Nothing).contains("is missing: 10 offsets")
        );
        assert!(
            messages(&[manifest(0, 9)], &|_| Found::Foreign).contains("written by another program")
        );
        let changed = |change: fn(&mut ObjectMetadata, &mut Vec<(i32, i64)>)| {
            move |manifest: &Manifest| {
                let Found::Object {
                    mut metadata,
                    rows: Some(Ok(mut rows)),
                } = whole(manifest)
                else {
                    return Found::Nothing;
                };
                change(&mut metadata, &mut rows.coordinates);
                Found::Object {
                    metadata,
                    rows: Some(Ok(rows)),
                }
            }
        };
        assert!(
            messages(
                &[manifest(0, 9)],
                &changed(|metadata, _| metadata.attempt = None)
            )
            .contains("not of the attempt")
        );
        assert!(
            messages(&[manifest(0, 9)], &changed(|metadata, _| metadata.rows = 9))
                .contains("has 9 rows, and its manifest says 10")
        );
        assert!(
            messages(&[manifest(0, 9)], &changed(|_, rows| rows[3] = (0, 4)))
                .contains("1 are there twice")
        );
        assert!(
            messages(&[manifest(0, 9)], &changed(|_, rows| rows[3] = (0, 10)))
                .contains("1 are not in its manifest")
        );
        assert!(
            messages(&[manifest(0, 9)], &changed(|_, rows| rows[3].0 = 1))
                .contains("1 are not in its manifest")
        );
        assert!(
            messages(&[manifest(0, 9)], &changed(|_, rows| rows.truncate(9)))
                .contains("holds 9 rows")
        );
    }
}
