use bytes::Bytes;
use lake_layout::COLUMNS;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::{SchemaDescriptor, Type};
use tick::EventTime;

use crate::input_error::{InputError, NUMBER};
use crate::output::tick_schema;
use crate::rows::{OPTIONAL, Rows};

/// Rows that are read at once.
const PIECE_ROWS: usize = 16 << 10;

// Places in COLUMNS.
const SYMBOL: usize = 0;
const EVENT_TIME: usize = 1;
const PRICE: usize = 2;
const FIRST_OPTIONAL: usize = 3;
const EXTRA: usize = FIRST_OPTIONAL + OPTIONAL;
const KAFKA_PARTITION: usize = EXTRA + 1;
const KAFKA_OFFSET: usize = EXTRA + 2;
const KAFKA_TIMESTAMP: usize = EXTRA + 3;

/// Reads a raw object or a sorted file: both have the same columns.
pub(super) fn read(body: Bytes, rows: &mut Rows) -> Result<(), InputError> {
    let file = SerializedFileReader::new(body)?;
    check(file.metadata().file_metadata().schema_descr())?;
    let mut group_rows = 0;
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        group_rows += group.metadata().num_rows();
        let mut left = usize::try_from(group.metadata().num_rows())
            .map_err(|_| ParquetError::General("a row group of less than 0 rows".to_owned()))?;
        let mut columns = Columns::of(group.as_ref())?;
        while left > 0 {
            let piece = left.min(PIECE_ROWS);
            columns.read(piece, rows)?;
            left -= piece;
        }
    }
    // A reader counts the footer's rows, so they have to be all of them.
    if group_rows != file.metadata().file_metadata().num_rows() {
        return Err(ParquetError::General(format!(
            "row groups have {group_rows} rows, the footer has {}",
            file.metadata().file_metadata().num_rows()
        ))
        .into());
    }
    Ok(())
}

/// Refuses a file whose columns are not those of a tick, in name, type and order.
fn check(schema: &SchemaDescriptor) -> Result<(), InputError> {
    let wanted = tick_schema()?;
    let described = |column: Option<&Type>| {
        column.map_or("no column".to_owned(), |column| {
            let mut text = Vec::new();
            parquet::schema::printer::print_schema(&mut text, column);
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    };
    let (got, wanted) = (schema.root_schema().get_fields(), wanted.get_fields());
    for place in 0..got.len().max(wanted.len()) {
        let (got, wanted) = (got.get(place), wanted.get(place));
        let (got, wanted) = (
            described(got.map(AsRef::as_ref)),
            described(wanted.map(AsRef::as_ref)),
        );
        if got != wanted {
            return Err(InputError::Columns { got, wanted });
        }
    }
    Ok(())
}

/// The columns of a row group, read side by side.
struct Columns {
    symbol: Values<ByteArrayType>,
    event_time: Values<Int64Type>,
    price: Values<DoubleType>,
    optional: Vec<Values<DoubleType>>,
    extra: Values<ByteArrayType>,
    partition: Values<Int32Type>,
    offset: Values<Int64Type>,
    kafka_timestamp: Values<Int64Type>,
    /// The number of each row's symbol, if it belongs to the unit.
    kept: Vec<Option<u32>>,
}

impl Columns {
    fn of(group: &dyn RowGroupReader) -> Result<Self, InputError> {
        Ok(Self {
            symbol: Values::of(group, SYMBOL)?,
            event_time: Values::of(group, EVENT_TIME)?,
            price: Values::of(group, PRICE)?,
            optional: (0..OPTIONAL)
                .map(|place| Values::of(group, FIRST_OPTIONAL + place))
                .collect::<Result<_, _>>()?,
            extra: Values::of(group, EXTRA)?,
            partition: Values::of(group, KAFKA_PARTITION)?,
            offset: Values::of(group, KAFKA_OFFSET)?,
            kafka_timestamp: Values::of(group, KAFKA_TIMESTAMP)?,
            kept: Vec::new(),
        })
    }

    /// Reads so many rows and keeps those of the unit.
    fn read(&mut self, piece: usize, rows: &mut Rows) -> Result<(), InputError> {
        self.symbol.read(piece)?;
        self.kept.clear();
        let mut before: Option<(&ByteArray, Option<u32>)> = None;
        for symbol in &self.symbol.values {
            let number = match before {
                Some((same, number)) if same == symbol => number,
                _ => rows.symbols.number(symbol.data())?,
            };
            before = Some((symbol, number));
            self.kept.push(number);
        }
        let kept = &self.kept;
        let count = kept.iter().flatten().count();
        if count == 0 {
            return self.skip(piece);
        }
        rows.make_room(count)?;
        rows.symbol.extend(kept.iter().copied().flatten());
        self.event_time.read(piece)?;
        for micros in self.event_time.required(kept) {
            rows.event_time.push(time(EVENT_TIME, *micros)?);
        }
        self.price.read(piece)?;
        for price in self.price.required(kept) {
            rows.price.push(finite(PRICE, *price)?);
        }
        for (place, (values, column)) in
            self.optional.iter_mut().zip(&mut rows.optional).enumerate()
        {
            values.read(piece)?;
            for value in values.optional(kept) {
                let value = value.map(|value| finite(FIRST_OPTIONAL + place, *value));
                column.push(value.transpose()?);
            }
        }
        self.extra.read(piece)?;
        for extra in self.extra.optional(kept) {
            rows.extra.push(text(extra)?);
        }
        self.partition.read(piece)?;
        rows.partition
            .extend(self.partition.required(kept).copied());
        self.offset.read(piece)?;
        rows.offset.extend(self.offset.required(kept).copied());
        self.kafka_timestamp.read(piece)?;
        for micros in self.kafka_timestamp.optional(kept) {
            let time = micros
                .map(|micros| time(KAFKA_TIMESTAMP, *micros))
                .transpose()?;
            rows.kafka_timestamp.push(time.map(EventTime::micros));
        }
        Ok(())
    }

    fn skip(&mut self, piece: usize) -> Result<(), InputError> {
        self.event_time.skip(piece)?;
        self.price.skip(piece)?;
        for values in &mut self.optional {
            values.skip(piece)?;
        }
        self.extra.skip(piece)?;
        self.partition.skip(piece)?;
        self.offset.skip(piece)?;
        self.kafka_timestamp.skip(piece)
    }
}

fn time(place: usize, micros: i64) -> Result<EventTime, InputError> {
    EventTime::from_micros(micros).ok_or_else(|| {
        let wanted = "microseconds from 1970 to 9999";
        InputError::value(COLUMNS[place].name, &micros.to_string(), wanted)
    })
}

fn finite(place: usize, number: f64) -> Result<f64, InputError> {
    if number.is_finite() {
        return Ok(number);
    }
    let column = COLUMNS[place].name;
    Err(InputError::value(column, &number.to_string(), NUMBER))
}

fn text(extra: Option<&ByteArray>) -> Result<&[u8], InputError> {
    let Some(extra) = extra else { return Ok(&[]) };
    match str::from_utf8(extra.data()) {
        Ok(text) if !text.is_empty() => Ok(text.as_bytes()),
        Ok(_) => Err(InputError::value("extra", "", "a JSON object, or null")),
        Err(error) => Err(InputError::value("extra", &error.to_string(), "UTF-8")),
    }
}

/// Some values of a column.
struct Values<T: DataType> {
    name: &'static str,
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
    /// 0 for a null, 1 for a value; empty if the column is required.
    levels: Vec<i16>,
}

impl<T: DataType> Values<T> {
    fn of(group: &dyn RowGroupReader, place: usize) -> Result<Self, InputError> {
        Ok(Self {
            name: COLUMNS[place].name,
            reader: get_typed_column_reader(group.get_column_reader(place)?),
            values: Vec::new(),
            levels: Vec::new(),
        })
    }

    fn read(&mut self, rows: usize) -> Result<(), InputError> {
        self.values.clear();
        self.levels.clear();
        let levels = Some(&mut self.levels);
        let (read, ..) = self
            .reader
            .read_records(rows, levels, None, &mut self.values)?;
        self.whole(read == rows)
    }

    fn skip(&mut self, rows: usize) -> Result<(), InputError> {
        let skipped = self.reader.skip_records(rows)?;
        self.whole(skipped == rows)
    }

    fn whole(&self, is_whole: bool) -> Result<(), InputError> {
        is_whole
            .then_some(())
            .ok_or(InputError::Short { column: self.name })
    }

    /// Returns the values of the kept rows.
    fn required(&self, kept: &[Option<u32>]) -> impl Iterator<Item = &T::T> {
        let rows = self.values.iter().zip(kept);
        rows.filter_map(|(value, kept)| kept.map(|_| value))
    }

    /// Returns the values of the kept rows, nulls included.
    fn optional(&self, kept: &[Option<u32>]) -> impl Iterator<Item = Option<&T::T>> {
        let mut values = self.values.iter();
        let rows = self
            .levels
            .iter()
            .map(move |level| (*level > 0).then(|| values.next()).flatten())
            .zip(kept);
        rows.filter_map(|(value, kept)| kept.map(|_| value))
    }
}
