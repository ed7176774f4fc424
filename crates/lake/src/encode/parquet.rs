use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::EncodeError;
use crate::{COLUMNS, ColumnType, Row};

/// One row group; the consumer bounds a batch far below the size at which more would pay.
pub(super) fn encode(partition: i32, rows: &[Row]) -> Result<Vec<u8>, EncodeError> {
    let schema = Arc::new(parse_message_type(&message_type())?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by(concat!("ticklake ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    // In the order of COLUMNS.
    required::<ByteArrayType>(&mut group, rows, |row| ByteArray::from(row.tick.symbol.as_str()))?;
    required::<Int64Type>(&mut group, rows, |row| row.tick.event_time.micros())?;
    required::<DoubleType>(&mut group, rows, |row| row.tick.price)?;
    optional::<DoubleType>(&mut group, rows, |row| row.tick.volume)?;
    optional::<DoubleType>(&mut group, rows, |row| row.tick.open)?;
    optional::<DoubleType>(&mut group, rows, |row| row.tick.high)?;
    optional::<DoubleType>(&mut group, rows, |row| row.tick.low)?;
    optional::<DoubleType>(&mut group, rows, |row| row.tick.close)?;
    optional::<ByteArrayType>(&mut group, rows, |row| row.tick.extra.as_deref().map(ByteArray::from))?;
    required::<Int32Type>(&mut group, rows, |_| partition)?;
    required::<Int64Type>(&mut group, rows, |row| row.offset)?;
    optional::<Int64Type>(&mut group, rows, |row| row.kafka_timestamp.map(|time| time.micros()))?;
    group.close()?;
    Ok(file.into_inner()?)
}

/// The schema in Parquet's own words. Timestamps are local-to-UTC (`isAdjustedToUTC` false), which readers without Athena's rules,
/// DuckDB among them, also take for a `timestamp` without a zone.
fn message_type() -> String {
    let columns: String = COLUMNS
        .iter()
        .map(|column| {
            let repetition = if column.required { "REQUIRED" } else { "OPTIONAL" };
            let (physical, logical) = match column.kind {
                ColumnType::String => ("BYTE_ARRAY", " (STRING)"),
                ColumnType::Timestamp => ("INT64", " (TIMESTAMP(MICROS,false))"),
                ColumnType::Double => ("DOUBLE", ""),
                ColumnType::Int => ("INT32", ""),
                ColumnType::Bigint => ("INT64", ""),
            };
            format!("{repetition} {physical} {}{logical}; ", column.name)
        })
        .collect();
    format!("message tick {{ {columns}}}")
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn required<T: DataType>(group: &mut Group<'_>, rows: &[Row], value: impl Fn(&Row) -> T::T) -> Result<(), EncodeError> {
    write::<T>(group, &rows.iter().map(value).collect::<Vec<_>>(), None)
}

fn optional<T: DataType>(group: &mut Group<'_>, rows: &[Row], value: impl Fn(&Row) -> Option<T::T>) -> Result<(), EncodeError> {
    let values: Vec<Option<T::T>> = rows.iter().map(value).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    write::<T>(group, &values.into_iter().flatten().collect::<Vec<_>>(), Some(&levels))
}

fn write<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) -> Result<(), EncodeError> {
    // The schema has as many columns as `encode` writes; one too many is refused by the next close.
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, levels, None)?;
        column.close()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::FileReader as _;
    use parquet::file::serialized_reader::SerializedFileReader;
    use tick::{EventTime, Tick};

    use super::*;

    #[test]
    fn columns_are_typed_as_athena_wants_them_and_read_back() {
        let tick = Tick::from_json(br#"{"symbol":"A","event_time":1500,"price":1.5,"volume":7,"x":1}"#).expect("a tick");
        let rows = [Row { tick, offset: 41, kafka_timestamp: EventTime::from_millis(2) }];
        let bytes = encode(3, &rows).expect("parquet");
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("reader");
        let row = reader.get_row_iter(None).expect("rows").next().expect("a row").expect("read");
        assert_eq!(
            row.to_string(),
            "{symbol: \"A\", event_time: 1970-01-01 00:00:01.500000 +00:00, price: 1.5, volume: 7.0, open: null, high: null, low: null, close: null, \
             extra: \"{\"x\":1}\", kafka_partition: 3, kafka_offset: 41, kafka_timestamp: 1970-01-01 00:00:00.002000 +00:00}"
        );
    }
}
