use std::io::{BufRead as _, BufReader, Cursor};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::read_error::ReadError;

/// Calls `take` with each line of gzipped text, without its end.
pub(super) fn for_each(
    body: Bytes,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), ReadError> {
    let mut text = BufReader::new(MultiGzDecoder::new(Cursor::new(body)));
    let mut line = String::new();
    let mut number = 0;
    while text.read_line(&mut line)? > 0 {
        number += 1;
        let content = line.strip_suffix('\n').unwrap_or(&line);
        take(content).map_err(|problem| ReadError::Line {
            line: number,
            problem,
        })?;
        line.clear();
    }
    Ok(())
}
