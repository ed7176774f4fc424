use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use lake_layout::{Column, ColumnType};
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;

use super::read_error::ReadError;

/// Rows that are read at once.
const PIECE_ROWS: usize = 4_096;

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Text(&'a str),
    Double(f64),
    Whole(i64),
}

impl<'a> Value<'a> {
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn double(self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(number),
            _ => None,
        }
    }
}

/// Calls `take` with each row of a file that has exactly these columns.
pub(super) fn for_each(
    body: Bytes,
    columns: &'static [Column],
    take: impl FnMut(&[Value<'_>]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    // The Parquet reader panics on some damaged files.
    catch_unwind(AssertUnwindSafe(|| read(body, columns, take))).unwrap_or(Err(ReadError::Panicked))
}

fn read(
    body: Bytes,
    columns: &'static [Column],
    mut take: impl FnMut(&[Value<'_>]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let file = SerializedFileReader::new(body)?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let found = schema.columns().iter();
    let found: Vec<_> = found
        .map(|column| (column.name(), column.physical_type()))
        .collect();
    let wanted: Vec<_> = columns
        .iter()
        .map(|column| (column.name, physical(column.kind)))
        .collect();
    if found != wanted {
        let named = |columns: &[(&str, Type)]| {
            let named = columns.iter().map(|(name, kind)| format!("{name} {kind}"));
            named.collect::<Vec<_>>().join(", ")
        };
        return Err(ReadError::Columns {
            got: named(&found),
            wanted: named(&wanted),
        });
    }
    for number in 0..file.num_row_groups() {
        let group = file.get_row_group(number)?;
        let mut rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
        let cells = (0..columns.len()).map(|place| Cells::of(group.get_column_reader(place)?));
        let mut cells: Vec<Cells> = cells.collect::<Result<_, ReadError>>()?;
        while rows > 0 {
            let piece = rows.min(PIECE_ROWS);
            for cells in &mut cells {
                cells.read(piece)?;
            }
            for row in 0..piece {
                let named = cells.iter_mut().zip(columns);
                let values = named.map(|(cells, column)| match cells.next(row)? {
                    Value::Null if column.required => Err(ReadError::Lacking(column.name)),
                    value => Ok(value),
                });
                take(&values.collect::<Result<Vec<_>, _>>()?)?;
            }
            rows -= piece;
        }
    }
    Ok(())
}

fn physical(kind: ColumnType) -> Type {
    match kind {
        ColumnType::String => Type::BYTE_ARRAY,
        ColumnType::Timestamp | ColumnType::Bigint => Type::INT64,
        ColumnType::Double => Type::DOUBLE,
        ColumnType::Int => Type::INT32,
    }
}

/// Some values of a column.
enum Cells {
    Text(Piece<ByteArrayType>),
    Double(Piece<DoubleType>),
    Int(Piece<Int32Type>),
    Bigint(Piece<Int64Type>),
}

impl Cells {
    fn of(reader: ColumnReader) -> Result<Self, ReadError> {
        Ok(match reader {
            ColumnReader::ByteArrayColumnReader(reader) => Self::Text(Piece::of(reader)),
            ColumnReader::DoubleColumnReader(reader) => Self::Double(Piece::of(reader)),
            ColumnReader::Int32ColumnReader(reader) => Self::Int(Piece::of(reader)),
            ColumnReader::Int64ColumnReader(reader) => Self::Bigint(Piece::of(reader)),
            _ => return Err(ParquetError::General("a column of another type".to_owned()).into()),
        })
    }

    fn read(&mut self, rows: usize) -> Result<(), ReadError> {
        match self {
            Self::Text(piece) => piece.read(rows),
            Self::Double(piece) => piece.read(rows),
            Self::Int(piece) => piece.read(rows),
            Self::Bigint(piece) => piece.read(rows),
        }
    }

    fn next(&mut self, row: usize) -> Result<Value<'_>, ReadError> {
        let value = match self {
            Self::Text(piece) => match piece.next(row) {
                Some(bytes) => Some(Value::Text(bytes.as_utf8()?)),
                None => None,
            },
            Self::Double(piece) => piece.next(row).map(|number| Value::Double(*number)),
            Self::Int(piece) => piece.next(row).map(|number| Value::Whole((*number).into())),
            Self::Bigint(piece) => piece.next(row).map(|number| Value::Whole(*number)),
        };
        Ok(value.unwrap_or(Value::Null))
    }
}

struct Piece<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
    /// 0 for a null, 1 for a value; empty if the column is required.
    levels: Vec<i16>,
    used: usize,
}

impl<T: DataType> Piece<T> {
    fn of(reader: ColumnReaderImpl<T>) -> Self {
        Self {
            reader,
            values: Vec::new(),
            levels: Vec::new(),
            used: 0,
        }
    }

    fn read(&mut self, rows: usize) -> Result<(), ReadError> {
        self.values.clear();
        self.levels.clear();
        self.used = 0;
        let levels = Some(&mut self.levels);
        let (read, ..) = self
            .reader
            .read_records(rows, levels, None, &mut self.values)?;
        match read == rows {
            true => Ok(()),
            false => Err(ParquetError::General("a column is too short".to_owned()).into()),
        }
    }

    fn next(&mut self, row: usize) -> Option<&T::T> {
        if self.levels.get(row) == Some(&0) {
            return None;
        }
        self.used += 1;
        self.values.get(self.used - 1)
    }
}
