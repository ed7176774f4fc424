use bytes::Bytes;
use lake_layout::COLUMNS;

use super::lake_text::LakeText;
use super::lines;
use crate::input_error::{InputError, NUMBER};
use crate::rows::{OPTIONAL, Row, Rows};

/// Reads tab-delimited text below a header line; an empty field is no value.
pub(super) fn read(body: Bytes, rows: &mut Rows) -> Result<(), InputError> {
    let header = COLUMNS.map(|column| column.name).join("\t");
    let mut is_first = true;
    let mut times = LakeText::default();
    lines::for_each(body, |line| {
        if std::mem::take(&mut is_first) {
            return if line == header {
                Ok(())
            } else {
                Err(InputError::Columns {
                    got: line.chars().take(200).collect(),
                    wanted: header.clone(),
                })
            };
        }
        let mut fields = [""; COLUMNS.len()];
        let mut found = 0;
        for field in line.split('\t') {
            if let Some(place) = fields.get_mut(found) {
                *place = field;
            }
            found += 1;
        }
        if found != fields.len() {
            return Err(InputError::Columns {
                got: format!("{found} fields"),
                wanted: fields.len().to_string(),
            });
        }
        row(fields, &mut times, rows)
    })?;
    if is_first {
        return Err(InputError::Columns {
            got: "no header".to_owned(),
            wanted: header,
        });
    }
    Ok(())
}

fn row(
    fields: [&str; COLUMNS.len()],
    times: &mut LakeText,
    rows: &mut Rows,
) -> Result<(), InputError> {
    let [
        symbol,
        event_time,
        price,
        volume,
        open,
        high,
        low,
        close,
        extra,
        partition,
        offset,
        kafka_timestamp,
    ] = fields;
    let Some(symbol) = rows.symbols.number(symbol.as_bytes())? else {
        return Ok(());
    };
    let mut optional = [None; OPTIONAL];
    let named = [
        ("volume", volume),
        ("open", open),
        ("high", high),
        ("low", low),
        ("close", close),
    ];
    for (value, (name, text)) in optional.iter_mut().zip(named) {
        if !text.is_empty() {
            *value = Some(number(name, text)?);
        }
    }
    let row = Row {
        symbol,
        event_time: times.read("event_time", event_time)?,
        price: number("price", price)?,
        optional,
        extra,
        partition: integer("kafka_partition", partition)?,
        offset: integer("kafka_offset", offset)?,
        kafka_timestamp: match kafka_timestamp {
            "" => None,
            text => Some(times.read("kafka_timestamp", text)?),
        },
    };
    rows.push(&row)
}

fn number(column: &'static str, text: &str) -> Result<f64, InputError> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| InputError::value(column, text, NUMBER))
}

fn integer<T: std::str::FromStr>(column: &'static str, text: &str) -> Result<T, InputError> {
    text.parse()
        .map_err(|_| InputError::value(column, text, "a whole number"))
}
