use bytes::Bytes;
use curation::Summary;
use lake_layout::{Format, Kind, ObjectKey};

use crate::order::Order;
use crate::rows::Rows;
use crate::{EncodeError, InputError, Unit, input, moves, output};

/// Collects the ticks of a unit.
#[derive(Debug)]
pub struct Collector {
    rows: Rows,
}

/// The two files of a unit, both Parquet. A unit without a tick has files without a row.
#[derive(Debug, Clone)]
pub struct Files {
    /// The ticks, sorted by symbol (bytewise), event time, Kafka partition and offset, in
    /// the columns of a raw object.
    pub ticks: Bytes,
    /// The bars, sorted by symbol and minute, in the columns [`BAR_COLUMNS`].
    ///
    /// [`BAR_COLUMNS`]: crate::BAR_COLUMNS
    pub bars: Bytes,
    /// The contents of both in figures.
    pub summary: Summary,
}

impl Collector {
    /// Returns a collector without a tick.
    pub fn new(unit: Unit) -> Self {
        Self {
            rows: Rows::new(unit),
        }
    }

    /// Adds the unit's ticks in a raw object, or in a file of an earlier version
    /// ([`Format::Parquet`]). After an error some of the object's ticks may have been
    /// added, so the collector has to be dropped.
    ///
    /// # Errors
    /// [`InputError::TooLarge`] if the unit has more rows than it may have. Any other
    /// error says why the object cannot be read.
    pub fn add(&mut self, format: Format, body: Bytes) -> Result<(), InputError> {
        input::read(format, body, &mut self.rows)
    }

    /// Adds the unit's ticks in a raw object, as [`Collector::add`] does.
    ///
    /// # Errors
    /// Those of [`Collector::add`], and [`InputError::Elsewhere`] if the object has a tick
    /// that does not belong below its key.
    pub fn add_object(&mut self, key: &ObjectKey, body: Bytes) -> Result<(), InputError> {
        let Kind::Data(format) = key.kind() else {
            return Err(InputError::DeadLetters);
        };
        let before = self.rows.len();
        self.add(format, body)?;
        for row in before..self.rows.len() {
            let (partition, offset) = (self.rows.partition.get(row), self.rows.offset.get(row));
            let offsets = key.first()..=key.last();
            if partition != key.partition() || !offsets.contains(&offset) {
                return Err(InputError::Elsewhere { partition, offset });
            }
        }
        Ok(())
    }

    /// Returns the files.
    ///
    /// # Errors
    /// The Parquet writer refused, which would be a fault in ticklake.
    pub fn finish(self) -> Result<Files, EncodeError> {
        let Self { rows } = self;
        let order = Order::of(&rows);
        let (bars, count) = output::bars(&rows, &order)?;
        let times = || rows.event_time.iter();
        Ok(Files {
            ticks: output::ticks(&rows, &order)?,
            bars,
            summary: Summary {
                ticks: rows.len().into(),
                symbols: order.symbols.len() as u64,
                bars: count,
                event_times: times().min().zip(times().max()),
                moves: moves::largest(&rows, &order),
            },
        })
    }
}
