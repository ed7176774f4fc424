use bytes::Bytes;
use tick::{EventTime, Tick};

use crate::OffsetRuns;

/// No Kafka timestamp.
const NONE: i64 = i64::MIN;

/// Ticks by column, as they wait for their object: half the memory of a tick each, and what the encodings want.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) symbol: Texts,
    pub(crate) event_time: Vec<EventTime>,
    pub(crate) price: Vec<f64>,
    /// Volume, open, high, low, close. Not a number where a tick has none, which no number of a tick is.
    optional: [Vec<f64>; 5],
    extra: Texts,
    pub(crate) offset: Vec<i64>,
    kafka_timestamp: Vec<i64>,
}

/// Texts end to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        // A batch is sealed long before 4 GiB of one column; see `SealPolicy`.
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        begin..self.ends[row] as usize
    }

    /// Returns the text of a row.
    pub(crate) fn get(&self, row: usize) -> &str {
        // Only texts were pushed, and only whole ones.
        str::from_utf8(&self.bytes[self.range(row)]).unwrap_or_default()
    }

    /// Returns the texts as pieces of one buffer.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Bytes> + '_ {
        let all = Bytes::copy_from_slice(&self.bytes);
        (0..self.ends.len()).map(move |row| all.slice(self.range(row)))
    }
}

impl Rows {
    /// Adds a tick; returns true where its offset does not follow the one before.
    pub(crate) fn push(&mut self, tick: &Tick, offset: i64, kafka_timestamp: Option<EventTime>) -> bool {
        let opens_run = self.offset.last().is_none_or(|last| last + 1 != offset);
        self.symbol.push(tick.symbol.as_str());
        self.event_time.push(tick.event_time);
        self.price.push(tick.price);
        for (column, value) in self.optional.iter_mut().zip([tick.volume, tick.open, tick.high, tick.low, tick.close]) {
            column.push(value.unwrap_or(f64::NAN));
        }
        self.extra.push(tick.extra.as_deref().unwrap_or_default());
        self.offset.push(offset);
        self.kafka_timestamp.push(kafka_timestamp.map_or(NONE, EventTime::micros));
        opens_run
    }

    /// Returns the bytes that a tick takes here.
    pub(crate) fn memory_of(tick: &Tick) -> u64 {
        // 9 numbers, 2 ends, and the half again that a growing vector may have in reserve.
        (80 + tick.symbol.as_str().len() + tick.extra.as_ref().map_or(0, String::len)) as u64 * 3 / 2
    }

    pub(crate) fn len(&self) -> usize {
        self.offset.len()
    }

    pub(crate) fn offsets(&self) -> OffsetRuns {
        let mut runs = OffsetRuns::default();
        self.offset.iter().for_each(|offset| runs.push(*offset));
        runs
    }

    /// Returns the columns volume, open, high, low, close.
    pub(crate) fn optional(&self) -> [impl ExactSizeIterator<Item = Option<f64>> + '_; 5] {
        self.optional.each_ref().map(|column| column.iter().map(|value| Some(*value).filter(|value| !value.is_nan())))
    }

    /// Returns volume, open, high, low and close of a row.
    pub(crate) fn optional_of(&self, row: usize) -> [Option<f64>; 5] {
        self.optional.each_ref().map(|column| Some(column[row]).filter(|value| !value.is_nan()))
    }

    /// Returns the fields that a tick does not define as one JSON object.
    pub(crate) fn extra_of(&self, row: usize) -> Option<&str> {
        Some(self.extra.get(row)).filter(|extra| !extra.is_empty())
    }

    pub(crate) fn extra(&self) -> impl Iterator<Item = Option<Bytes>> + '_ {
        self.extra.pieces().map(|extra| Some(extra).filter(|extra| !extra.is_empty()))
    }

    pub(crate) fn kafka_timestamp(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        self.kafka_timestamp.iter().map(|micros| Some(*micros).filter(|micros| *micros != NONE))
    }

    pub(crate) fn kafka_timestamp_of(&self, row: usize) -> Option<EventTime> {
        EventTime::from_micros(self.kafka_timestamp[row])
    }
}
