use tick::{EventTime, Tick};

use crate::object::Draft;
use crate::rows::Rows;
use crate::{DeadLetter, Kind, Object, Record};

/// One object of the manifest on its way.
pub(super) struct Part {
    /// Its place in the manifest.
    pub(super) index: usize,
    /// Its last offset.
    pub(super) last: i64,
    /// How many of its offsets were given up.
    pub(super) skipped: u64,
    pub(super) state: State,
}

pub(super) enum State {
    Open {
        pending: Pending,
        draft: Option<Box<Draft>>,
    },
    Made(Object),
    /// Left for another pass.
    Left,
}

/// Records of an object that are not encoded yet.
pub(super) enum Pending {
    Rows(Rows),
    DeadLetters(Vec<DeadLetter>, u64),
}

impl Part {
    /// Takes a record, or returns why it is not a valid tick.
    pub(super) fn push(&mut self, record: &Record<'_>, writer: &str) -> Result<(), String> {
        let State::Open { pending, .. } = &mut self.state else {
            return Ok(());
        };
        let tick = Tick::from_json(record.value.unwrap_or_default());
        match (pending, tick) {
            (Pending::Rows(rows), tick) => {
                let tick = tick.map_err(|reason| reason.to_string())?;
                rows.push(
                    &tick,
                    record.offset,
                    record.timestamp_ms.and_then(EventTime::from_millis),
                );
            }
            (Pending::DeadLetters(letters, memory), tick) => {
                let reason = tick.err().map_or_else(
                    || format!("no tick for {writer}"),
                    |error| error.to_string(),
                );
                let letter = DeadLetter::new(record, reason);
                *memory += letter.memory();
                letters.push(letter);
            }
        }
        Ok(())
    }

    /// Returns how much memory the records take that are not encoded yet.
    pub(super) fn pending(&self) -> u64 {
        match &self.state {
            State::Open {
                pending: Pending::Rows(rows),
                ..
            } => rows.memory(),
            State::Open {
                pending: Pending::DeadLetters(_, memory),
                ..
            } => *memory,
            State::Made(_) | State::Left => 0,
        }
    }

    pub(super) fn memory(&self) -> u64 {
        match &self.state {
            State::Open { draft, .. } => {
                self.pending() + draft.as_ref().map_or(0, |draft| draft.memory())
            }
            State::Made(object) => object.body.len() as u64,
            State::Left => 0,
        }
    }
}

impl Pending {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Data(_) => Self::Rows(Rows::default()),
            Kind::DeadLetter => Self::DeadLetters(Vec::new(), 0),
        }
    }
}
