use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::error::EncodeError;
use crate::rows::{Block, Rows};
use crate::{COLUMNS, parquet_schema};

/// A file in the making.
pub(super) type File = SerializedFileWriter<Vec<u8>>;

/// Begins a file.
pub(super) fn begin() -> Result<File, EncodeError> {
    let schema = Arc::new(parse_message_type(&parquet_schema("tick", &COLUMNS))?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        // Offsets never repeat, and follow each other.
        .set_column_dictionary_enabled("kafka_offset".into(), false)
        .set_column_encoding("kafka_offset".into(), Encoding::DELTA_BINARY_PACKED)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("ticklake ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    Ok(SerializedFileWriter::new(
        Vec::new(),
        schema,
        Arc::new(properties),
    )?)
}

/// Writes a row group. A batch is one: the consumer bounds it far below the size at which
/// more would pay.
pub(super) fn encode(partition: i32, rows: &Rows, file: &mut File) -> Result<(), EncodeError> {
    let mut group = file.next_row_group()?;
    // In the order of COLUMNS.
    column::<ByteArrayType>(&mut group, rows, |block, out| {
        out.required(block.symbol.pieces().map(ByteArray::from))
    })?;
    column::<Int64Type>(&mut group, rows, |block, out| {
        out.required(block.event_time.iter().map(|time| time.micros()))
    })?;
    column::<DoubleType>(&mut group, rows, |block, out| {
        out.required(block.price.iter().copied())
    })?;
    for place in 0..Block::OPTIONAL {
        column::<DoubleType>(&mut group, rows, |block, out| {
            out.optional(block.optional(place))
        })?;
    }
    column::<ByteArrayType>(&mut group, rows, |block, out| {
        out.optional(block.extra().map(|extra| extra.map(ByteArray::from)))
    })?;
    column::<Int32Type>(&mut group, rows, |block, out| {
        out.required(std::iter::repeat_n(partition, block.len()))
    })?;
    column::<Int64Type>(&mut group, rows, |block, out| {
        out.required(block.offset.iter().copied())
    })?;
    column::<Int64Type>(&mut group, rows, |block, out| {
        out.optional(block.kafka_timestamp())
    })?;
    group.close()?;
    Ok(())
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// The values of a block's column on their way to the writer.
struct Values<T: DataType> {
    values: Vec<T::T>,
    levels: Option<Vec<i16>>,
}

impl<T: DataType> Values<T> {
    fn required(&mut self, values: impl Iterator<Item = T::T>) {
        self.values.extend(values);
    }

    fn optional(&mut self, values: impl Iterator<Item = Option<T::T>>) {
        let levels = self.levels.get_or_insert_default();
        for value in values {
            levels.push(i16::from(value.is_some()));
            self.values.extend(value);
        }
    }
}

/// Writes the next column, block by block.
fn column<T: DataType>(
    group: &mut Group<'_>,
    rows: &Rows,
    take: impl Fn(&Block, &mut Values<T>),
) -> Result<(), EncodeError> {
    // The schema has as many columns as `encode` writes; one too many is refused by the
    // next close.
    let Some(mut column) = group.next_column()? else {
        return Ok(());
    };
    let mut out = Values::<T> {
        values: Vec::new(),
        levels: None,
    };
    for block in rows.blocks() {
        out.values.clear();
        out.levels.iter_mut().for_each(Vec::clear);
        take(block, &mut out);
        column
            .typed::<T>()
            .write_batch(&out.values, out.levels.as_deref(), None)?;
    }
    Ok(column.close()?)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::FileReader as _;
    use parquet::file::serialized_reader::SerializedFileReader;
    use tick::{EventTime, Tick};

    use super::*;

    #[test]
    fn columns_are_typed_as_athena_wants_them_and_read_back() {
        let tick =
            Tick::from_json(br#"{"symbol":"A","event_time":1500,"price":1.5,"volume":7,"x":1}"#)
                .expect("a tick");
        let mut rows = Rows::default();
        rows.push(&tick, 41, EventTime::from_millis(2));
        let mut file = begin().expect("a file");
        encode(3, &rows, &mut file).expect("parquet");
        let bytes = file.into_inner().expect("parquet");
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("reader");
        let row = reader
            .get_row_iter(None)
            .expect("rows")
            .next()
            .expect("a row")
            .expect("read");
        assert_eq!(
            row.to_string(),
            "{symbol: \"A\", event_time: 1970-01-01 00:00:01.500000 +00:00, price: 1.5, volume: 7.0, open: null, high: null, low: null, close: null, \
             extra: \"{\"x\":1}\", kafka_partition: 3, kafka_offset: 41, kafka_timestamp: \
             1970-01-01 00:00:00.002000 +00:00}"
        );
    }
}
