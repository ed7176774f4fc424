use std::io::{BufRead as _, BufReader};

use bytes::{Buf as _, Bytes};
use flate2::read::MultiGzDecoder;

use crate::input_error::InputError;

/// Calls `take` with each line of gzipped text. A reader of the lake reads all members of
/// a file, so this does, too.
pub(super) fn for_each(
    body: Bytes,
    mut take: impl FnMut(&str) -> Result<(), InputError>,
) -> Result<(), InputError> {
    let mut text = BufReader::with_capacity(64 << 10, MultiGzDecoder::new(body.reader()));
    let mut line = Vec::new();
    for number in 1.. {
        let problem = |problem: &str| InputError::Line {
            line: number,
            problem: problem.to_owned(),
        };
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(problem("it is cut off: no line feed at its end"));
        };
        let line = str::from_utf8(line).map_err(|error| problem(&error.to_string()))?;
        take(line).map_err(|error| match error {
            error @ InputError::TooLarge { .. } => error,
            error => problem(&error.to_string()),
        })?;
    }
    Ok(())
}
