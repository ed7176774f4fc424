use tick::EventTime;

use crate::input_error::InputError;

const WANTED: &str = "a time from 1970 to 9999 as YYYY-MM-DD HH:MM:SS.ffffff";
const DATE: std::ops::Range<usize> = 0..10;
const TEXT_BYTES: usize = 26;

/// Reads times as `YYYY-MM-DD HH:MM:SS.ffffff`. Rows of an object are mostly of one day,
/// whose date is worked out once.
#[derive(Debug, Default)]
pub(super) struct LakeText {
    day: Option<([u8; DATE.end], i64)>,
}

impl LakeText {
    /// Returns the time in a column's text.
    pub(super) fn read(
        &mut self,
        column: &'static str,
        text: &str,
    ) -> Result<EventTime, InputError> {
        self.parse(text.as_bytes())
            .ok_or_else(|| InputError::value(column, text, WANTED))
    }

    fn parse(&mut self, text: &[u8]) -> Option<EventTime> {
        let text: &[u8; TEXT_BYTES] = text.try_into().ok()?;
        let date: [u8; DATE.end] = text[DATE].try_into().ok()?;
        let marks = [text[10], text[13], text[16], text[19]];
        if marks != *b" ::." {
            return None;
        }
        let midnight = match self.day {
            Some((known, midnight)) if known == date => midnight,
            _ => {
                let midnight = midnight(&date)?;
                self.day = Some((date, midnight));
                midnight
            }
        };
        let part = |range: std::ops::Range<usize>, end: i64| {
            digits(&text[range]).filter(|part| *part < end)
        };
        let (hour, minute) = (part(11..13, 24)?, part(14..16, 60)?);
        let (second, micros) = (part(17..19, 60)?, digits(&text[20..])?);
        let seconds = (hour * 60 + minute) * 60 + second;
        EventTime::from_micros(midnight + seconds * 1_000_000 + micros)
    }
}

/// Returns microseconds from 1970 to the day.
fn midnight(date: &[u8; DATE.end]) -> Option<i64> {
    let part = |range: std::ops::Range<usize>| digits(&date[range]);
    let date = match (date[4], date[7]) {
        (b'-', b'-') => jiff::civil::Date::new(
            part(0..4)?.try_into().ok()?,
            part(5..7)?.try_into().ok()?,
            part(8..10)?.try_into().ok()?,
        )
        .ok()?,
        _ => return None,
    };
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| 10 * number + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_read_back_as_they_were_written(
            times in proptest::collection::vec(0i64..253_402_207_200_000_000, 1..4),
        ) {
            let mut text = LakeText::default();
            for time in times.into_iter().filter_map(EventTime::from_micros) {
                prop_assert_eq!(text.parse(time.to_lake_text().as_bytes()), Some(time));
            }
        }
    }

    #[test]
    fn another_form_is_refused() {
        let mut text = LakeText::default();
        assert!(text.parse(b"2010-01-08 09:30:00.500000").is_some());
        for wrong in [
            "2010-01-08T09:30:00.500000",
            "2010-01-08 09:30:00.5",
            "2010-01-08 09:30:00.5000000",
            "2010-01-08 24:30:00.500000",
            "2010-01-08 09:60:00.500000",
            "2010-01-08 09:30:60.500000",
            "2010-01-08 09:30:+0.500000",
            "2010-02-30 09:30:00.500000",
            "2010/01/08 09:30:00.500000",
            "1969-12-31 23:59:59.999999",
            "",
        ] {
            assert_eq!(text.parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
