use bytes::Bytes;
use tick::{EventTime, Tick};

use crate::OffsetRuns;

/// No Kafka timestamp.
const NO_TIMESTAMP: i64 = i64::MIN;

/// Most rows of a block.
const BLOCK_ROWS: usize = 4_096;
/// A block with so many bytes of text takes no further row.
const BLOCK_TEXT_BYTES: usize = 256 << 10;

/// Ticks as they wait for their object: by column, which takes half the memory and suits
/// the encodings; and in blocks, which do not have to move when more ticks come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    blocks: Vec<Block>,
    len: usize,
    memory: u64,
}

/// Some thousand ticks by column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) symbol: Texts,
    pub(crate) event_time: Vec<EventTime>,
    pub(crate) price: Vec<f64>,
    /// Volume, open, high, low, close. NaN if a tick has none: no number of a tick is
    /// NaN.
    optional: [Vec<f64>; Self::OPTIONAL],
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
        // A block is full long before 4 GiB.
        self.ends
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let begin = row
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        begin..self.ends[row] as usize
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + 4 * self.ends.capacity()
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
    /// Adds a tick; returns true if its offset does not follow the one before.
    pub(crate) fn push(
        &mut self,
        tick: &Tick,
        offset: i64,
        kafka_timestamp: Option<EventTime>,
    ) -> bool {
        let opens_run = self.last_offset().is_none_or(|last| last + 1 != offset);
        if self.blocks.last().is_none_or(Block::is_full) {
            // If one block was filled, the next one will be, too.
            self.blocks.push(if self.blocks.is_empty() {
                Block::default()
            } else {
                Block::full_size(self.len / self.blocks.len())
            });
        }
        if let Some(block) = self.blocks.last_mut() {
            let before = block.memory();
            block.push(tick, offset, kafka_timestamp);
            // A block that is new counts from nothing.
            self.memory += block.memory() - if block.offset.len() == 1 { 0 } else { before };
            self.len += 1;
        }
        opens_run
    }

    /// Returns the bytes of memory that the columns take, their reserve included.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn event_times(&self) -> impl Iterator<Item = EventTime> + Clone + '_ {
        self.blocks
            .iter()
            .flat_map(|block| block.event_time.iter().copied())
    }

    pub(crate) fn offsets(&self) -> OffsetRuns {
        let mut runs = OffsetRuns::default();
        self.blocks
            .iter()
            .flat_map(|block| &block.offset)
            .for_each(|offset| runs.push(*offset));
        runs
    }

    fn last_offset(&self) -> Option<i64> {
        self.blocks.last()?.offset.last().copied()
    }
}

impl Block {
    fn full_size(rows: usize) -> Self {
        let column = || Vec::with_capacity(rows);
        let mut block = Self {
            event_time: Vec::with_capacity(rows),
            price: column(),
            optional: std::array::from_fn(|_| column()),
            offset: Vec::with_capacity(rows),
            kafka_timestamp: Vec::with_capacity(rows),
            ..Self::default()
        };
        block.symbol.ends.reserve(rows);
        block.extra.ends.reserve(rows);
        block
    }

    fn push(&mut self, tick: &Tick, offset: i64, kafka_timestamp: Option<EventTime>) {
        self.symbol.push(tick.symbol.as_str());
        self.event_time.push(tick.event_time);
        self.price.push(tick.price);
        for (column, value) in
            self.optional
                .iter_mut()
                .zip([tick.volume, tick.open, tick.high, tick.low, tick.close])
        {
            column.push(value.unwrap_or(f64::NAN));
        }
        self.extra.push(tick.extra.as_deref().unwrap_or_default());
        self.offset.push(offset);
        self.kafka_timestamp
            .push(kafka_timestamp.map_or(NO_TIMESTAMP, EventTime::micros));
    }

    fn is_full(&self) -> bool {
        self.len() >= BLOCK_ROWS
            || self.symbol.bytes.len() + self.extra.bytes.len() >= BLOCK_TEXT_BYTES
    }

    fn memory(&self) -> u64 {
        let Self {
            symbol,
            event_time,
            price,
            optional,
            extra,
            offset,
            kafka_timestamp,
        } = self;
        let optional: usize = optional.iter().map(Vec::capacity).sum();
        let eights = event_time.capacity()
            + price.capacity()
            + optional
            + offset.capacity()
            + kafka_timestamp.capacity();
        (size_of::<Self>() + 8 * eights + symbol.memory() + extra.memory()) as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.offset.len()
    }

    /// How many columns have numbers that a tick may be without: volume, open, high, low,
    /// close.
    pub(crate) const OPTIONAL: usize = 5;

    /// Returns one of them.
    pub(crate) fn optional(&self, place: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        self.optional[place]
            .iter()
            .map(|value| Some(*value).filter(|value| !value.is_nan()))
    }

    /// Returns volume, open, high, low and close of a row.
    pub(crate) fn optional_of(&self, row: usize) -> [Option<f64>; 5] {
        self.optional
            .each_ref()
            .map(|column| Some(column[row]).filter(|value| !value.is_nan()))
    }

    /// Returns the fields that a tick does not define as one JSON object.
    pub(crate) fn extra_of(&self, row: usize) -> Option<&str> {
        Some(self.extra.get(row)).filter(|extra| !extra.is_empty())
    }

    pub(crate) fn extra(&self) -> impl Iterator<Item = Option<Bytes>> + '_ {
        self.extra
            .pieces()
            .map(|extra| Some(extra).filter(|extra| !extra.is_empty()))
    }

    pub(crate) fn kafka_timestamp(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        self.kafka_timestamp
            .iter()
            .map(|micros| Some(*micros).filter(|micros| *micros != NO_TIMESTAMP))
    }

    pub(crate) fn kafka_timestamp_of(&self, row: usize) -> Option<EventTime> {
        EventTime::from_micros(self.kafka_timestamp[row])
    }
}
