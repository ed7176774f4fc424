use std::ops::Range;

use tick::EventTime;

use crate::rows::Rows;

/// The rows, sorted by symbol (bytewise), event time, Kafka partition and offset.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) rows: Vec<u32>,
    /// The rows of each symbol, in the order of the symbols.
    pub(crate) symbols: Vec<SymbolRows>,
}

/// The rows of a symbol.
#[derive(Debug, Clone)]
pub(crate) struct SymbolRows {
    /// The symbol's number.
    pub(crate) symbol: u32,
    /// Places in [`Order::rows`].
    pub(crate) places: Range<usize>,
}

struct Key {
    event_time: EventTime,
    partition: i32,
    row: u32,
    offset: i64,
}

impl Order {
    pub(crate) fn of(rows: &Rows) -> Self {
        let texts = rows.symbols.texts();
        let mut order: Vec<u32> = (0..).take(texts.len()).collect();
        order.sort_unstable_by(|a, b| texts[*a as usize].data().cmp(texts[*b as usize].data()));

        // Count the rows of each symbol, give each symbol its places, fill them.
        let mut counts = vec![0; texts.len()];
        for symbol in rows.symbol.iter() {
            counts[symbol as usize] += 1;
        }
        let mut begin = 0;
        let mut next = vec![0; texts.len()];
        let symbols: Vec<SymbolRows> = order
            .into_iter()
            .map(|symbol| {
                next[symbol as usize] = begin;
                let places = begin..begin + counts[symbol as usize];
                begin = places.end;
                SymbolRows { symbol, places }
            })
            .collect();
        let mut sorted = vec![0; begin];
        for (row, symbol) in (0..).zip(rows.symbol.iter()) {
            let place: &mut usize = &mut next[symbol as usize];
            sorted[*place] = row;
            *place += 1;
        }

        let mut keys: Vec<Key> = Vec::new();
        for symbol in &symbols {
            let sorted = &mut sorted[symbol.places.clone()];
            keys.clear();
            keys.extend(sorted.iter().map(|row| Key {
                event_time: rows.event_time.get(*row),
                partition: rows.partition.get(*row),
                offset: rows.offset.get(*row),
                row: *row,
            }));
            // Stable, as it makes use of the runs that the objects are.
            keys.sort_by(|a, b| {
                (a.event_time, a.partition, a.offset).cmp(&(b.event_time, b.partition, b.offset))
            });
            for (row, key) in sorted.iter_mut().zip(&keys) {
                *row = key.row;
            }
        }
        Self {
            rows: sorted,
            symbols,
        }
    }
}
