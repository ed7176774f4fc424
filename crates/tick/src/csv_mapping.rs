//! Maps CSV headers and rows to ticks.

use crate::csv_line::CsvLine;
use crate::inexact::keep_digits;
use crate::json_text::{json_string, push_member};
use crate::{DateOrder, EventTime, FieldError, HeaderError, RowError, Symbol, Tick};

/// The headers of each field of the tick in lower case, the preferred one first.
///
/// They cover the public index data set (`Index,Date,Open,High,Low,Close,Adj
/// Close,Volume,CloseUSD`), the stock family (`Timestamp,Stock
/// Symbol,Price,Volume,Open,High,Low`) and ticklake's own names.
const SYMBOL_HEADERS: [&str; 3] = ["symbol", "stock symbol", "index"];
const EVENT_TIME_HEADERS: [&str; 3] = ["event_time", "timestamp", "date"];
/// If no column is called price, `close` is both the close and the price.
const PRICE_HEADERS: [&str; 2] = ["price", "close"];

const WANTED_NUMBER: &str = "a number";

/// The columns of a CSV file that hold the fields of a tick.
#[derive(Debug, Clone)]
pub struct CsvMapping {
    headers: Vec<String>,
    symbol: usize,
    event_time: usize,
    price: usize,
    volume: Option<usize>,
    open: Option<usize>,
    high: Option<usize>,
    low: Option<usize>,
    close: Option<usize>,
    extra: Vec<usize>,
}

impl CsvMapping {
    /// Returns the mapping of a header line. Names may be in any case and any order; a
    /// byte order mark is ignored.
    ///
    /// # Errors
    /// A column is missing or present twice; the error names it.
    pub fn from_header(line: &[u8]) -> Result<Self, HeaderError> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if CsvLine::is_blank(line) {
            return Err(HeaderError::Empty);
        }
        let mut splitter = CsvLine::default();
        let headers: Vec<String> = splitter
            .split(line)
            .map_err(HeaderError::NotCsv)?
            .into_iter()
            .map(|header| header.trim().to_owned())
            .collect();
        let symbol = one_of("symbol", &SYMBOL_HEADERS, &headers)?;
        let event_time = one_of("event time", &EVENT_TIME_HEADERS, &headers)?;
        let price = match position(&headers, PRICE_HEADERS[0])? {
            Some(price) => price,
            None => one_of("price", &PRICE_HEADERS, &headers)?,
        };
        let mut mapping = Self {
            symbol,
            event_time,
            price,
            volume: position(&headers, "volume")?,
            open: position(&headers, "open")?,
            high: position(&headers, "high")?,
            low: position(&headers, "low")?,
            close: position(&headers, "close")?,
            extra: Vec::new(),
            headers,
        };
        for (column, header) in mapping.headers.iter().enumerate() {
            position(&mapping.headers, &header.to_lowercase())?;
            if !mapping.known().contains(&Some(column)) {
                mapping.extra.push(column);
            }
        }
        Ok(mapping)
    }

    fn known(&self) -> [Option<usize>; 8] {
        [
            Some(self.symbol),
            Some(self.event_time),
            Some(self.price),
            self.volume,
            self.open,
            self.high,
            self.low,
            self.close,
        ]
    }

    /// Returns the value of the event time column in a row, to find the file's date order
    /// before the first tick is parsed.
    pub fn event_time_of<'a>(&self, row: &[&'a str]) -> Option<&'a str> {
        row.get(self.event_time).copied()
    }

    /// Returns the tick in a row from [`CsvLine::split`].
    ///
    /// An empty or `null` value is an error in a column that a tick needs, and means "no
    /// value" in any other column.
    ///
    /// # Errors
    /// The row has more or fewer fields than the header, or a column has a wrong value;
    /// the error names the column.
    pub fn tick(&self, row: &[&str], order: Option<DateOrder>) -> Result<Tick, RowError> {
        if row.len() != self.headers.len() {
            return Err(RowError::Width {
                got: row.len(),
                wanted: self.headers.len(),
            });
        }
        let wrong =
            |column: usize, wanted| FieldError::of_text(&self.headers[column], row[column], wanted);
        let number =
            |column: usize| finite(row[column]).ok_or_else(|| wrong(column, WANTED_NUMBER));
        let optional = |column: Option<usize>| match column {
            Some(column) if !is_absent(row[column]) => number(column).map(Some),
            _ => Ok(None),
        };
        let mut extra = String::new();
        for &column in &self.extra {
            if !row[column].trim().is_empty() {
                push_member(&mut extra, &self.headers[column], &json_value(row[column]));
            }
        }
        let symbol = Some(row[self.symbol])
            .filter(|text| !is_absent(text))
            .and_then(Symbol::parse);
        let mut tick = Tick {
            symbol: symbol.ok_or_else(|| wrong(self.symbol, Symbol::WANTED))?,
            event_time: EventTime::parse_csv(row[self.event_time], order)
                .ok_or_else(|| wrong(self.event_time, EventTime::WANTED_CSV))?,
            price: number(self.price)?,
            volume: optional(self.volume)?,
            open: optional(self.open)?,
            high: optional(self.high)?,
            low: optional(self.low)?,
            close: optional(self.close)?,
            extra: None,
        };
        let texts = [
            Some(self.price),
            self.volume,
            self.open,
            self.high,
            self.low,
            self.close,
        ]
        .map(|column| column.map_or("", |column| row[column].trim()));
        tick.extra = keep_digits(
            (!extra.is_empty()).then(|| extra + "}"),
            &texts,
            &tick.numbers(),
        );
        Ok(tick)
    }
}

/// Returns the column with this lower-case header. More than one is an error.
fn position(headers: &[String], name: &str) -> Result<Option<usize>, HeaderError> {
    let mut found = headers
        .iter()
        .enumerate()
        .filter(|(_, header)| header.to_lowercase() == name);
    let first = found.next();
    if let (Some((_, first)), Some((_, second))) = (first, found.next()) {
        return Err(HeaderError::Twice {
            field: name.to_owned(),
            first: first.clone(),
            second: second.clone(),
        });
    }
    Ok(first.map(|(column, _)| column))
}

/// Returns the only column whose header is one of `names`.
fn one_of(field: &'static str, names: &[&str], headers: &[String]) -> Result<usize, HeaderError> {
    let mut found = None;
    for name in names {
        match (found, position(headers, name)?) {
            (Some(first), Some(second)) => {
                let header = |column: usize| headers[column].clone();
                return Err(HeaderError::Twice {
                    field: field.to_owned(),
                    first: header(first),
                    second: header(second),
                });
            }
            (None, Some(column)) => found = Some(column),
            (_, None) => {}
        }
    }
    found.ok_or_else(|| HeaderError::Missing {
        field,
        wanted: names.join(", "),
        got: headers.join(","),
    })
}

fn is_absent(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.eq_ignore_ascii_case("null")
}

fn finite(text: &str) -> Option<f64> {
    // `str::parse` also accepts `inf` and `nan`.
    text.trim()
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
}

/// Returns a value as JSON: a number with its original digits, `null`, or else text.
fn json_value(text: &str) -> String {
    let trimmed = text.trim();
    let is_scalar = serde_json::from_str::<serde_json::Value>(trimmed)
        .is_ok_and(|value| value.is_number() || value.is_null());
    if is_scalar {
        trimmed.to_owned()
    } else {
        json_string(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "Index,Date,Open,High,Low,Close,Adj Close,Volume,CloseUSD";

    fn tick(header: &str, row: &str) -> Result<Tick, RowError> {
        CsvMapping::from_header(header.as_bytes())
            .expect("a header")
            .tick(&CsvLine::default().split(row.as_bytes())?, None)
    }

    fn json(header: &str, row: &str) -> String {
        tick(header, row).expect("a tick").to_json()
    }

    #[test]
    fn the_index_family_takes_its_price_from_close_and_keeps_extra_columns() {
        assert_eq!(
            json(
                INDEX,
                "HSI,1986-12-31,2568.300049,2569.0,2567.5,2568.300049,2568.300049,0.0,333.87900637"
            ),
            concat!(
                r#"{"symbol":"HSI","event_time":"1986-12-31T00:00:00Z","price":2568.300049,"#,
                r#""volume":0.0,"open":2568.300049,"high":2569.0,"low":2567.5,"#,
                r#""close":2568.300049,"Adj Close":2568.300049,"CloseUSD":333.87900637}"#,
            )
        );
    }

    #[test]
    fn the_stock_family_in_any_case_and_order_with_a_byte_order_mark() {
        let expected = concat!(
            r#"{"symbol":"ACME","event_time":"2024-05-01T09:30:00Z","price":12.5,"#,
            r#""volume":100.0,"open":12.0,"high":13.0,"low":11.5}"#,
        );
        assert_eq!(
            json(
                "Timestamp,Stock Symbol,Price,Volume,Open,High,Low",
                "2024-05-01 09:30:00,ACME,12.5,100,12,13,11.5"
            ),
            expected
        );
        assert_eq!(
            json(
                "\u{feff}LOW,high,Open,VOLUME,price,stock symbol,TIMESTAMP\r\n",
                "11.5,13,12,100,12.5,ACME,2024-05-01T09:30:00Z\r\n"
            ),
            expected
        );
    }

    #[test]
    fn errors_of_rows_name_the_column() {
        let error = |row| tick(INDEX, row).expect_err(row).to_string();
        assert_eq!(
            error("HSI,1986-12-31,1,1,1,null,1,0,1"),
            r#"column Close: got "null", wanted a number"#
        );
        assert_eq!(
            error("HSI,1986-12-31,x,1,1,1,1,0,1"),
            r#"column Open: got "x", wanted a number"#
        );
        assert_eq!(
            error("HSI,1986-12-31,1,1,1,inf,1,0,1"),
            r#"column Close: got "inf", wanted a number"#
        );
        assert_eq!(
            error("HSI,1986-12-31,1,1"),
            "got 4 fields, wanted 9 as in the header"
        );
        assert!(
            error(",1986-12-31,1,1,1,1,1,0,1")
                .starts_with(r#"column Index: got "", wanted a symbol"#)
        );
        assert!(
            error("HSI,08/01/2010,1,1,1,1,1,0,1")
                .starts_with(r#"column Date: got "08/01/2010", wanted a date"#)
        );
    }

    #[test]
    fn null_in_an_optional_column_is_no_value() {
        let tick = tick(INDEX, "HSI,1986-12-31,null,,1,1,null,null,text").expect("a tick");
        assert_eq!((tick.open, tick.high, tick.volume), (None, None, None));
        assert_eq!(
            tick.extra.as_deref(),
            Some(r#"{"Adj Close":null,"CloseUSD":"text"}"#)
        );
    }

    #[test]
    fn numbers_that_a_double_does_not_hold_keep_their_digits() {
        assert_eq!(
            json(
                "symbol,date,close,volume,note",
                "A,2010-01-08,.1000000000000000055,+09007199254740993,x"
            ),
            concat!(
                r#"{"symbol":"A","event_time":"2010-01-08T00:00:00Z","#,
                r#""price":0.1000000000000000055,"volume":9007199254740993,"#,
                r#""close":0.1000000000000000055,"note":"x"}"#,
            )
        );
    }

    #[test]
    fn errors_of_headers_name_the_missing_or_repeated_column() {
        let error = |header: &str| {
            CsvMapping::from_header(header.as_bytes())
                .expect_err(header)
                .to_string()
        };
        assert_eq!(
            error("Date,Close"),
            "the header has no column for the symbol; \
             wanted one of symbol, stock symbol, index, got Date,Close"
        );
        assert_eq!(
            error("Index,Date,Open"),
            "the header has no column for the price; \
             wanted one of price, close, got Index,Date,Open"
        );
        assert!(
            error("Index,Symbol,Date,Close")
                .contains("two columns for the symbol: \"Symbol\" and \"Index\"")
        );
        assert!(error("Index,Date,Close,Note,note").contains("two columns for the note"));
        assert!(error("").starts_with("the file is empty"));
    }
}
