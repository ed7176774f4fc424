use csv_core::ReadRecordResult;

use crate::RowError;

/// Splits one line of CSV (RFC 4180) into fields. A quoted field must end on its line, so
/// that a stray quote costs one row instead of the rest of the file.
pub struct CsvLine {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Default for CsvLine {
    fn default() -> Self {
        // `Reader::default()` has no tables and reads nothing.
        Self {
            reader: csv_core::Reader::new(),
            text: Vec::new(),
            ends: Vec::new(),
        }
    }
}

impl CsvLine {
    /// Returns the fields of `line`, which may end in LF or CRLF.
    ///
    /// # Errors
    /// The line is not UTF-8, a quote is not closed, or there is a carriage return in the
    /// middle.
    pub fn split<'a>(&'a mut self, line: &[u8]) -> Result<Vec<&'a str>, RowError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        str::from_utf8(line).map_err(|error| RowError::NotUtf8(error.valid_up_to()))?;
        if line.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
            return Err(RowError::OpenQuote);
        }
        // Neither can overflow: a field takes at least its separator's byte.
        self.text.resize(line.len() + 1, 0);
        self.ends.resize(line.len() + 2, 0);
        self.reader.reset();
        let (result, read, mut written, mut ended) =
            self.reader
                .read_record(line, &mut self.text, &mut self.ends);
        if read < line.len() {
            return Err(RowError::CarriageReturn);
        }
        if result == ReadRecordResult::InputEmpty {
            // Empty input ends the record.
            let (_, _, more, fields) =
                self.reader
                    .read_record(&[], &mut self.text[written..], &mut self.ends[ended..]);
            written += more;
            ended += fields;
        }
        let text = str::from_utf8(&self.text[..written])
            .map_err(|error| RowError::NotUtf8(error.valid_up_to()))?;
        let mut start = 0;
        Ok(self.ends[..ended]
            .iter()
            .map(|end| &text[std::mem::replace(&mut start, *end)..*end])
            .collect())
    }

    /// Returns true for a row without a value. Spreadsheets leave such rows (`,,,,` or
    /// blanks).
    pub fn is_blank(line: &[u8]) -> bool {
        line.iter()
            .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'"'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(line: &str) -> Result<Vec<String>, RowError> {
        CsvLine::default()
            .split(line.as_bytes())
            .map(|fields| fields.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn quotes_and_line_ends() {
        assert_eq!(
            split("a,\"b,\"\"c\"\"\",\r\n"),
            Ok(vec!["a".into(), "b,\"c\"".into(), String::new()])
        );
        assert_eq!(split("a"), Ok(vec!["a".into()]));
        assert_eq!(split("a,\"b\n"), Err(RowError::OpenQuote));
        assert_eq!(split("a,b\rc,d\n"), Err(RowError::CarriageReturn));
    }

    #[test]
    fn blank_rows() {
        assert!(
            CsvLine::is_blank(b"\r\n")
                && CsvLine::is_blank(b",,,\n")
                && CsvLine::is_blank(b"  \"\",\"\" ")
        );
        assert!(!CsvLine::is_blank(b",0,\n"));
    }

    proptest! {
        #[test]
        fn every_line_without_quotes_splits_at_its_commas(line in "[a-z0-9 ./,-]{1,80}") {
            prop_assert_eq!(split(&line)?, line.split(',').map(str::to_owned).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_give_fields_or_an_error(line: Vec<u8>) {
            let _ = CsvLine::default().split(&line);
        }
    }
}
