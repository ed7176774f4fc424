use std::str::FromStr;

use bytes::Bytes;
use lake_layout::COLUMNS;

use super::lake_text::micros;
use super::lines;
use super::read_error::ReadError;
use super::row::Row;

/// Tab-delimited text below a header line; an empty field is no value.
pub(super) fn for_each(body: Bytes, take: &mut dyn FnMut(&Row<'_>)) -> Result<(), ReadError> {
    let header = COLUMNS.map(|column| column.name).join("\t");
    let mut is_first = true;
    lines::for_each(body, |line| {
        if std::mem::take(&mut is_first) {
            return match line == header {
                true => Ok(()),
                false => Err(format!("got {line:?}, wanted {header:?}")),
            };
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [
            symbol,
            event_time,
            price,
            optional @ ..,
            extra,
            partition,
            offset,
            timestamp,
        ] = &fields[..]
        else {
            return Err(format!("got {} fields", fields.len()));
        };
        let mut numbers = [None; 5];
        if optional.len() != numbers.len() {
            return Err(format!("got {} fields", fields.len()));
        }
        for (number, text) in numbers.iter_mut().zip(optional) {
            *number = some(text).map(number_of).transpose()?;
        }
        take(&Row {
            symbol,
            event_time: micros(event_time)?,
            price: number_of(price)?,
            numbers,
            extra: some(extra),
            partition: number_of(partition)?,
            offset: number_of(offset)?,
            kafka_timestamp: some(timestamp).map(micros).transpose()?,
        });
        Ok(())
    })?;
    match is_first {
        true => Err(ReadError::Columns {
            got: "no header".to_owned(),
            wanted: header,
        }),
        false => Ok(()),
    }
}

fn some(field: &str) -> Option<&str> {
    Some(field).filter(|field| !field.is_empty())
}

fn number_of<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("got {text:?}, wanted a number"))
}
