mod part;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use part::{Part, Pending, State};

use crate::encode::EncodeError;
use crate::object::{Draft, Source};
use crate::{Manifest, Object, Record};

/// Rows of one object that take so much memory are worth a row group of their own.
const ROW_GROUP_BYTES: u64 = 4 << 20;

/// Makes objects of a manifest again from its records, as *it* says: its map decides
/// which record goes into which object, its keys decide on the encodings. The
/// configuration and the rules of the repairing consumer decide nothing.
///
/// - An object is made whole or not at all: each offset that the map gives it was pushed,
///   or was lost to retention, or was given up by an operator, which its metadata says.
///   An object is written once, so it would lack a missing record for good.
/// - Memory stays within [`Room`], however large the batch was: an object is encoded as
///   soon as its last record has come, large ones piece by piece, and objects for which
///   there is no room are left for another pass over the log. Each pass makes one object
///   at least.
pub struct Repair {
    manifest: Arc<Manifest>,
    how: How,
    /// Runs of offsets and the part that each goes to, ascending, from the first offset
    /// on that has not come.
    map: VecDeque<(i64, i64, usize)>,
    parts: Vec<Part>,
    /// The parts that take records.
    open: Vec<usize>,
    made: usize,
    held: u64,
}

/// How a repair goes about it.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// The log's start: records below it were lost to retention.
    pub log_start: i64,
    /// Gives up records that do not come or cannot be used, on behalf of an operator;
    /// otherwise they are errors.
    pub gives_up: bool,
    /// How much memory may be held.
    pub room: Room,
}

/// How much memory a repair may hold, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Beyond that, objects are left for another pass.
    pub for_all: u64,
    /// A single object that is larger, encoded, cannot be made.
    pub for_one: u64,
}

/// Why a manifest's objects cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// A record is not a valid tick for this version, and was one for the manifest's.
    #[error(
        "offset {offset} was a tick for {writer} and is none for this version ({reason}); run \
         {writer} until the batch is complete"
    )]
    Record {
        /// Its offset.
        offset: i64,
        /// The reason of this version.
        reason: String,
        /// Who wrote the manifest.
        writer: String,
    },
    /// The log did not give a record that the manifest has. It may the next time.
    #[error(
        "offset {offset} is in the batch from {first} to {last}, and the log did not give it when \
         it was read again"
    )]
    Unread {
        /// Its offset.
        offset: i64,
        /// The batch's first offset.
        first: i64,
        /// The batch's last offset.
        last: i64,
    },
    /// An object is larger than the room for it.
    #[error(
        "{key} takes more than the {most} MiB that memory.limit leaves for it; set the limit of \
         the consumer that registered it until the batch is complete"
    )]
    TooLarge {
        /// Its key.
        key: String,
        /// The room for it, in MiB.
        most: u64,
    },
    /// An encoder refused.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl RepairError {
    /// Returns false if another attempt would end the same way.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unread { .. })
    }
}

impl Repair {
    /// Returns a repair of some of a manifest's objects that has no records yet.
    pub fn new(manifest: Arc<Manifest>, objects: &[usize], how: How) -> Self {
        let mut map = Vec::new();
        let mut parts = Vec::with_capacity(objects.len());
        for index in objects {
            let Some(object) = manifest.objects.get(*index) else {
                continue;
            };
            let due = object.offsets.from(how.log_start);
            map.extend(
                due.runs()
                    .iter()
                    .map(|(first, last)| (*first, *last, parts.len())),
            );
            let last = due.runs().last().map_or(manifest.last, |(_, last)| *last);
            let pending = Pending::new(object.key.kind());
            parts.push(Part {
                index: *index,
                last,
                skipped: 0,
                state: State::Open {
                    pending,
                    draft: None,
                },
            });
        }
        map.sort_unstable();
        let open = (0..parts.len()).collect();
        Self {
            manifest,
            how,
            map: map.into(),
            parts,
            open,
            made: 0,
            held: 0,
        }
    }

    /// Takes the next record of the manifest's range, in ascending order.
    ///
    /// # Errors
    /// This version cannot make the manifest's record of it, or records before it did not
    /// come.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), RepairError> {
        self.pass_over(record.offset)?;
        let Some((first, last, at)) = self.map.front_mut() else {
            return Ok(());
        };
        if *first != record.offset {
            return Ok(());
        }
        let at = *at;
        if first == last {
            self.map.pop_front();
        } else {
            *first += 1;
        }
        let part = &mut self.parts[at];
        let before = part.memory();
        if let Err(reason) = part.push(record, &self.manifest.writer) {
            if !self.how.gives_up {
                return Err(RepairError::Record {
                    offset: record.offset,
                    reason,
                    writer: self.manifest.writer.clone(),
                });
            }
            part.skipped += 1;
        }
        self.held = self.held + part.memory() - before;
        if record.offset == self.parts[at].last {
            self.finish(at)?;
        }
        self.make_room()
    }

    /// Returns true if no further record changes anything.
    pub fn is_over(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns about how many bytes of memory it holds.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Returns the objects that were made, each with its place in the manifest.
    ///
    /// # Errors
    /// Records did not come that the objects need, or an encoder refused.
    pub fn objects(mut self) -> Result<Vec<(usize, Object)>, RepairError> {
        self.pass_over(i64::MAX)?;
        while let Some(at) = self.open.last() {
            self.finish(*at)?;
        }
        let made = |part: Part| match part.state {
            State::Made(object) => Some((part.index, object)),
            State::Open { .. } | State::Left => None,
        };
        Ok(self.parts.into_iter().filter_map(made).collect())
    }

    /// Everything below an offset that is to come and has not come by now will not come.
    fn pass_over(&mut self, offset: i64) -> Result<(), RepairError> {
        while let Some((first, last, at)) =
            self.map.front_mut().filter(|(first, ..)| *first < offset)
        {
            if !self.how.gives_up {
                return Err(RepairError::Unread {
                    offset: *first,
                    first: self.manifest.first,
                    last: self.manifest.last,
                });
            }
            let passed = (offset - 1).min(*last);
            self.parts[*at].skipped += (passed - *first).unsigned_abs() + 1;
            *first = passed + 1;
            if first > last {
                self.map.pop_front();
            }
        }
        Ok(())
    }

    /// Makes an object whose records have all come.
    fn finish(&mut self, at: usize) -> Result<(), RepairError> {
        self.encode(at)?;
        let source = source(&self.manifest, &self.how);
        let part = &mut self.parts[at];
        let before = part.memory();
        if let State::Open {
            draft: Some(draft), ..
        } = std::mem::replace(&mut part.state, State::Left)
        {
            part.state = State::Made(draft.finish(&source, part.skipped)?);
        }
        self.open.retain(|open| *open != at);
        self.made += 1;
        self.held = self.held + part.memory() - before;
        Ok(())
    }

    /// Encodes the records of an object that have come.
    fn encode(&mut self, at: usize) -> Result<(), RepairError> {
        let source = source(&self.manifest, &self.how);
        let part = &mut self.parts[at];
        let before = part.memory();
        if let State::Open { pending, draft } = &mut part.state {
            let key = &self.manifest.objects[part.index].key;
            let draft = match draft {
                Some(draft) => draft,
                None => draft.insert(Box::new(Draft::new(key.clone())?)),
            };
            match std::mem::replace(pending, Pending::new(key.kind())) {
                Pending::Rows(rows) => draft.rows(&source, &rows)?,
                Pending::DeadLetters(letters, _) => draft.dead_letters(&source, &letters)?,
            }
        }
        self.held = self.held + part.memory() - before;
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), RepairError> {
        while self.held > self.how.room.for_all {
            let most = |of: fn(&Part) -> u64| {
                self.open
                    .iter()
                    .copied()
                    .max_by_key(|at| of(&self.parts[*at]))
            };
            let (Some(fullest), Some(largest)) = (most(Part::pending), most(Part::memory)) else {
                break;
            };
            if self.parts[fullest].pending() >= ROW_GROUP_BYTES {
                self.encode(fullest)?;
            } else if self.open.len() + self.made > 1 {
                self.leave(largest);
            } else if self.parts[largest].memory() > self.how.room.for_one {
                let key = self.manifest.objects[self.parts[largest].index]
                    .key
                    .to_string();
                return Err(RepairError::TooLarge {
                    key,
                    most: self.how.room.for_one >> 20,
                });
            } else {
                break;
            }
        }
        Ok(())
    }

    fn leave(&mut self, at: usize) {
        self.held -= self.parts[at].memory();
        self.parts[at].state = State::Left;
        self.open.retain(|open| *open != at);
        self.map.retain(|(.., of)| *of != at);
    }
}

fn source<'a>(manifest: &'a Manifest, how: &How) -> Source<'a> {
    let Manifest {
        topic,
        partition,
        first,
        last,
        attempt,
        ..
    } = manifest;
    let lost_below = Some(how.log_start)
        .filter(|start| start > first)
        .map(|start| start.min(last + 1));
    Source {
        topic,
        partition: *partition,
        range: (*first, *last),
        attempt,
        lost_below,
    }
}
