use bytes::Bytes;
use lake_layout::COLUMNS;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};

use super::parquet::{EncodeError, File, GROUP_ROWS};
use crate::order::Order;
use crate::rows::Rows;

/// Values that are gathered at once.
const PIECE_ROWS: usize = 16 << 10;

const SORTED_BY: [&str; 4] = ["symbol", "event_time", "kafka_partition", "kafka_offset"];
const DELTAS: [&str; 3] = ["event_time", "kafka_offset", "kafka_timestamp"];

/// Writes the sorted ticks.
pub(crate) fn ticks(rows: &Rows, order: &Order) -> Result<Bytes, EncodeError> {
    let symbols = rows.symbols.texts();
    let mut file = File::begin("tick", &COLUMNS, &SORTED_BY, &DELTAS, symbols.len())?;
    for places in order.rows.chunks(GROUP_ROWS) {
        let pieces = || places.chunks(PIECE_ROWS);
        let mut group = file.group()?;
        // In the order of COLUMNS.
        group.required::<ByteArrayType, _>(pieces().map(|piece| {
            let symbol = |row: &u32| symbols[rows.symbol.get(*row) as usize].clone();
            piece.iter().map(symbol)
        }))?;
        group.required::<Int64Type, _>(
            pieces().map(|piece| piece.iter().map(|row| rows.event_time.get(*row).micros())),
        )?;
        group.required::<DoubleType, _>(
            pieces().map(|piece| piece.iter().map(|row| rows.price.get(*row))),
        )?;
        for column in &rows.optional {
            group.optional::<DoubleType, _>(
                pieces().map(|piece| piece.iter().map(|row| column.get(*row))),
            )?;
        }
        group.optional::<ByteArrayType, _>(pieces().map(|piece| {
            let texts = rows.extra.gather(piece);
            texts.map(|text| text.map(ByteArray::from))
        }))?;
        group.required::<Int32Type, _>(
            pieces().map(|piece| piece.iter().map(|row| rows.partition.get(*row))),
        )?;
        group.required::<Int64Type, _>(
            pieces().map(|piece| piece.iter().map(|row| rows.offset.get(*row))),
        )?;
        group.optional::<Int64Type, _>(
            pieces().map(|piece| piece.iter().map(|row| rows.kafka_timestamp.get(*row))),
        )?;
        group.close()?;
    }
    file.finish()
}
